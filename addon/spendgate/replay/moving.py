"""Limits that move, in memory: what a mean rests on, what exceptions have used, and which window has one that holds once.

The arithmetic is `limits`', as in `ledger.moving`: the mean of a day is fixed when that day's first call is decided.
"""

from __future__ import annotations

from spendgate import limits
from spendgate.adaptive import MeanOf, Settled, settled_of
from spendgate.limits import Claim, ClaimedAt
from spendgate.replay.books import Books
from spendgate.standing import Credit, Hold, Limit, Scope, Standing


class Moving:
    """Beside the balances of one replay."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._means: dict[tuple[str, str, str], tuple[str, Settled]] = {}
        """By budget, words and value: the latest day for which it was fixed, and what it rests on."""
        self._claims: dict[tuple[str, str, str], ClaimedAt] = {}

    def limit(self, scope: Scope, now_ms: int) -> Limit:
        """The limit that a decision at this moment goes by; the day's mean is fixed by it."""
        settled = self._settled(scope.mean, scope.value) if scope.mean is not None else None
        return limits.limit(
            scope, settled, lambda credit: self._used(credit, now_ms), lambda credit: self._claim(credit, now_ms)
        )

    def stands(self, scope: Scope, now_ms: int) -> Limit:
        """The limit as `limit` gives it, for who only looks: nothing is fixed by it. Of a day that is over (a call that ended
        after midnight) the mean is what its days before have settled by now."""
        settled = None
        if scope.mean is not None:
            day, found = self._means.get((scope.mean.budget, scope.mean.words, scope.value), ("", Settled(0, 0)))
            settled = found if day == scope.mean.day else self._daily(scope.mean, scope.value)
        return limits.limit(
            scope, settled, lambda credit: self._used(credit, now_ms), lambda credit: self._claim(credit, now_ms)
        )

    def has_own(self, scope: Scope, now_ms: int) -> bool:
        """Whether an exception for this call has money left that is not the allowance's, so that it stands in no line."""
        return any(
            credit.own and credit.usable and not credit.once and self._used(credit, now_ms) < credit.add_nanos
            for credit in scope.credits
        )

    def claim(self, standing: Standing, hold_nanos: int, now_ms: int) -> None:
        """An admission holds so much: exceptions with `once` that it needed have their window from here on."""
        if standing.limit is None or not standing.limit.unclaimed:
            return
        by_ceiling = standing.scope.hold is Hold.CEILING
        others = max(standing.held_nanos, standing.ceiling_nanos) if by_ceiling else standing.held_nanos
        for credit in limits.claimed_by(standing.limit, standing.settled_nanos + others + hold_nanos):
            self._claims.setdefault(_key(credit), (credit.tally.window, now_ms))

    def _settled(self, mean: MeanOf, value: str) -> Settled:
        key = (mean.budget, mean.words, value)
        day, found = self._means.get(key, ("", Settled(0, 0)))
        if day != mean.day:
            found = self._daily(mean, value)
            self._means[key] = (mean.day, found)
        return found

    def _daily(self, mean: MeanOf, value: str) -> Settled:
        return settled_of(self._books.settled((mean.budget, value, each, mean.words, 0)) for each in mean.days)

    def _used(self, credit: Credit, now_ms: int) -> int:
        [balance] = self._books.locate((credit.tally,), now_ms).balances
        return balance.settled + balance.held

    def _claim(self, credit: Credit, now_ms: int) -> Claim:
        return limits.claim_of(self._claims.get(_key(credit)), credit.tally, now_ms)


def _key(credit: Credit) -> tuple[str, str, str]:
    return credit.tally.budget, credit.once_words, credit.tally.value
