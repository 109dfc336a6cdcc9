"""The page: one HTML file that needs no network and no script, for a screen of any width, in light and dark, and for paper.

Whatever a bill or a ledger names is escaped, and its control characters are shown (`text`); a content policy forbids all but the
page's own style. Pure: the same result makes the same page, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from spendgate.inert_text import inert
from spendgate.money import dollars, short_dollars
from spendgate.plural import counted
from spendgate.reconcile.remedies import MEANINGS, UNEXPLAINED
from spendgate.reconcile.report import charts
from spendgate.reconcile.report.causes import (
    Told,
    begin_with,
    by_cause,
    day_of,
    days_of,
    in_scope,
    least,
    share,
    span_of,
    waterfall,
)
from spendgate.reconcile.report.page_style import STYLE
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.result import Coverage, Finding, Result

FINDINGS_MOST: Final = 10
"""Of one cause; the others are told by their number and sum, and JSON and CSV have them."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_COMMAND: Final = re.compile(r"`([^`<>]*)`")
CENTS: Final = (
    "Amounts are rounded to the cent, below a cent to the millionth of a dollar, each by itself; the JSON and CSV of this report"
    " have every digit."
)
Cells = Sequence[str]
"""HTML, escaped already."""


def page(result: Result, verdict: Judged) -> str:
    """The whole document."""
    span = days_of(result)
    body = "\n".join(
        (
            "<header><h1>Captured against billed</h1>"
            f"<p>{text(span)} (UTC, both included) · <b class=state>{text(result.state.value)}</b></p></header>",
            _totals(result, verdict),
            _gap(result),
            _coverage(result),
            _days(result),
            _findings(result),
            _inputs(result),
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>Captured against billed, {text(span)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Text of others in HTML: no markup, no control characters."""
    return escape(inert(str(value)))


def _advice(remedy: str) -> str:
    """Text with its commands and keys set apart."""
    return _COMMAND.sub(r"<code>\1</code>", text(remedy))


def _money(nanos: int) -> str:
    """To the cent, with every digit for whoever points at it."""
    return f'<data value="{nanos}" title="{dollars(nanos)}">{short_dollars(nanos)}</data>'


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}">\n<h2>{title}</h2>\n{content}\n</section>'


def _table(headings: Sequence[str], rows: Iterable[Cells], right: Sequence[int] = ()) -> str:
    """A table that on a narrow screen is a card for each row, with its headings beside the cells."""
    head = "".join(f'<th scope="col"{_aligned(at, right)}>{each}</th>' for at, each in enumerate(headings))
    body = "\n".join(
        "<tr>" + "".join(_cell(headings[at], cell, at in right) for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _cell(heading: str, cell: str, right: bool) -> str:
    """What is in it is one element, beside its heading on a narrow screen."""
    held = f"<div>{cell}</div>" if cell else ""
    return f'<td data-h="{heading}"{" class=n" if right else ""}>{held}</td>'


def _aligned(at: int, right: Sequence[int]) -> str:
    return " class=n" if at in right else ""


def _figure(drawings: Sequence[str], legend: Sequence[tuple[str, str]]) -> str:
    keys = " ".join(f'<span class="key {name}">{told}</span>' for name, told in legend)
    drawn = "".join(f"<div class={width}>{svg}</div>" for width, svg in zip(charts.WIDTHS, drawings, strict=True))
    return f"<figure>{drawn}<figcaption>{keys}</figcaption></figure>"


def _totals(result: Result, verdict: Judged) -> str:
    cards = (
        ("Billed", _money(result.billed_nanos), ""),
        ("Captured", _money(result.captured_nanos), _of_billed(result.captured_nanos, result)),
        ("Gap", _money(result.gap_nanos), "billed less captured"),
        ("Unexplained", _money(result.unexplained_nanos), _of_billed(result.unexplained_nanos, result)),
    )  # fmt: skip
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{amount}</dd><dd class=sub>{told}</dd></div>" for name, amount, told in cards
    )
    word, kind = ("over", "bad") if verdict.over else ("within", "good")
    said = (
        f"{_money(verdict.off_nanos)} unexplained, by day and key without signs; tolerance {text(verdict.told)}"
        if verdict.compared
        else "nothing could be compared: no closed day has a statement"
    )
    apart = f"Billed above captured {_money(result.under_nanos)}; captured above billed {_money(result.over_nanos)}. {CENTS}"
    return f"<dl class=cards>{shown}</dl>\n<p class=verdict><b class={kind}>{word} the tolerance</b> {said}.</p>\n<p>{apart}</p>"


def _of_billed(nanos: int, result: Result) -> str:
    part = share(nanos, result.billed_nanos)
    return f"{part} of billed" if part else "nothing is billed"


def _gap(result: Result) -> str:
    steps = waterfall(result)
    legend = (("under", charts.UNDER), ("over", charts.OVER))
    figure = _figure([charts.waterfall(steps, width) for width in charts.WIDTHS], legend)
    rows = [
        (
            f"<b>{text(told.cause.value)}</b>", _money(told.nanos), share(told.nanos, result.billed_nanos),
            text(told.confidence.value), f"{text(MEANINGS[told.cause])}<br>{text(told.evidence)}", _advice(told.remedy),
        )
        for told in by_cause(result)
    ]  # fmt: skip
    left = result.unexplained_nanos
    part, begin = share(left, result.billed_nanos), _advice(begin_with(result))
    rows.append(("<b>unexplained</b>", _money(left), part, "", UNEXPLAINED, begin))
    headings = ("Cause", "Dollars", "Of billed", "Confidence", "What it is, what shows it", "What to do next")
    return _section("causes", "The gap by its causes", figure + _table(headings, rows, (1, 2)))


def _coverage(result: Result) -> str:
    worst = least(result.coverage)
    told = (
        f"<p>Least covered: <b>{text(worst.name)}</b>, {share(worst.captured_nanos, worst.billed_nanos)}.</p>"
        if worst
        else ""
    )
    if scope := in_scope(result):
        told += f"<p>{text(scope)}</p>"
    rows = [
        (
            text(each.what), text(each.name), _money(each.billed_nanos), _money(each.captured_nanos),
            share(each.captured_nanos, each.billed_nanos), _requests(each),
        )
        for each in result.coverage
    ]  # fmt: skip
    headings = ("Of", "Name", "Billed", "Captured", "Ratio", "Requests")
    return _section("coverage", "Coverage, of what is in scope", told + _table(headings, rows, (2, 3, 4, 5)))


def _requests(each: Coverage) -> str:
    return "" if each.billed_requests is None else f"{each.captured_requests or 0:,} of {each.billed_requests:,}"


def _days(result: Result) -> str:
    legend = (("billed", "billed"), ("captured", "captured"))
    single = [day for day in result.days if day.until_ms is None]  # a month's sum is no bar of its first day
    figure = _figure([charts.days(single, width) for width in charts.WIDTHS], legend) if single else ""
    rows = [
        (
            span_of(day), text(day.provider), text(day.state.value), _money(day.billed_nanos), _money(day.captured_nanos),
            _money(day.billed_nanos - day.captured_nanos), _money(day.unexplained_nanos),
        )
        for day in result.days
    ]  # fmt: skip
    headings = ("Day", "Provider", "State", "Billed", "Captured", "Gap", "Unexplained")
    return _section("days", "Days", figure + _table(headings, rows, (3, 4, 5, 6)))


def _findings(result: Result) -> str:
    parts = [_of_cause(told) for told in by_cause(result)]
    return _section("findings", "What each cause rests on", "\n".join(parts) or "<p>Nothing was found.</p>")


def _of_cause(told: Told) -> str:
    shown, others = told.findings[:FINDINGS_MOST], told.findings[FINDINGS_MOST:]
    more = ""
    if others:
        left = sum(each.nanos for each in others)
        more = f"<p>{counted(len(others), 'smaller finding')}, {_money(left)} together: in the JSON and CSV of this report.</p>"
    headings = ("Day", "Where", "Dollars", "Confidence", "What shows it")
    table = _table(headings, [_finding(each) for each in shown], (2,))
    means = f"<p>{text(MEANINGS[told.cause])}</p>\n<p>{_advice(told.remedy)}</p>"
    return f"<h3>{text(told.cause.value)} {_money(told.nanos)}</h3>\n{means}\n{table}\n{more}"


def _finding(each: Finding) -> Cells:
    where = " · ".join(text(part) for part in (each.provider, each.key, each.model) if part)
    return day_of(each.day_ms), where, _money(each.nanos), text(each.confidence.value), text(each.evidence)


def _inputs(result: Result) -> str:
    rows = [
        (
            text(each.name), text(each.source), f"{day_of(each.from_ms)} until {day_of(each.until_ms)}",
            "" if each.refreshed_ms is None else day_of(each.refreshed_ms), f"{each.lines:,}",
            f"<code>{text(each.sha256)}</code>",
        )
        for each in result.inputs
    ]  # fmt: skip
    notes = "".join(f"<li>{text(each)}</li>" for each in result.notes)
    headings = ("Import", "Source", "Days", "Refreshed", "Lines", "SHA-256")
    return _section("inputs", "Inputs", f"{_table(headings, rows, (4,))}\n<h3>Notes</h3>\n<ul>{notes}</ul>")
