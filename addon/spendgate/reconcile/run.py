"""A run: statements in force and calls of the ledger in, causes with their dollars out.

`reconcile` reads a ledger; `compare` is the pure function behind it, for whoever has calls and statements in memory. Neither
has a clock: `Options.now_ms` decides what is open, settling and final. The same inputs give the same result, to the order of
its findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from spendgate.inert_text import inert
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import Imported
from spendgate.money import short_dollars
from spendgate.reconcile import comparing
from spendgate.reconcile.accounts import POOL
from spendgate.reconcile.bills import Bill, bill_of
from spendgate.reconcile.captured import Call, read, read_singly
from spendgate.reconcile.choosing import INVOICE
from spendgate.reconcile.facts import NO_FACTS, Facts
from spendgate.reconcile.folding import raw_of
from spendgate.reconcile.own_facts import with_own
from spendgate.reconcile.periods import is_search_sum, is_sum
from spendgate.reconcile.result import Result
from spendgate.reconcile.totals import is_named, narrowed, result_of
from spendgate.reconcile.vectors import CLASSES, PLACE
from spendgate.reconcile.versions import Version
from spendgate.reconcile.whole_sums import SUM
from spendgate.statement import DAY_MS, Line, Statement

__all__ = [
    "BilledLines", "Drill", "Options", "Version", "billed", "compare", "compared", "explain", "imported", "reconcile",
]  # fmt: skip


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
    """By time and model, counts before the money of what they count, classes of tokens in their order."""
    calls: tuple[Call, ...]
    """Single ones, in the order in which they left."""


def reconcile(reader: Reader, options: Options, facts: Facts = NO_FACTS) -> Result:
    """Compare a ledger with the statements that were imported into it.

    What the ledger itself knows of the fleet (failures of the gate, times without one, connections that could not be read) is
    added to `facts`. Raises nothing of its own: what cannot be compared is a note of the result.
    """
    return result_of(compared(reader, options, facts), options.from_ms, options.until_ms)


def explain(reader: Reader, options: Options, day_ms: int, key: str, facts: Facts = NO_FACTS) -> Drill:
    """One day and key of the same run. `key` as findings and coverage name it. Raises ValueError: nothing of it is known."""
    found = compared(reader, _with_whole_sums(reader, options), facts)
    ends = {one.period.provider: one.period.until_ms for one in found.bill.sums if one.period.from_ms == day_ms}
    within = {each.period.provider for each in found.bill.sums if each.period.from_ms < day_ms < each.period.until_ms}
    lines = tuple(
        line
        for day in found.bill.days
        if day.day_ms == day_ms
        for line in day.lines
        if is_named(day.provider, _account(found, line, at_once=day.provider in ends), key)
    )
    calls = tuple(
        call
        for call in read_singly(reader, day_ms, max((day_ms + DAY_MS, *ends.values())))
        if (who := found.assembled.names.get(call.provider)) is not None
        and call.provider not in within
        and call.started_ms < ends.get(call.provider, day_ms + DAY_MS)
        and is_named(call.provider, POOL if call.provider in ends else who.of_call(raw_of(call)), key)
    )
    if not lines and not calls:
        groups = {(each.provider, each.account) for each in found.assembled.groups if each.day_ms == day_ms}
        fees = {(day.provider, account.name) for day, _, account in found.assembled.fees if day.day_ms == day_ms}
        known = sorted(f"{provider} {account}" for provider, account in groups | fees)
        at_once = [
            f"; {one.period.provider} has one sum of {one.period}: ask for its first day"
            for one in found.bill.sums
            if one.period.from_ms < day_ms < one.period.until_ms
        ]
        pooled = any(account == POOL for _, account in groups)
        unmapped = (
            "; `--map FILE` says which key of the bill is which of the calls" if pooled and not facts.keys else ""
        )
        raise ValueError(
            f"nothing of {key!r} on this day; known are: {', '.join(map(inert, known)) or 'none'}{unmapped}{''.join(at_once)}"
        )
    part = narrowed(found, day_ms, key)
    until_ms = max((day_ms + DAY_MS, *(ends[at.provider] for at in part.assembled.groups if at.match == SUM)))
    return Drill(result_of(part, day_ms, until_ms), tuple(sorted(lines, key=_order)), calls)


def _order(line: Line) -> tuple[int, str, str, str, bool, int]:
    which = len(CLASSES) if line.token_class is None else PLACE[line.token_class]
    return line.starts_ms, line.provider, line.model or "", line.product or "", line.billed_nanos is not None, which


def _account(found: comparing.Compared, line: Line, *, at_once: bool) -> str:
    """Whom a line is about, as findings and coverage name it."""
    return (
        POOL
        if at_once and (is_sum(line) or is_search_sum(line))
        else found.assembled.names[line.provider].of_line(line).name
    )


def _with_whole_sums(reader: Reader, options: Options) -> Options:
    """As many days more as sums have that lie on these days in part: a quarter's is compared as a whole, or not at all."""
    sums = [
        line
        for each in reader.imports()
        if each.source == INVOICE and each.from_ms < options.until_ms and options.from_ms < each.until_ms
        for line in reader.statement_lines(each, each.from_ms, each.until_ms)
        if is_sum(line)
    ]
    return replace(
        options,
        from_ms=min((options.from_ms, *(line.starts_ms for line in sums))),
        until_ms=max((options.until_ms, *(line.ends_ms for line in sums))),
    )


class BilledLines(Struct, frozen=True):
    """The bill itself: what a run compares calls with."""

    lines: tuple[tuple[Line, Version], ...]
    """Each line of a closed day that is in force, in the order of days and providers, and the import that says it."""
    open_days: int
    """Days of providers that are left out, since they are not over or not yet told."""
    notes: tuple[str, ...]
    """What was told twice, and by which source it was taken."""


def billed(reader: Reader, options: Options) -> BilledLines:
    """The lines that `reconcile` would compare, without asking any call; those of purged days besides, with a note."""
    versions = _versions(reader, options)
    bill = _bill(versions, options)
    says = {id(line): version for version in versions for line in version.statement.lines}
    lines = tuple((line, says[id(line)]) for day in bill.days for line in day.lines)
    return BilledLines(lines, len(bill.open_days), (*bill.notes, *_before(bill, reader.purged_until_ms() or 0)))


def _before(bill: Bill, purged_ms: int) -> tuple[str, ...]:
    """What is billed on days that reports leave out, since their calls are sums by now."""
    nanos = sum(line.billed_nanos or 0 for day in bill.days for line in day.lines if line.starts_ms < purged_ms)
    if not nanos:
        return ()
    first = f"{datetime.fromtimestamp(-(-purged_ms // DAY_MS) * DAY_MS / 1000, UTC):%Y-%m-%d}"
    what = f"{short_dollars(nanos)} of these lines begins before {first}, where calls are sums by now (privacy.keep)"
    return (f"{what}: no part of what `spendgate reconcile report` calls billed",)


def _versions(reader: Reader, options: Options) -> list[Version]:
    return [
        Version(each.name, each.at_ms, _statement(reader, each, options))
        for each in reader.imports()
        if each.from_ms < options.until_ms and options.from_ms < each.until_ms
    ]


def _bill(versions: Iterable[Version], options: Options, purged_ms: int = 0) -> Bill:
    span = options.from_ms, options.until_ms
    return bill_of(versions, *span, options.now_ms, options.providers, purged_ms=purged_ms)


def imported(reader: Reader, options: Options) -> Bill:
    """The lines in force of the statements that were imported, of closed days whose calls are there."""
    return _bill(_versions(reader, options), options, reader.purged_until_ms() or 0)


def compared(reader: Reader, options: Options, facts: Facts, *, revisions: bool = True) -> comparing.Compared:
    """All that `reconcile` makes its result of. Without `revisions` it is as if no version had been before those in force."""
    bill = imported(reader, options)
    if not revisions:
        bill = replace(bill, days=tuple(replace(each, before=(), had_before=False) for each in bill.days))
    whole = with_own(reader, facts, options.until_ms + DAY_MS)
    ids = {name for line in bill.gateway for name in (line.response_id, line.request_id) if name}
    ids |= {name for day in bill.days for line in day.lines for name in (line.response_id, line.request_id) if name}
    ids |= {name for seen in whole.witnessed for name in (seen.response_id, seen.request_id) if name}
    span = options.from_ms, options.until_ms
    calls = read(reader, span, ids, options.boundary_ms, bill.bucket_ms)
    if options.providers:  # what is not asked for is not told to be missing
        calls = (each for each in calls if each.provider in options.providers)
    return comparing.compare(calls, bill, whole, options.now_ms, options.boundary_ms)


def _statement(reader: Reader, one: Imported, options: Options) -> Statement:
    # What a sum of several days is about is told also where these days begin within it.
    from_ms = min(one.from_ms, options.from_ms) if one.source == INVOICE else options.from_ms
    lines = reader.statement_lines(one, from_ms, options.until_ms)
    return Statement(
        one.source, one.provider, one.subject, one.from_ms, one.until_ms, one.sha256, one.origin, one.refreshed_ms, lines,
        one.notes,
    )  # fmt: skip


def compare(calls: Iterable[Call], versions: Iterable[Version], facts: Facts, options: Options) -> Result:
    """Compare calls with statements, purely. Calls are read once, in the order in which they left, and not kept.

    Calls of the `boundary_ms` before and after the days may be among them: they show what a bill has on the other day.
    """
    bill = _bill(versions, options)
    found = comparing.compare(calls, bill, facts, options.now_ms, options.boundary_ms)
    return result_of(found, options.from_ms, options.until_ms)
