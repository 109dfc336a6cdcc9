"""What each budget has counted already, as table `counted` has it.

For its name, words and reader: up to which call it has counted all that its windows held. Where they begin earlier now (the
clock was ahead), or who counts for it is read otherwise (the roster has changed), it begins anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from spendgate.ledger.rows import PastCall
from spendgate.standing import Scope

Upto = dict[tuple[str, str], int]
"""By a budget's name and words, up to which call it has counted all."""
ScopesOf = Callable[[PastCall], tuple[Scope, ...]]
"""The scopes of a past call under the new policy: windows of its `booked_ms`, its answering model where that is known."""

COUNTING: Final = "booked_ms >= ? AND state IN ('open', 'settled', 'interrupted') ORDER BY seq LIMIT ?"
NOTE: Final = """INSERT INTO counted (budget, words, upto_seq, since_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (budget, words) DO UPDATE SET upto_seq = excluded.upto_seq, since_ms = excluded.since_ms"""
_NOTED: Final = "SELECT 1 FROM counted WHERE budget = ? AND (words = ? OR substr(words, 1, ?) = ?)"


@dataclass(frozen=True, slots=True)
class Counted:
    """A budget of the new policy. `words` as in `Scope.words`; `since_ms`: where its oldest current window starts."""

    budget: str
    words: str
    since_ms: int
    reader: str = ""
    """A fingerprint of what else decides which past calls fit it."""
    of_sums: ScopesOf | None = None
    """Of a budget that counts for a life: its scopes of a sum of purged calls, taken for one call of its person, team, tool,
    provider, model and billing. None: it needs no sums, or goes by what they do not tell, and begins with the rows."""

    @property
    def noted_as(self) -> str:
        """Its words as `counted` has them."""
        return f"{self.words}:{self.reader}" if self.reader else self.words


def was_counted(conn: sqlite3.Connection, each: Counted) -> bool:
    """Whether it was ever counted, under whatever roster."""
    found = conn.execute(_NOTED, (each.budget, each.words, len(each.words) + 1, f"{each.words}:")).fetchone()
    return found is not None


def counted_upto(conn: sqlite3.Connection, budgets: tuple[Counted, ...]) -> Upto:
    """Up to which call each has counted all that its current windows hold."""
    known = {
        (budget, words): (upto, since_ms)
        for budget, words, upto, since_ms in conn.execute("SELECT budget, words, upto_seq, since_ms FROM counted")
    }
    found: dict[tuple[str, str], int] = {}
    for each in budgets:
        upto, since_ms = known.get((each.budget, each.noted_as), (0, 0))
        found[each.budget, each.words] = upto if since_ms <= each.since_ms else 0
    return found


def missing(call: PastCall, scopes: tuple[Scope, ...], upto: Upto, now_ms: int) -> tuple[Scope, ...]:
    """Those scopes of budgets to fill that have not counted the call and whose window still runs."""
    return tuple(
        scope
        for scope in scopes
        if call.seq > upto.get((scope.budget, scope.words), call.seq) and _runs(scope, call.booked_ms, now_ms)
    )


def _runs(scope: Scope, booked_ms: int, now_ms: int) -> bool:
    if scope.rolling_ms is not None:
        return booked_ms > now_ms - scope.rolling_ms
    return scope.ends_ms is None or scope.ends_ms + scope.kept_ms > now_ms
