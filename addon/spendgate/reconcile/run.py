"""A run: statements in force and calls of the ledger in, causes with their dollars out.

`reconcile` reads a ledger; `compare` is the pure function behind it, for whoever has calls and statements in memory. Neither
has a clock: `Options.now_ms` decides what is open, settling and final. The same inputs give the same result, to the order of
its findings.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from spendgate.ledger.queries import Reader
from spendgate.reconcile import comparing
from spendgate.reconcile.bills import Version, bill_of
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import NO_FACTS, Facts
from spendgate.reconcile.result import Result
from spendgate.reconcile.totals import result_of
from spendgate.statement import Line


class Options(Struct, frozen=True):
    """What is compared. Days are UTC; a day counts by when its calls left."""

    from_ms: int
    until_ms: int
    """Both at 00:00 UTC; days that are still open at `now_ms` are left out whatever is asked."""
    now_ms: int
    providers: tuple[str, ...] = ()
    """Only these; (): all that a statement is there for."""
    boundary_ms: int = 600_000
    """Calls this near to midnight may be on either day of the bill."""


class Drill(Struct, frozen=True):
    """One day of one key (`explain --day D --key K`): its result, its lines of the bill, its calls."""

    result: Result
    """Of this day and key alone; the findings are those of the whole run."""
    lines: tuple[Line, ...]
    calls: tuple[Call, ...]
    """Single ones, in the order in which they left."""


def reconcile(reader: Reader, options: Options, facts: Facts = NO_FACTS) -> Result:
    """Compare a ledger with the statements that were imported into it.

    What the ledger itself knows of the fleet (times without a gate, connections that could not be read, gateways) is added to
    `facts`. Raises nothing of its own: what cannot be compared is a note of the result.
    """
    raise NotImplementedError


def explain(reader: Reader, options: Options, day_ms: int, key: str, facts: Facts = NO_FACTS) -> Drill:
    """One day and key of the same run. `key` as findings and coverage name it. Raises ValueError: nothing of it is known."""
    raise NotImplementedError


def compare(calls: Iterable[Call], versions: Iterable[Version], facts: Facts, options: Options) -> Result:
    """Compare calls with statements, purely. Calls are read once, in the order in which they left, and not kept.

    Calls of the `boundary_ms` before and after the days may be among them: they show what a bill has on the other day.
    """
    bill = bill_of(versions, options.from_ms, options.until_ms, options.now_ms, options.providers)
    found = comparing.compare(calls, bill, facts, options.now_ms, options.boundary_ms)
    return result_of(found, options.from_ms, options.until_ms)
