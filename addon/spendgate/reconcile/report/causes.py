"""The gap by causes: what each comes to, what shows it, and where a waterfall has it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from shlex import quote
from typing import Final

from msgspec import Struct

from spendgate.money import short_dollars
from spendgate.reconcile.remedies import compare_below, remedy
from spendgate.reconcile.result import Cause, Confidence, Coverage, Day, Finding, Result
from spendgate.reconcile.run import Drill

_STRONGEST: Final = tuple(Confidence)


class Told(Struct, frozen=True):
    """One cause over the whole run, in nano-dollars."""

    cause: Cause
    nanos: int
    under_nanos: int
    """Its findings that are on the bill and not in the ledger …"""
    over_nanos: int
    """… and those in the ledger and not on the bill; zero or less."""
    confidence: Confidence
    """The weakest that it rests on."""
    evidence: str
    """Of its largest finding, and how many more there are."""
    remedy: str
    findings: tuple[Finding, ...]
    """The largest first."""


class Step(Struct, frozen=True):
    """One step from captured to billed: it begins where the last one ended."""

    name: str
    from_nanos: int
    until_nanos: int


def by_cause(result: Result) -> tuple[Told, ...]:
    """Every cause that was found, the largest first."""
    found: dict[Cause, list[Finding]] = defaultdict(list)
    for each in result.findings:
        found[each.cause].append(each)
    told = (_told(cause, sorted(each, key=_size)) for cause, each in found.items())
    return tuple(sorted(told, key=lambda each: (-abs(each.nanos), each.cause.value)))


def waterfall(result: Result) -> tuple[Step, ...]:
    """The gap in steps, what is unexplained last; the first begins at 0, the last ends at the gap."""
    steps: list[Step] = []
    at = 0
    parts = [(each.cause.value, each.nanos) for each in by_cause(result)]
    for name, nanos in [*parts, ("unexplained", result.unexplained_nanos)]:
        steps.append(Step(name, at, at + nanos))
        at += nanos
    return tuple(steps)


def least(coverage: Iterable[Coverage]) -> Coverage | None:
    """The key of which the smallest part was captured; None where none can be told."""
    keys = [each for each in coverage if each.what == "key" and each.dollars is not None]
    return min(keys, key=lambda each: (each.dollars, each.name), default=None)


def in_scope(result: Result) -> str:
    """Why coverage is of another sum than is billed, less or (with credits) more, as a sentence; "" where it has all of it."""
    total = next((each for each in result.coverage if each.what == "total"), None)
    if total is None or total.billed_nanos == result.billed_nanos:
        return ""
    part, whole = short_dollars(total.billed_nanos), short_dollars(result.billed_nanos)
    return (
        f"Coverage is of what is in scope, {part}; {whole} is billed in all. Not in scope are fees, taxes and credits, which take"
        " off, and keys and products used where no gate is (scope_key, scope_product, scope_keyless, a gateway's own key)."
    )


def begin_with(result: Result) -> str:
    """Where to look first at what is unexplained, as a remedy; "" where nothing is."""
    worst = max(result.days, key=lambda day: day.off_nanos or abs(day.unexplained_nanos), default=None)
    if worst is None or not (worst.off_nanos or worst.unexplained_nanos):
        return ""
    asked = f"spendgate reconcile explain --day {day_of(worst.day_ms)} --provider {quote(worst.provider)} --key"
    if worst.off_key and "`" not in worst.off_key:
        return f"begin with the key and day of which most is: `{asked} {quote(worst.off_key)}`"
    return f"begin here, with each key under coverage: `{asked} KEY`"


def go_on_with(drill: Drill) -> str:
    """Where to look at what is unexplained of one day and key, as a remedy; "" where nothing is."""
    if not any(day.off_nanos or day.unexplained_nanos for day in drill.result.days):
        return ""
    uncounted = next((call.id for call in drill.calls if call.basis != "reported"), None)
    here = {call.id for call in drill.calls}
    named = (each for finding in drill.result.findings for each in finding.calls)
    elsewhere = next((each for each in named if each not in here), None)
    return compare_below((day.provider for day in drill.result.days), uncounted, elsewhere, calls=bool(here))


def day_of(day_ms: int) -> str:
    """`2026-11-20`; "" for no one day."""
    return "" if day_ms < 0 else f"{datetime.fromtimestamp(day_ms / 1000, UTC):%Y-%m-%d}"


def span_of(day: Day) -> str:
    """`2026-11-20`, or the first and the last of several days that the bill has one sum of."""
    first = day_of(day.day_ms)
    return first if day.until_ms is None else f"{first} to {day_of(day.until_ms - 1)}"


def days_of(result: Result) -> str:
    """`2026-11-01 to 2026-11-30`, both of them in it."""
    return f"{day_of(result.from_ms)} to {day_of(result.until_ms - 1)}"


def share(nanos: int, of: int) -> str:
    """`12.3%` for people; "" where there is nothing to take it of. Nothing is clamped."""
    return f"{100 * nanos / of:.1f}%".replace("-0.0%", "0.0%") if of else ""


def _told(cause: Cause, findings: list[Finding]) -> Told:
    nanos = [each.nanos for each in findings]
    first, more = findings[0], len(findings) - 1
    confidence = max((each.confidence for each in findings), key=_STRONGEST.index)
    place = " ".join(part for part in (day_of(first.day_ms), first.provider, first.key, first.model) if part)
    evidence = f"{place}: {first.evidence}" + (f"; and {more:,} more like it" if more else "")
    return Told(
        cause, sum(nanos), sum(each for each in nanos if each > 0), sum(each for each in nanos if each < 0), confidence,
        evidence, remedy(cause, findings), tuple(findings),
    )  # fmt: skip


def _size(each: Finding) -> tuple[int, int, str, str, str]:
    return (-abs(each.nanos), each.day_ms, each.provider, each.key, each.model)
