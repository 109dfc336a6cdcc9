"""A result for programs: one JSON document, and the same as flat rows for CSV. Amounts are whole nano-dollars. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from spendgate.reconcile.remedies import MEANINGS, remedy
from spendgate.reconcile.report.causes import Told, begin_with, by_cause, day_of, least
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.result import Coverage, Day, Finding, Input, Result
from spendgate.statement import DAY_MS

KEYS: Final = (
    "part", "name", "day", "provider", "key", "model", "state", "nanos", "billed_nanos", "captured_nanos", "unexplained_nanos",
    "under_nanos", "over_nanos", "ratio", "requests", "confidence", "evidence", "remedy", "sha256", "refreshed", "from", "until",
    "billed_requests", "calls", "meaning",
)  # fmt: skip
"""Columns of the CSV: every row has those of its part."""
Row = dict[str, object]


def document(result: Result, verdict: Judged, begin: str | None = None) -> Row:
    """All of it. `totals.gap_nanos` is the sum of the causes' `nanos` and `unexplained_nanos`, exactly.

    `begin` is what to do about the unexplained; None: as a report has it.
    """
    worst = least(result.coverage)
    return {
        "from": day_of(result.from_ms),
        "until": day_of(result.until_ms),
        "state": result.state.value,
        "totals": {
            "billed_nanos": result.billed_nanos,
            "captured_nanos": result.captured_nanos,
            "gap_nanos": result.gap_nanos,
            "under_nanos": result.under_nanos,
            "over_nanos": result.over_nanos,
        },
        "causes": [_cause(each) for each in by_cause(result)],
        "unexplained_nanos": result.unexplained_nanos,
        "unexplained_remedy": begin_with(result) if begin is None else begin,
        "tolerance": {
            "unexplained_by_day_nanos": sum(abs(each.unexplained_nanos) for each in result.days),
            "unexplained_by_key_nanos": verdict.off_nanos,
            "allowed_nanos": verdict.allowed_nanos,
            "told": verdict.told,
            "compared": verdict.compared,
            "over": verdict.over,
        },
        "coverage": {
            "total": next((_coverage(each) for each in result.coverage if each.what == "total"), None),
            "least_key": None if worst is None else _coverage(worst),
            **{
                f"{what}s": [_coverage(each) for each in result.coverage if each.what == what]
                for what in ("provider", "tool", "key")
            },
        },
        "days": [_day(each) for each in result.days],
        "findings": [_finding(each) for each in result.findings],
        "inputs": [_input(each) for each in result.inputs],
        "notes": list(result.notes),
    }


def rows(result: Result, verdict: Judged, begin: str | None = None) -> list[Row]:
    """The same, flat: `part` says what a row is about. Parts other than `total` are not to be added to one another."""
    told = begin_with(result) if begin is None else begin
    return [{**dict.fromkeys(KEYS), **row} for row in _rows(result, verdict, told)]


def _rows(result: Result, verdict: Judged, begin: str) -> Iterator[Row]:
    span: Row = {"from": day_of(result.from_ms), "until": day_of(result.until_ms)}
    yield {
        "part": "total", "nanos": result.gap_nanos, "billed_nanos": result.billed_nanos, "captured_nanos": result.captured_nanos,
        "unexplained_nanos": result.unexplained_nanos, "under_nanos": result.under_nanos, "over_nanos": result.over_nanos,
        "state": result.state.value, **span,
    }  # fmt: skip
    for told in by_cause(result):
        yield {**_cause(told), "part": "cause", "name": told.cause.value}
    yield {"part": "unexplained", "nanos": result.unexplained_nanos, "remedy": begin}
    yield {"part": "tolerance", "nanos": verdict.allowed_nanos, "evidence": verdict.told, "state": _word(verdict)}
    for one in result.coverage:
        yield {**_coverage(one), "part": f"coverage by {one.what}", "requests": one.captured_requests}
    for day in result.days:
        yield {**_day(day), "part": "day"}
    for finding in result.findings:
        calls = " ".join(finding.calls)
        yield {**_finding(finding), "part": "finding", "name": finding.cause.value, "calls": calls}
    for each in result.inputs:
        yield {**_input(each), "part": "input", "provider": ", ".join(each.providers)}
    for note in result.notes:
        yield {"part": "note", "evidence": note}


def _word(verdict: Judged) -> str:
    return "over" if verdict.over else "within"


def _cause(told: Told) -> Row:
    return {
        "cause": told.cause.value, "nanos": told.nanos, "under_nanos": told.under_nanos, "over_nanos": told.over_nanos,
        "confidence": told.confidence.value, "findings": len(told.findings), "meaning": MEANINGS[told.cause],
        "evidence": told.evidence, "remedy": told.remedy,
    }  # fmt: skip


def _finding(each: Finding) -> Row:
    return {
        "cause": each.cause.value, "nanos": each.nanos, "confidence": each.confidence.value, "day": day_of(each.day_ms) or None,
        "provider": each.provider, "key": each.key, "model": each.model, "requests": each.requests, "evidence": each.evidence,
        "remedy": each.remedy or remedy(each.cause, (each,)), "calls": list(each.calls),
    }  # fmt: skip


def _coverage(each: Coverage) -> Row:
    return {
        "name": each.name, "billed_nanos": each.billed_nanos, "captured_nanos": each.captured_nanos, "ratio": each.dollars,
        "billed_requests": each.billed_requests, "captured_requests": each.captured_requests, "ids": each.ids,
        "billed_ids": each.billed_ids,
    }  # fmt: skip


def _day(each: Day) -> Row:
    return {
        "day": day_of(each.day_ms), "until": day_of(each.day_ms + DAY_MS if each.until_ms is None else each.until_ms),
        "provider": each.provider, "state": each.state.value, "billed_nanos": each.billed_nanos,
        "captured_nanos": each.captured_nanos, "gap_nanos": each.billed_nanos - each.captured_nanos,
        "unexplained_nanos": each.unexplained_nanos,
    }  # fmt: skip


def _input(each: Input) -> Row:
    return {
        "name": each.name, "source": each.source, "sha256": each.sha256,
        "refreshed": None if each.refreshed_ms is None else instant(each.refreshed_ms), "from": day_of(each.from_ms),
        "until": day_of(each.until_ms), "lines": each.lines, "providers": list(each.providers),
    }  # fmt: skip


def instant(ms: int) -> str:
    """`2026-11-20T12:00:00Z`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
