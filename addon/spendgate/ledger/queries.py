"""What people ask of the ledger: what was spent, what is left, what was told; with `proofs` and `reconciling`, all of it.

Times are epoch milliseconds, amounts nano-dollars; calls come as rows of the public view `calls`, by its column names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any

from spendgate.digest import Stopped
from spendgate.grants import Taken
from spendgate.ledger import alert_rows, day_sums, found_calls, mine, purgeable, spending, standings
from spendgate.ledger import grants as grant_rows
from spendgate.ledger.counted import Counted, ScopesOf
from spendgate.ledger.found_calls import CallHold
from spendgate.ledger.history import Step, steps
from spendgate.ledger.interface import Flowing
from spendgate.ledger.kept import Kept
from spendgate.ledger.proofs import Proofs
from spendgate.ledger.reconciling import Reconciling
from spendgate.ledger.selecting import EVERY_CALL, Span, rows
from spendgate.ledger.spending import Spend
from spendgate.ledger.sqlite_faults import unavailable
from spendgate.ledger.tools_seen import ToolSeen, tools_seen
from spendgate.ledger.unfilled import unfilled
from spendgate.ledger.untaken import ByBill, untaken
from spendgate.standing import Scope, Standing
from spendgate.window import DAY_MS


class Reader(Proofs, Reconciling):
    """All that is asked of one ledger. Use from one thread."""

    def grants(self) -> tuple[Taken, ...]:
        """Every grant that was taken in."""
        return grant_rows.grants(self._conn)

    def asks(self) -> tuple[grant_rows.Asked, ...]:
        """Every ask."""
        return grant_rows.asks(self._conn)

    def latest_refusal(self, person: str, budget: str | None, account: str | None = None) -> dict[str, Any] | None:
        """The newest call of this person's that a budget has refused: the one named, or any; of this account, where one is
        named. A row of `calls`."""
        return found_calls.latest_refusal(self._conn, person, budget, account)

    def standings(self, scopes: tuple[Scope, ...], now_ms: int) -> tuple[Standing, ...]:
        """Each scope's balance as the gate would see it now; zero where nothing was ever held."""
        return standings.standings(Kept(self._conn, now_ms), scopes)

    def standings_filled(
        self, scopes: tuple[Scope, ...], budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, *,
        by_bill: ByBill | None = None, until_ms: int | None = None,
    ) -> tuple[Standing, ...]:  # fmt: skip
        """As `standings`, of a policy that no gate may have followed: as if one had just taken it up, filled `budgets`, and taken
        what was billed and not captured into those of `by_bill`. `until_ms`: without what was booked later."""
        more = unfilled(self._conn, scopes, budgets, scopes_of, now_ms, until_ms=until_ms)
        if by_bill is not None:
            untaken(self._conn, more, scopes, by_bill, now_ms, until_ms=until_ms)
        return standings.standings(Kept(self._conn, now_ms, more, until_ms=until_ms), scopes)

    def rates(self, scopes: tuple[Scope, ...], flowing: Flowing, now_ms: int) -> tuple[Standing, ...]:
        """Each rate with what it has counted and how many of its calls are open, at `flowing.boot_ms`."""
        return standings.rates(self._conn, scopes, flowing, now_ms)

    def spend(self, by: tuple[str, ...], span: Span, zone: tzinfo, *, week_starts: int = 0) -> tuple[Spend, ...]:
        """Totals by attributes and periods, dearest first; periods in `zone`, weeks from `week_starts` (Monday is 0).

        Raises ValueError for an attribute that calls do not have.
        """
        return spending.spend(self._conn, by, span, zone, week_starts=week_starts)

    def calls(self, span: Span, limit: int | None = None) -> tuple[dict[str, Any], ...]:
        """Rows of the view `calls`, newest first."""
        return found_calls.calls(self._conn, span, limit)

    def each_call(self, span: Span) -> Iterator[dict[str, Any]]:
        """The same rows, oldest first, read one by one."""
        return found_calls.each_call(self._conn, span)

    def columns(self) -> tuple[str, ...]:
        """The columns of the view `calls`, in its order."""
        return found_calls.columns(self._conn)

    def call(self, prefix: str, span: Span = EVERY_CALL) -> tuple[dict[str, Any], tuple[CallHold, ...]]:
        """One call of this span by the beginning of its id, and its holds. Raises ValueError when none or several begin so.

        Ids are lower case, so a prefix in capitals is found, too.
        """
        return found_calls.call(self._conn, prefix, span)

    def states(self, span: Span = EVERY_CALL) -> dict[str, int]:
        """How many calls are in each state, by its stored word."""
        return spending.counts(self._conn, "state", span)

    def would_refuse(self, span: Span = EVERY_CALL) -> dict[str, int]:
        """How many calls each rule would have refused but for `observe` or `warn`, the busiest rule first."""
        found = spending.counts(self._conn, "would_refuse_by", span)
        return {rule: found[rule] for rule in sorted(found, key=lambda rule: (-found[rule], rule))}

    def guessed_prices(self, span: Span = EVERY_CALL) -> tuple[int, int]:
        """Calls of a model that no price list has, and the nano-dollars that the policy's own price makes of them."""
        return spending.guessed_prices(self._conn, span)

    def stopped(self, span: Span) -> tuple[Stopped, ...]:
        """What was refused, by person, rule and kind of refusal. The same request (person, team, session, model, size) that a
        rule refused again counts once, with the most that it would have held."""
        return spending.stopped(self._conn, span)

    def running(self, budget: str, now_ms: int) -> tuple[tuple[str, str, str], ...]:
        """Value, window and words of each balance of this budget whose calendar window runs and has something in it; the most
        spent first."""
        return standings.running(self._conn, budget, now_ms)

    def tallied(self, name: str, words: str) -> tuple[int, ...]:
        """What each balance of this name has settled: of an exception what was spent under it, in each window."""
        return standings.tallied(self._conn, name, words)

    def open_above_holds(self, span: Span = EVERY_CALL) -> int:
        """The most, in nano-dollars, that open calls could still cost above the largest hold that each has now."""
        return spending.open_above_holds(self._conn, span)

    def open_unbounded(self, span: Span = EVERY_CALL) -> int:
        """How many of the open calls have no bound that this most could count."""
        return spending.open_unbounded(self._conn, span)

    def history(self, since_ms: int, until_ms: int | None = None) -> Iterator[Step]:
        """Every decided or charged call booked in this span, in the order in which they asked."""
        return steps(self._conn, since_ms, until_ms)

    def purged_until_ms(self) -> int | None:
        """Up to when, a beginning of a UTC day, calls may be sums alone; None: none was ever purged."""
        [day] = self._conn.execute("SELECT max(day) FROM day_sums").fetchone()
        return None if day is None else day_sums.noon_ms(day) + DAY_MS // 2

    def purged_calls(self) -> int:
        """How many ended calls of any state are sums alone."""
        return day_sums.totals(self._conn).rows

    def totals(self) -> day_sums.Totals:
        """All ended calls that the ledger ever had: rows and sums, of one moment."""
        return day_sums.totals_ever(self._conn)

    def purgeable(self, before_ms: int) -> purgeable.Plan:
        """What a purge of what was booked before then would take."""
        return purgeable.plan(self._conn, before_ms)

    def kept_of(self, whose: mine.Whose) -> tuple[mine.Kept, ...]:
        """Every table with what it has of this person, of one moment."""
        return tuple(mine.kept(self._conn, whose))

    def gate_pids(self, names: Iterable[str]) -> tuple[int, ...]:
        """The processes of these gates, by the names of their lock files."""
        found = (self._conn.execute("SELECT pid FROM gates WHERE name = ?", (name,)).fetchone() for name in names)
        return tuple(int(row[0]) for row in found if row is not None)

    def tools_seen(self, span: Span = EVERY_CALL) -> tuple[ToolSeen, ...]:
        """By tool and account how many calls there are, and when the last one began."""
        return tools_seen(self._conn, span)

    def coverage(self) -> tuple[dict[str, Any], ...]:
        """Connections to providers that could not be read, by account, tool, host and reason."""
        return rows(self._conn, "SELECT * FROM coverage ORDER BY last_ms DESC")

    def alerts(self, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
        """Every alert made from then on, newest first, each with its `deliveries`."""
        return alert_rows.alerts(self._conn, since_ms)

    def alert(self, prefix: str, person: str | None = None) -> str:
        """The whole name of an alert by its beginning, of those about this person alone where one is named. Raises ValueError
        when none or several begin so."""
        return alert_rows.alert(self._conn, prefix, person)

    def messages(self, form: str) -> dict[str, dict[str, Any]]:
        """The messages of this form (`ask`) by their window (the ask's id), each with `routed` and its `deliveries`."""
        return alert_rows.messages(self._conn, form)

    def unseen(self, person: str, since_ms: int, limit: int) -> tuple[dict[str, Any], ...]:
        """The newest alerts about this person made since then that nobody has acknowledged."""
        return alert_rows.unseen(self._conn, person, since_ms, limit)

    def undelivered(self) -> tuple[int, tuple[str, ...]]:
        """How many messages are still to be delivered or were given up unseen, and why the latest of them failed."""
        return alert_rows.undelivered(self._conn)


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """A reader whose every failure is one of ours, for a gate that goes on. Raises StateError, LedgerUnavailable."""
    with Reader(path) as reader:
        try:
            yield reader
        except sqlite3.Error as fault:
            raise unavailable(fault) from fault
