"""Limits that move: what an allowance's mean rests on, what was spent under its exceptions, and which window has one of them.

The mean is summed when the first call of a day is decided and kept as a row, so that it is the same for every gate, after a
restart, and for calls that settle late; the first writer is the only one, since it writes in the transaction that decides. So is
the one window of an exception with `once`. Reading costs a point look-up for each day and once a day; it does not grow with the
ledger.
"""

from __future__ import annotations

from typing import Final

from spendgate import limits
from spendgate.adaptive import MeanOf, Settled, settled_of
from spendgate.ledger.kept import Kept
from spendgate.ledger.known import Known
from spendgate.limits import Claim
from spendgate.standing import Credit, Limit, Scope

_FIXED: Final = "SELECT settled_nanos, days FROM means WHERE budget = ? AND words = ? AND value = ? AND day = ?"
_FIX: Final = "INSERT INTO means (budget, words, value, day, settled_nanos, days, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"
_CLAIMED: Final = "SELECT window, at_ms FROM claims WHERE exception = ? AND words = ? AND value = ?"
_CLAIM: Final = "INSERT OR IGNORE INTO claims (exception, words, value, window, at_ms) VALUES (?, ?, ?, ?, ?)"

MeanKey = tuple[str, str, str, str]
ClaimKey = tuple[str, str, str]


def limit(known: Known, scope: Scope, now_ms: int) -> Limit:
    """The limit that a decision at this moment goes by. Inside a transaction: a mean that nobody has fixed today is fixed."""
    mean = scope.mean
    settled = _fixed(known, mean, scope.value, now_ms) if mean is not None else None
    return limits.limit(
        scope, settled, lambda credit: _used(known, credit.tally, now_ms), lambda credit: _claim(known, credit, now_ms)
    )


def has_own(known: Known, scope: Scope, now_ms: int) -> bool:
    """Whether an exception for this call has money left that is not the allowance's: who waits for that has no claim on it."""
    return any(
        credit.own and credit.usable and not credit.once and _used(known, credit.tally, now_ms) < credit.add_nanos
        for credit in scope.credits
    )


def claim(known: Known, found: Limit, taken_nanos: int, now_ms: int) -> None:
    """An admission has left so much settled and held: exceptions with `once` that it needed have their window from here on."""
    for credit in limits.claimed_by(found, taken_nanos):
        tally = credit.tally
        known.conn.execute(_CLAIM, (*_claim_key(credit), tally.window, now_ms))
        known.claims.pop(_claim_key(credit), None)


def read_limit(kept: Kept, scope: Scope) -> Limit:
    """The limit as a decision at that moment would find it, for a reader; nothing is written."""
    mean = scope.mean
    settled = None
    if mean is not None:
        row = kept.conn.execute(_FIXED, _mean_key(mean, scope.value)).fetchone()
        keys = [(mean.budget, scope.value, day, mean.words, 0) for day in mean.days]
        found = [] if row else [kept.balance(key) for key in keys]
        settled = Settled(*row) if row else settled_of(each.settled for each in found if each is not None)

    def used(credit: Credit) -> int:
        balance = kept.balance(credit.tally.balance)
        return 0 if balance is None else balance.settled + balance.held

    def claimed(credit: Credit) -> Claim:
        return limits.claim_of(kept.conn.execute(_CLAIMED, _claim_key(credit)).fetchone(), credit.tally, kept.now_ms)

    return limits.limit(scope, settled, used, claimed)


def _mean_key(mean: MeanOf, value: str) -> MeanKey:
    return mean.budget, mean.words, value, mean.day


def _fixed(known: Known, mean: MeanOf, value: str, now_ms: int) -> Settled:
    key = _mean_key(mean, value)
    found = known.means.get(key)
    if found is None:
        row = known.conn.execute(_FIXED, key).fetchone()
        found = Settled(*row) if row else _fix(known, mean, value, now_ms)
        known.means[key] = found
    return found


def _fix(known: Known, mean: MeanOf, value: str, now_ms: int) -> Settled:
    """Sum the days before as they stand now, and keep that for the day."""
    found = settled_of(
        known.balances.settled(known.conn, (mean.budget, value, day, mean.words, 0)) for day in mean.days
    )
    known.conn.execute(_FIX, (*_mean_key(mean, value), found.nanos, found.days, now_ms))
    return found


def _used(known: Known, tally: Scope, now_ms: int) -> int:
    [balance] = known.balances.locate_at(known.conn, (tally,), now_ms)
    return balance.settled + balance.held


def _claim_key(credit: Credit) -> ClaimKey:
    return credit.tally.budget, credit.once_words, credit.tally.value


def _claim(known: Known, credit: Credit, now_ms: int) -> Claim:
    key = _claim_key(credit)
    if key not in known.claims:
        known.claims[key] = known.conn.execute(_CLAIMED, key).fetchone()
    return limits.claim_of(known.claims[key], credit.tally, now_ms)
