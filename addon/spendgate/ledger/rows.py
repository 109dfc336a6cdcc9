"""A call as a row: which value goes to which column. Column names are the ledger's public words (design.md)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from spendgate.admission import Refuse
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.usage import Usage

OPENED_FIRST = (
    "id", "started_ms", "person", "machine", "provider", "host", "path", "team", "groups", "account_os", "tool", "process",
    "project", "session", "agent", "parent_call", "evidence", "api_key", "billing", "dialect", "model_requested", "kind",
    "estimate_nanos", "ceiling_nanos", "typical_nanos", "request_bytes", "text_bytes", "policy_hash",
)  # fmt: skip
"""What `opened` filled before sub-agents were told apart: the oldest links of the chain cover no more of a call's beginning."""

OPENED_SECOND = (*OPENED_FIRST, "agent_name", "parent_agent")
"""What it filled before a call's size was kept."""

OPENED_THIRD = (*OPENED_SECOND, "size")
"""What it filled before the other models of a request were kept."""

OPENED = (*OPENED_THIRD, "also_requested")
"""The columns that `opened` fills, in its order; `account` is apart, since an answer may name a better one."""

ID_AT, KIND_AT, CEILING_AT = (OPENED.index(name) for name in ("id", "kind", "ceiling_nanos"))

HOLDING = ("state", "gate", "booked_ms", "sent_ms", "held_nanos", "waited_ms", "would_refuse_by", "holds")
"""What an open call has besides."""

RUNNING = ("account", "booked_ms", "sent_ms", "held_nanos", "waited_ms", "would_refuse_by")
"""What an open call has gathered by its end."""

USAGE_COLUMNS = tuple(
    "cache_write_other_tokens" if name == "cache_write_tokens" else name for name in Usage.__struct_fields__
)
"""Usage's counts in its own order; the view's `cache_write_tokens` is the sum of all writes."""

SETTLED = (
    "state", "basis", "cost_nanos", "value_nanos", "ended_ms", "model", "http_status", "first_byte_ms", "duration_ms",
    "request_id", "response_id", "response_bytes", "prices", "flags", *USAGE_COLUMNS,
)  # fmt: skip
"""The columns that `ended` fills, in its order."""

REFUSED = (
    "state", "booked_ms", "ended_ms", "waited_ms", "http_status", "refused_by", "refused_why", "refused_reason",
    "refused_value", "refused_settled_nanos", "refused_held_nanos", "refused_hold_nanos", "refused_limit_nanos",
    "refused_resets_ms", "refused_others", "flags",
)  # fmt: skip
"""The columns that `refused` fills, in its order."""

RECORDED = (
    "state", "booked_ms", "ended_ms", "http_status", "response_bytes", "duration_ms", "first_byte_ms", "flags",
)  # fmt: skip
"""What a call that held nothing ends with."""

Values = tuple[Any, ...]


def insert_sql(columns: tuple[str, ...], *, once: bool = False) -> str:
    """One prepared INSERT into `call_rows` for these columns; `once` makes writing the same call twice change nothing."""
    verb = "INSERT OR IGNORE" if once else "INSERT"
    marks = ", ".join("?" * len(columns))
    return f"{verb} INTO call_rows ({', '.join(columns)}) VALUES ({marks})"


def opened(row: CallRow) -> Values:
    """The values of OPENED."""
    return (
        row.id, row.started_ms, row.person, row.machine, row.provider, row.host, row.path, row.team, ",".join(row.groups),
        row.account_os, row.tool, row.process, row.project, row.session, row.agent, row.parent_call, row.evidence,
        row.api_key, row.billing, row.dialect, row.model_requested, row.kind, row.estimate_nanos,
        row.ceiling_nanos, row.typical_nanos, row.request_bytes, row.text_bytes, row.policy_hash,
        row.agent_name, row.parent_agent, row.size, row.also_requested,
    )  # fmt: skip


def ended(end: Settlement, flags: tuple[str, ...]) -> Values:
    """The values of SETTLED."""
    use = end.usage
    return (
        end.state, end.basis, end.cost_nanos, end.value_nanos, end.ended_ms, end.model, end.http_status,
        end.first_byte_ms, end.duration_ms, end.request_id, end.response_id, end.response_bytes, end.prices, ",".join(flags),
        use.input_tokens, use.cache_read_tokens, use.cache_write_5m_tokens, use.cache_write_1h_tokens,
        use.cache_write_tokens, use.output_tokens, use.reasoning_tokens, use.input_audio_tokens, use.output_audio_tokens,
        use.web_searches,
    )  # fmt: skip


counts: Callable[[Usage], Values] = attrgetter(*Usage.__struct_fields__)
"""The values of USAGE_COLUMNS alone."""


def refused(refuse: Refuse, now_ms: int, waited_ms: int, http_status: int, flags: tuple[str, ...]) -> Values:
    """The values of REFUSED: the figures of that moment, by which the refusal can be proved (promise 4)."""
    return (
        "refused", now_ms, now_ms, waited_ms, http_status, refuse.rule, refuse.kind.value, refuse.reason, refuse.value,
        refuse.settled_nanos, refuse.held_nanos, refuse.hold_nanos, refuse.limit_nanos, refuse.resets_ms, refuse.others,
        ",".join(flags),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call read back: as it was opened, and what became of it. Amounts in nano-dollars, times in epoch milliseconds."""

    seq: int
    row: CallRow
    state: str
    booked_ms: int
    model: str | None
    """The model that answered."""
    cost_nanos: int | None
    value_nanos: int | None
    basis: str | None
    usage: Usage
    flags: tuple[str, ...] = ()


PAST = (
    "seq", "state", "booked_ms", "model", "cost_nanos", "value_nanos", "basis", "account", "flags", *OPENED, *USAGE_COLUMNS,
)  # fmt: skip
"""The columns that `past` reads, in its order."""
_FIXED = 9


def past(values: Values) -> PastCall:
    """Read PAST's columns back."""
    seq, state, booked_ms, model, cost, value, basis, account, flags = values[:_FIXED]
    opening = dict(zip(OPENED, values[_FIXED:], strict=False))
    opening["groups"] = tuple(opening["groups"].split(",")) if opening["groups"] else ()
    usage = Usage(*values[_FIXED + len(OPENED) :])
    row, told = CallRow(**opening, account=account), tuple(flags.split(",")) if flags else ()
    return PastCall(seq, row, state, booked_ms, model, cost, value, basis, usage, told)


def select_past(conn: sqlite3.Connection, where: str, values: Values) -> list[PastCall]:
    """Past calls by a WHERE clause (and what follows it) of the caller's own words."""
    sql = f"SELECT {', '.join(PAST)} FROM call_rows WHERE {where}"  # noqa: S608 - values are bound, words are ours
    return [past(found) for found in conn.execute(sql, values)]
