"""A reconciliation for a terminal: amounts to the cent, evidence in full; JSON and CSV have every digit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from spendgate.cli.output import console, money, safe, writing
from spendgate.reconcile.remedies import MEANINGS, UNEXPLAINED
from spendgate.reconcile.report.causes import begin_with, by_cause, day_of, days_of, in_scope, least, share, span_of
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.result import Confidence, Coverage, Result, State

BESIDE: Final = 120
"""Columns of a terminal that has room for evidence beside the amounts; on a narrower one it stands under them."""
CENTS: Final = (
    "Amounts are rounded to the cent, below a cent to the millionth of a dollar, each by itself; --format json and csv have"
    " every digit."
)
_COVERED: Final = "Ratio: captured of billed dollars. Requests: captured of billed ones, where the bill counts them."
_CONFIDENCE: Final = {
    Confidence.EXACT: "an id, or the key that the provider names",
    Confidence.EXACT_BUCKET: "the same counts in the same minutes",
    Confidence.RESIDUAL: "what is left of a day and key",
    Confidence.FINGERPRINT: "a ratio of prices that one thing alone has",
    Confidence.WEAK: "day and model alone",
}
_STATES: Final = {
    State.OPEN: "not over, or not all told yet",
    State.SETTLING: "the provider could still change it when it was imported",
    State.FINAL: "imported after the provider's last changes",
}
Shown = tuple[str, int, str, str]
"""A cause, its nano-dollars, the confidence, what shows it and what to do."""


@writing()
def show(result: Result, verdict: Judged) -> None:
    """Totals, causes, coverage, days, inputs, notes; the verdict is the caller's to tell."""
    out = console()
    out.print(f"Captured against billed, {days_of(result)} (UTC, both included), {result.state.value}")
    out.print()
    out.print(totals(result))
    out.print()
    show_causes(out, result, causes(result, verdict))
    for each, told in ((_coverage(result), _COVERED), (days(result), _state(result))):
        if each.row_count:
            out.print()
            out.print(each)
            out.print(told)
    show_inputs(out, result)


def _state(result: Result) -> str:
    """What the words of its days mean."""
    states = {day.state for day in result.days}
    return "; ".join(f"{state.value}: {_STATES[state]}" for state in State if state in states)


def new_table(*headings: str, right: Iterable[str] = ()) -> Table:
    """Without lines; numbers are never broken, names go on in the next line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        aligned = heading in right
        table.add_column(heading, justify="right" if aligned else "left", no_wrap=aligned, overflow="fold")
    return table


def totals(result: Result) -> Table:
    """The gap and both its sides."""
    table = new_table("", "dollars", right=("dollars",))
    table.add_row("billed", money(result.billed_nanos))
    table.add_row("captured", money(result.captured_nanos))
    table.add_row("gap (billed less captured)", money(result.gap_nanos))
    table.add_row("  billed above captured", money(result.under_nanos))
    table.add_row("  captured above billed", money(result.over_nanos))
    return table


def causes(result: Result, verdict: Judged) -> list[Shown]:
    """The causes and what is unexplained, which add up to the gap, with what shows them."""
    shown = [
        (
            told.cause.value,
            told.nanos,
            told.confidence.value,
            f"{MEANINGS[told.cause]}\n{safe(told.evidence)}\n→ {safe(told.remedy)}",
        )
        for told in by_cause(result)
    ]
    left = f"{money(verdict.off_nanos)} by day and key, without signs"
    return [*shown, unexplained(result, left, begin_with(result))]


def unexplained(result: Result, left: str, begin: str) -> Shown:
    """What no cause has, how much of what that is, and where to begin with it."""
    told = f"{UNEXPLAINED}; {left}"
    return "unexplained", result.unexplained_nanos, "", f"{told}\n→ {safe(begin)}" if begin else told


def show_causes(out: Console, result: Result, shown: Sequence[Shown]) -> None:
    """A table, with the evidence beside it where there is room, else under it."""
    beside = out.width >= BESIDE
    table = new_table(
        "cause", "dollars", "of billed", "confidence", *(["what it is, what shows it, what to do"] if beside else []),
        right=("dollars", "of billed"),
    )  # fmt: skip
    for name, nanos, confidence, evidence in shown:
        row = (name, money(nanos), share(nanos, result.billed_nanos), confidence)
        table.add_row(*row, *([evidence] if beside else []))
    out.print(table)
    out.print(CENTS)
    told = [f"{each.value}: {_CONFIDENCE[each]}" for each in Confidence if any(each.value == one[2] for one in shown)]
    if told:
        out.print(f"Confidence, by what the two sides are joined: {'; '.join(told)}.")
    if not beside:
        for name, nanos, _, evidence in shown:
            out.print()
            out.print(f"{name} {money(nanos)}")
            out.print(Padding(evidence, (0, 0, 0, 2)))


def _coverage(result: Result) -> Table:
    table = new_table(
        "coverage of", "", "billed", "captured", "ratio", "requests", right=("billed", "captured", "ratio", "requests")
    )
    worst = least(result.coverage)
    for each in result.coverage:
        mark = " (least covered)" if each is worst else ""
        table.add_row(
            each.what, safe(each.name) + mark, money(each.billed_nanos), money(each.captured_nanos),
            share(each.captured_nanos, each.billed_nanos), _requests(each),
        )  # fmt: skip
    return table


def _requests(each: Coverage) -> str:
    return "" if each.billed_requests is None else f"{each.captured_requests or 0:,} of {each.billed_requests:,}"


def days(result: Result) -> Table:
    """A row for each day of each provider."""
    table = new_table("day", "provider", "state", "billed", "captured", "gap", "unexplained",
                   right=("billed", "captured", "gap", "unexplained"))  # fmt: skip
    for day in result.days:
        table.add_row(
            span_of(day), safe(day.provider), day.state.value, money(day.billed_nanos), money(day.captured_nanos),
            money(day.billed_nanos - day.captured_nanos), money(day.unexplained_nanos),
        )  # fmt: skip
    return table


def show_inputs(out: Console, result: Result) -> None:
    """What was read, and what is to be known of it."""
    table = new_table("import", "source", "sha256 begins", "data until", "lines", right=("lines",))
    for each in result.inputs:
        refreshed = "" if each.refreshed_ms is None else day_of(each.refreshed_ms)
        table.add_row(safe(each.name), safe(each.source), each.sha256[:16], refreshed, f"{each.lines:,}")
    if table.row_count:
        out.print()
        out.print(table)
    out.print()
    if scope := in_scope(result):
        out.print(f"- {scope}")
    for told in result.notes:
        out.print(f"- {safe(told)}")
