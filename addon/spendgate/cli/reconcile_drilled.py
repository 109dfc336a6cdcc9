"""One day and key for a terminal: each finding, then the lines of the bill and the calls, with every count that they have.

Counts stand in columns where all of them fit, else under their row (`rows_below`): nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from spendgate.cli import reconcile_shown
from spendgate.cli.lines import counted
from spendgate.cli.output import Column, console, money, safe, writing
from spendgate.cli.rows_below import Cells, show_rows
from spendgate.reconcile.captured import Call
from spendgate.reconcile.groups import charged
from spendgate.reconcile.remedies import MEANINGS
from spendgate.reconcile.report.causes import Told, by_cause, day_of, days_of, go_on_with
from spendgate.reconcile.report.document import instant
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.run import Drill
from spendgate.statement import DAY_MS, Billed, Charge, Line
from spendgate.usage import Usage

_SHOWN_ID: Final = 13
"""Of a call's id, as `spendgate calls` has it; `calls show` takes the beginning of one."""
_CALLS_MOST: Final = 5
_NAMES: Final = {
    "input_tokens": "input", "cache_read_tokens": "cache read", "cache_write_5m_tokens": "cache write 5m",
    "cache_write_1h_tokens": "cache write 1h", "cache_write_tokens": "cache write", "output_tokens": "output",
    "web_searches": "web searches",
}  # fmt: skip
"""Counts that have a price of their own, as people read them; what is a part of another one is in none of them."""
_COUNTS: Final = tuple(Column(key, name, right=True) for key, name in _NAMES.items())
_LINES: Final = (
    Column("what", "line", weight=0),
    Column("at", "from (UTC)", weight=2),
    Column("model", "model", weight=1),
    Column("product", "product", weight=5),
    Column("axes", "price axes", weight=4),
    Column("who", "of", weight=5),
    Column("requests", "requests", right=True, weight=2),
    Column("quantity", "quantity", right=True, weight=2),
    *_COUNTS,
    Column("paid", "paid by", weight=2),
    Column("list", "list price", right=True, weight=3),
    Column("money", "billed", right=True, weight=0),
)
_CALLS: Final = (
    Column("at", "left (UTC)", weight=0),
    Column("id", "call", weight=0),
    Column("model", "model", weight=1),
    Column("state", "state", weight=2),
    Column("basis", "counts", weight=2),
    *_COUNTS,
    Column("money", "cost", right=True, weight=0),
    Column("billing", "billing", weight=3),
    Column("tool", "tool", weight=4),
    Column("person", "person", weight=4),
    Column("flags", "flags", weight=5),
)
_PAID: Final = {
    Billed.METERED: "", Billed.INCLUDED: "a plan", Billed.NOT_CHARGED: "nobody", Billed.ELSEWHERE: "another bill",
}  # fmt: skip
_AXES: Final = {"tier": "tier", "speed": "speed", "geo": "region", "context": "context"}


@writing()
def show(drill: Drill, verdict: Judged, key: str) -> None:
    """Totals, findings, lines, calls, inputs, notes."""
    out, result = console(), drill.result
    begin, end = days_of(result).split(" to ")
    span = begin if begin == end else f"{begin} to {end}, both included"
    out.print(f"Captured against billed: {safe(key)}, {span} (UTC), {result.state.value}")
    out.print()
    out.print(reconcile_shown.totals(result))
    out.print()
    several = len({day.provider for day in result.days}) > 1
    shown = [
        (told.cause.value, told.nanos, told.confidence.value, _findings(told, several=several))
        for told in by_cause(result)
    ]
    last = reconcile_shown.unexplained(result, f"{money(verdict.off_nanos)} by model, without signs", go_on_with(drill))
    reconcile_shown.show_causes(out, result, [*shown, last])
    if several:
        out.print()
        out.print(reconcile_shown.days(result))
    billed = sum(map(charged, drill.lines))
    others = any(line.billed is not Billed.METERED and line.billed_nanos for line in drill.lines)
    told = " without what is not paid on this bill" if others else ""
    heading = f"The bill: {counted(len(drill.lines), 'line')}, {money(billed)}{told}"
    show_rows(out, heading, _LINES, [_line(each) for each in drill.lines], together=_COUNTS)
    costs = sum(each.cost_nanos for each in drill.calls)
    one_day = all(result.from_ms <= each.started_ms < result.from_ms + DAY_MS for each in drill.calls)
    heading = f"The ledger: {counted(len(drill.calls), 'call')}, {money(costs)}"
    show_rows(out, heading, _CALLS, [_call(each, one_day=one_day) for each in drill.calls], together=_COUNTS)
    reconcile_shown.show_inputs(out, result)


def _findings(told: Told, *, several: bool) -> str:
    """Each of them with its dollars and calls, and what to do."""
    lines = []
    for each in told.findings:
        place = " ".join(part for part in (each.provider if several else "", each.model, money(each.nanos)) if part)
        ids, more = each.calls[:_CALLS_MOST], len(each.calls) - _CALLS_MOST
        calls = f" (calls {', '.join(one[:_SHOWN_ID] for one in ids)}{f' and {more} more' if more > 0 else ''})"
        lines.append(f"{place}: {each.evidence}{calls if ids else ''}")
    return safe_lines([MEANINGS[told.cause], *lines, f"→ {told.remedy}"])


def safe_lines(lines: Iterable[str]) -> str:
    """Lines of which none has markup or control characters."""
    return "\n".join(map(safe, lines))


def _line(line: Line) -> Cells:
    counts = line.billed_nanos is None and line.token_class is None and line.charge is Charge.TOKENS
    what = "counts" if counts else line.charge.value if line.token_class is None else _NAMES[line.token_class.value]
    who = line.who.email or line.who.user or line.who.key_name or line.who.workspace
    axes = [f"{_AXES[name]} {said}" for name, said in structs.asdict(line.axes).items() if said]
    return {
        "what": what, "at": "" if line.ends_ms - line.starts_ms >= DAY_MS else instant(line.starts_ms)[11:19],
        "model": line.model or "", "product": line.product or "", "axes": ", ".join(axes), "who": who or "",
        "requests": "" if line.requests is None else f"{line.requests:,}",
        "quantity": "" if line.quantity is None else f"{line.quantity} {line.unit or ''}".rstrip(),
        **_counts(line.usage), "paid": _PAID[line.billed], "list": money(line.list_nanos), "money": money(line.billed_nanos),
    }  # fmt: skip


def _call(call: Call, *, one_day: bool) -> Cells:
    at = instant(call.started_ms)
    return {
        "at": at[11:19] if one_day else f"{day_of(call.started_ms)} {at[11:19]}", "id": call.id[:_SHOWN_ID],
        "model": call.model, "state": call.state, "basis": call.basis or "", **_counts(call.usage),
        "money": money(call.cost_nanos), "billing": "" if call.billing == "metered" else call.billing, "tool": call.tool,
        "person": call.person, "flags": call.flags,
    }  # fmt: skip


def _counts(usage: Usage) -> dict[str, str]:
    said: dict[str, int | None] = {key: getattr(usage, key) for key in _NAMES}
    return {key: "" if count is None else f"{count:,}" for key, count in said.items()}
