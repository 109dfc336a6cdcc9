"""Calls by what names them outside the ledger: the ids that the provider gave, and what else tells one request from another."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from spendgate.ledger.results import CORRECTS
from spendgate.ledger.rows import USAGE_COLUMNS
from spendgate.usage import Usage

UNRECOGNIZED: Final = "unrecognized"
"""The state of a request that passed in a form that no reader knows: it has no counts, and may be no request for an answer."""


class NamedCall(Struct, frozen=True):
    """A call that left, or was let pass as something that nobody knows. Epoch milliseconds, nano-dollars."""

    id: str
    booked_ms: int
    ended_ms: int | None
    account: str | None
    """The account of the system whose process asked."""
    tool: str | None
    session: str | None
    provider: str
    host: str
    models: tuple[str, ...]
    """The model that answered and the one that was asked for, as far as they are known."""
    state: str
    basis: str | None
    response_id: str | None
    request_id: str | None
    gate: int
    cost_nanos: int
    value_nanos: int
    usage: Usage


_COLUMNS: Final = (
    "id", "booked_ms", "ended_ms", "account_os", "tool", "session", "provider", "host", "model", "model_requested", "state",
    "basis", "response_id", "request_id", "gate", "cost_nanos", "value_nanos", *USAGE_COLUMNS,
)  # fmt: skip
_ASK: Final = f"""SELECT {", ".join(_COLUMNS)} FROM call_rows WHERE booked_ms >= ? AND booked_ms < ?
    AND state IN ('open', 'settled', 'interrupted', '{UNRECOGNIZED}')
    AND instr(flags, '{CORRECTS}') = 0 ORDER BY booked_ms, seq"""  # noqa: S608 - our own words
_FIXED: Final = _COLUMNS.index(USAGE_COLUMNS[0])


def named(conn: sqlite3.Connection, from_ms: int, until_ms: int) -> tuple[NamedCall, ...]:
    """Calls that were booked from then on and before then, first ones first; what only corrects another one is none."""
    return tuple(_call(row) for row in conn.execute(_ASK, (from_ms, until_ms)))


def _call(row: tuple[object, ...]) -> NamedCall:
    values = dict(zip(_COLUMNS, row[:_FIXED], strict=False))
    models = dict.fromkeys(name for name in (values.pop("model"), values.pop("model_requested")) if name)
    values["account"] = values.pop("account_os")
    for amount in ("cost_nanos", "value_nanos"):
        values[amount] = values[amount] or 0
    # The columns are the fields' own, of the types that the schema is strict about.
    return NamedCall(models=tuple(models), usage=Usage(*row[_FIXED:]), **values)  # type: ignore[arg-type]
