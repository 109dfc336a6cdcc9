"""Which calls are asked for, and rows by the names of their columns."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from spendgate.ledger.periods import PERIODS

ATTRIBUTES: Final = (
    "person", "team", "machine", "tool", "process", "project", "session", "agent", "agent_name", "parent_agent",
    "provider", "host", "path", "model", "model_requested", "api_key", "account", "account_os", "billing", "state",
    "basis", "kind", "prices", "refused_by", "refused_why", "would_refuse_by",
)  # fmt: skip
"""What spend and calls can be grouped and filtered by, besides the periods `hour`, `day`, `week`, `month`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Calls booked from `since_ms` on and before `until_ms`, with these attributes; empty parts limit nothing.

    An attribute's empty value fits the calls that have none.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    where: tuple[tuple[str, str], ...] = ()
    gate: int | None = None
    """Only calls of this gate (`Ledger.gate_id`)."""
    free: bool = True
    """False: without what costs nothing."""


EVERY_CALL: Final = Span()


def where(span: Span, *more: str) -> tuple[str, tuple[Any, ...]]:
    """A WHERE clause of checked words, with these further conditions, and its values."""
    parts: list[tuple[str, Any]] = [
        (f"{attribute(name)} = ?" if value else f"coalesce({attribute(name)}, '') = ?", value)
        for name, value in span.where
    ]
    if span.since_ms is not None:
        parts.append(("booked_ms >= ?", span.since_ms))
    if span.until_ms is not None:
        parts.append(("booked_ms < ?", span.until_ms))
    if not span.free:
        parts.append(("state <> ?", "free"))
    if span.gate is not None:
        parts.append(("gate = ?", span.gate))
    conditions = [*(part for part, _ in parts), *more]
    clause = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return clause, tuple(value for _, value in parts)


def attribute(name: str) -> str:
    """Its column. Raises ValueError for what calls do not have."""
    if name not in ATTRIBUTES:
        raise ValueError(f"calls have no {name!r}; allowed: {', '.join((*ATTRIBUTES, *PERIODS))}")
    # A model is the one that answered, else the one asked for.
    return "coalesce(model, model_requested)" if name == "model" else name


def rows(conn: sqlite3.Connection, sql: str, values: tuple[Any, ...] = ()) -> tuple[dict[str, Any], ...]:
    """What the statement finds, each row by the names of its columns."""
    cursor = conn.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return tuple(dict(zip(names, row, strict=True)) for row in cursor)
