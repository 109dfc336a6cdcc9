"""One day of one key for programs: the document of its result with its lines of the bill and its calls, and both as flat rows.

Every class of tokens has a column of its own, named as in the view `calls`: `cache_write_tokens` is the sum of the three kinds of
cache writes, the others are disjoint. Amounts are whole nano-dollars. Pure.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from spendgate.reconcile.captured import Call
from spendgate.reconcile.report import document
from spendgate.reconcile.report.causes import day_of, go_on_with
from spendgate.reconcile.report.document import Row, instant
from spendgate.reconcile.report.tolerance import Judged
from spendgate.reconcile.run import Drill
from spendgate.statement import Line
from spendgate.usage import Usage

COUNT_KEYS: Final = (
    "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "web_searches",
)  # fmt: skip
LINE_KEYS: Final = (
    "from", "until", "provider", "model", "product", "charge", "class", "billed", "billed_nanos", "list_nanos", "requests",
    "quantity", "unit", *COUNT_KEYS, "tier", "speed", "geo", "context", "organization", "workspace", "key", "key_name",
    "key_hint", "user", "email", "response_id", "request_id", "amount",
)  # fmt: skip
CALL_KEYS: Final = (
    "at", "id", "provider", "model", "state", "basis", "cost_nanos", "value_nanos", *COUNT_KEYS, "person", "machine", "tool",
    "api_key", "billing", "prices", "http_status", "response_id", "request_id", "flags",
)  # fmt: skip
KEYS: Final = tuple(dict.fromkeys((*document.KEYS, *LINE_KEYS, *CALL_KEYS)))
"""Columns of the CSV: those of a report, and what rows with the part `line` or `call` have besides."""


def drilled(drill: Drill, verdict: Judged) -> Row:
    """One day and key: as of a report, with its lines of the bill and its calls."""
    return {
        **document.document(drill.result, verdict, go_on_with(drill)),
        "lines": [line_row(each) for each in drill.lines],
        "calls": [call_row(each) for each in drill.calls],
    }


def rows(drill: Drill, verdict: Judged) -> list[Row]:
    """The same, flat."""
    day: Row = {"day": day_of(drill.result.from_ms)}
    told = document.rows(drill.result, verdict, go_on_with(drill))
    told += [{**line_row(each), "part": "line", **day} for each in drill.lines]
    told += [{**call_row(each), "part": "call", **day} for each in drill.calls]
    return [{**dict.fromkeys(KEYS), **row} for row in told]


def line_row(line: Line) -> Row:
    """A line of the bill. None is what its source does not say."""
    return {
        "from": instant(line.starts_ms), "until": instant(line.ends_ms), "provider": line.provider, "model": line.model,
        "product": line.product, "charge": line.charge.value, "class": line.token_class and line.token_class.value,
        "billed": line.billed.value, "billed_nanos": line.billed_nanos, "list_nanos": line.list_nanos,
        "requests": line.requests, "quantity": line.quantity, "unit": line.unit, **_counts(line.usage),
        **structs.asdict(line.axes), **structs.asdict(line.who), "response_id": line.response_id,
        "request_id": line.request_id, "amount": line.amount,
    }  # fmt: skip


def call_row(call: Call) -> Row:
    """A call of the ledger."""
    return {
        "at": instant(call.started_ms), "id": call.id, "provider": call.provider, "model": call.model, "state": call.state,
        "basis": call.basis, "cost_nanos": call.cost_nanos, "value_nanos": call.value_nanos, **_counts(call.usage),
        "person": call.person, "machine": call.machine, "tool": call.tool, "api_key": call.api_key, "billing": call.billing,
        "prices": call.prices, "http_status": call.http_status, "response_id": call.response_id, "request_id": call.request_id,
        "flags": call.flags,
    }  # fmt: skip


def _counts(usage: Usage) -> Row:
    other = usage.cache_write_tokens
    said = (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens, other)
    whole = None if all(each is None for each in said) else usage.writes
    return {**structs.asdict(usage), "cache_write_other_tokens": other, "cache_write_tokens": whole}
