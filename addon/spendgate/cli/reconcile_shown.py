"""A reconciliation for a terminal: amounts to the cent, evidence in full; JSON and CSV have every digit."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from spendgate.cli.output import Column, Format, console, emit, money, safe, writing
from spendgate.reconcile.captured import Call
from spendgate.reconcile.report.causes import begin_with, by_cause, day_of, days_of, in_scope, least, share, span_of
from spendgate.reconcile.report.document import call_row, line_row
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.result import Coverage, Result
from spendgate.statement import Line

BESIDE = 120
"""Columns of a terminal that has room for evidence beside the amounts; on a narrower one it stands under them."""
_LINES = (
    Column("charge", "charge", weight=0),
    Column("class", "class", weight=1),
    Column("model", "model", weight=1),
    Column("requests", "requests", right=True, weight=2),
    Column("input_tokens", "input", right=True, weight=3),
    Column("output_tokens", "output", right=True, weight=3),
    Column("list_nanos", "list", right=True, weight=2),
    Column("billed_nanos", "billed", right=True, weight=0),
)
_CALLS = (
    Column("at", "left", weight=0),
    Column("id", "call", weight=0),
    Column("model", "model", weight=1),
    Column("state", "state", weight=1),
    Column("basis", "counts", weight=2),
    Column("input_tokens", "input", right=True, weight=3),
    Column("output_tokens", "output", right=True, weight=3),
    Column("cost_nanos", "cost", right=True, weight=0),
    Column("tool", "tool", weight=4),
    Column("person", "person", weight=4),
    Column("flags", "flags", weight=5),
)


@writing()
def show(result: Result, verdict: Judged) -> None:
    """Totals, causes, coverage, days, inputs, notes; the verdict is the caller's to tell."""
    out = console()
    out.print(f"Captured against billed, {days_of(result)} (UTC, both included), {result.state.value}")
    out.print()
    out.print(_totals(result))
    out.print()
    _causes(out, result, verdict)
    for each in (_coverage(result), _days(result), _inputs(result)):
        if each.row_count:
            out.print()
            out.print(each)
    out.print()
    if scope := in_scope(result):
        out.print(f"- {scope}")
    for told in result.notes:
        out.print(f"- {safe(told)}")


def show_rows(lines: Iterable[Line], calls: Iterable[Call]) -> None:
    """A day's lines of the bill, and its calls."""
    out = console()
    out.print()
    emit([line_row(each) for each in lines], _LINES, Format.TABLE, empty="the bill has no line of it")
    out.print()
    emit([call_row(each) for each in calls], _CALLS, Format.TABLE, empty="the ledger has no call of it")


def _table(*headings: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        aligned = heading in right
        table.add_column(heading, justify="right" if aligned else "left", no_wrap=aligned, overflow="fold")
    return table


def _totals(result: Result) -> Table:
    table = _table("", "dollars", right=("dollars",))
    table.add_row("billed", money(result.billed_nanos))
    table.add_row("captured", money(result.captured_nanos))
    table.add_row("gap (billed less captured)", money(result.gap_nanos))
    table.add_row("  billed above captured", money(result.under_nanos))
    table.add_row("  captured above billed", money(result.over_nanos))
    return table


def _causes(out: Console, result: Result, verdict: Judged) -> None:
    """The causes and what is unexplained, which add up to the gap, with their evidence beside or under them."""
    shown = [
        (told.cause.value, told.nanos, told.confidence.value, f"{safe(told.evidence)}\n→ {safe(told.remedy)}")
        for told in by_cause(result)
    ]
    left, begin = f"{money(verdict.off_nanos)} by day and key, without signs", begin_with(result)
    shown.append(("unexplained", result.unexplained_nanos, "", f"{left}\n→ {safe(begin)}" if begin else left))
    beside = out.width >= BESIDE
    table = _table(
        "cause", "dollars", "of billed", "confidence", *(["what shows it, and what to do"] if beside else []),
        right=("dollars", "of billed"),
    )  # fmt: skip
    for name, nanos, confidence, evidence in shown:
        row = (name, money(nanos), share(nanos, result.billed_nanos), confidence)
        table.add_row(*row, *([evidence] if beside else []))
    out.print(table)
    out.print("Amounts are rounded to the cent, each by itself; --format json and csv have every digit.")
    if not beside:
        for name, nanos, _, evidence in shown:
            out.print()
            out.print(f"{name} {money(nanos)}")
            out.print(Padding(evidence, (0, 0, 0, 2)))


def _coverage(result: Result) -> Table:
    table = _table(
        "coverage of", "", "billed", "captured", "ratio", "requests", right=("billed", "captured", "ratio", "requests")
    )
    worst = least(result.coverage)
    for each in result.coverage:
        mark = " (least)" if each is worst else ""
        table.add_row(
            each.what, safe(each.name) + mark, money(each.billed_nanos), money(each.captured_nanos),
            share(each.captured_nanos, each.billed_nanos), _requests(each),
        )  # fmt: skip
    return table


def _requests(each: Coverage) -> str:
    return "" if each.billed_requests is None else f"{each.captured_requests or 0:,} of {each.billed_requests:,}"


def _days(result: Result) -> Table:
    table = _table("day", "provider", "state", "billed", "captured", "gap", "unexplained",
                   right=("billed", "captured", "gap", "unexplained"))  # fmt: skip
    for day in result.days:
        table.add_row(
            span_of(day), safe(day.provider), day.state.value, money(day.billed_nanos), money(day.captured_nanos),
            money(day.billed_nanos - day.captured_nanos), money(day.unexplained_nanos),
        )  # fmt: skip
    return table


def _inputs(result: Result) -> Table:
    table = _table("input", "source", "sha256", "refreshed", "lines", right=("lines",))
    for each in result.inputs:
        refreshed = "" if each.refreshed_ms is None else day_of(each.refreshed_ms)
        table.add_row(safe(each.name), safe(each.source), each.sha256[:16], refreshed, f"{each.lines:,}")
    return table
