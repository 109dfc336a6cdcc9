"""Calls as a reconciliation reads them: sums of calls that are alike, and single ones where a single one matters.

Single are calls near midnight, those that an id is asked about, and those that share a response's id. A million calls of forty
people are a few thousand sums; nothing of them is held in memory but what is being read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from spendgate.ledger.rows import USAGE_COLUMNS
from spendgate.usage import Usage

_DAY_MS: Final = 86_400_000
_LEFT: Final = "coalesce(sent_ms, booked_ms)"
"""When the call left for its provider; a result read back has the time of its request."""
_ALIKE: Final = (
    "provider", "coalesce(model, model_requested, '')", "state", "coalesce(api_key, '')", "person", "machine",
    "coalesce(tool, '')", "host", "coalesce(account, '')", "billing", "basis", "coalesce(prices, '')", "flags", "http_status",
)  # fmt: skip
_TOLD: Final = f"""{_LEFT} / :bucket, coalesce(input_tokens, output_tokens) IS NULL, coalesce(cost_nanos, 0) = 0,
    coalesce(input_tokens, 0) + coalesce(output_tokens, 0) = 0"""
"""What else calls must have in common to be one sum: whether they were counted, and cost anything."""
_IN: Final = f"state <> 'refused' AND booked_ms >= :since AND {_LEFT} >= :from AND {_LEFT} < :until"
_EDGE: Final = f"""({_LEFT} % {_DAY_MS} < :edge OR {_LEFT} % {_DAY_MS} >= {_DAY_MS} - :edge
    OR coalesce(ended_ms, 0) / {_DAY_MS} > {_LEFT} / {_DAY_MS})"""
_SINGLE: Final = f"""({_EDGE} OR coalesce(response_id IN (SELECT value FROM json_each(:ids)), 0)
    OR coalesce(request_id IN (SELECT value FROM json_each(:ids)), 0)
    OR coalesce(response_id IN (SELECT response_id FROM call_rows WHERE {_IN} AND response_id IS NOT NULL
        GROUP BY response_id HAVING count(*) > 1), 0))"""  # noqa: S608 - our own words
_SUMS: Final = f"""SELECT min({_LEFT}), {", ".join(_ALIKE)}, coalesce(sum(cost_nanos), 0), coalesce(sum(value_nanos), 0),
    count(*), '', NULL, NULL, NULL, {", ".join(f"sum({name})" for name in USAGE_COLUMNS)} FROM call_rows
    WHERE {_IN} AND NOT {_SINGLE} GROUP BY {", ".join(str(place) for place in range(2, len(_ALIKE) + 2))}, {_TOLD}
    ORDER BY 1, min(seq)"""  # noqa: S608 - as above
_ONE: Final = f"""SELECT {_LEFT}, {", ".join(_ALIKE)}, coalesce(cost_nanos, 0), coalesce(value_nanos, 0), 1, id, ended_ms,
    request_id, response_id, {", ".join(USAGE_COLUMNS)} FROM call_rows WHERE {_IN}"""  # noqa: S608 - as above
_SINGLES: Final = f"{_ONE} AND {_SINGLE} ORDER BY 1, seq"
_RUNNING: Final = f"""SELECT {_LEFT}, provider, coalesce(model, model_requested, ''), coalesce(api_key, ''), person,
    coalesce(held_nanos, 0) FROM call_rows WHERE state = 'open' AND {_IN}"""  # noqa: S608 - as above
_LONGEST_MS: Final = _DAY_MS
"""How long a call may have waited for its head to leave after it was booked: no policy lets one wait so long."""


class Alike(NamedTuple):
    """One call, or `calls` that are alike but for amounts, counts and moments, all of one bucket of time. Words as in `calls`."""

    left_ms: int
    provider: str
    model: str
    state: str
    api_key: str
    person: str
    machine: str
    tool: str
    host: str
    account: str
    billing: str
    basis: str | None
    prices: str
    flags: str
    http_status: int | None
    cost_nanos: int
    value_nanos: int
    calls: int
    id: str
    """Of a single call; "" of a sum."""
    ended_ms: int | None
    request_id: str | None
    response_id: str | None
    usage: Usage


def alike(
    conn: sqlite3.Connection, span: tuple[int, int], ids: Iterable[str], edge_ms: int, bucket_ms: int
) -> Iterator[Alike]:
    """Every call but refused ones that left in `span` (from, until): sums of buckets that long, then single ones as they left."""
    from_ms, until_ms = span
    values = {
        "since": from_ms - _LONGEST_MS,
        "from": from_ms,
        "until": until_ms,
        "edge": edge_ms,
        "bucket": bucket_ms,
        "ids": json.dumps(sorted(ids)),
    }
    for sql in (_SUMS, _SINGLES):
        yield from map(_read, conn.execute(sql, values))


def singles(conn: sqlite3.Connection, from_ms: int, until_ms: int) -> Iterator[Alike]:
    """Every call but refused ones that left in this span, each by itself, as they left."""
    values = {"since": from_ms - _LONGEST_MS, "from": from_ms, "until": until_ms}
    return map(_read, conn.execute(f"{_ONE} ORDER BY 1, seq", values))


class Running(NamedTuple):
    """An open call, with the largest hold that it has had."""

    left_ms: int
    provider: str
    model: str
    api_key: str
    person: str
    held_nanos: int


def running(conn: sqlite3.Connection, from_ms: int, until_ms: int) -> Iterator[Running]:
    """The open calls that left in this span."""
    values = {"since": from_ms - _LONGEST_MS, "from": from_ms, "until": until_ms}
    return map(Running._make, conn.execute(_RUNNING, values))


def gate_signs(conn: sqlite3.Connection) -> dict[int, tuple[str, int]]:
    """By gate its machine, and when it last wrote a call."""
    found = conn.execute(
        "SELECT gate, max(machine), max(coalesce(ended_ms, booked_ms)) FROM call_rows GROUP BY gate ORDER BY gate"
    )
    return {gate: (machine, last_ms) for gate, machine, last_ms in found}


def _read(row: tuple[Any, ...]) -> Alike:
    place = len(row) - len(USAGE_COLUMNS)
    return Alike._make((*row[:place], Usage(*row[place:])))
