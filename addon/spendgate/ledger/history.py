"""The ledger's calls in the order in which they asked to leave, with what was known of each: what `policy replay` reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from spendgate.flow import Tokens
from spendgate.usage import Usage


class Step(NamedTuple):
    """One past call. Nano-dollars, epoch milliseconds, tokens; columns as in the view `calls`.

    `person` and the columns after it up to `session` are all of a call that its rules and budgets go by.
    """

    seq: int
    id: str
    state: str
    arrived_ms: int
    """When it asked: `booked_ms` less what it waited."""
    booked_ms: int
    ended_ms: int | None
    """None: it is still open."""
    person: str
    team: str | None
    groups: str
    machine: str
    account_os: str | None
    tool: str | None
    provider: str
    api_key: str | None
    account: str | None
    project: str | None
    billing: str
    model_requested: str | None
    also_requested: str | None
    """The other models that may have had a part in the answer, as a JSON array of strings; None: there were none, or it was
    written before they were kept."""
    session: str | None
    model: str | None
    """The one that answered."""
    kind: str
    size: str | None
    """`tries.text`; None: never sized, or written before sizes were kept."""
    estimate_nanos: int | None
    ceiling_nanos: int | None
    typical_nanos: int | None
    held_nanos: int | None
    """None: it never held anything (refused, or a result read back)."""
    cost_nanos: int | None
    value_nanos: int | None
    refused_by: str | None
    prices: str | None = None
    """By which price it was charged; None: it was not."""
    sent_ms: int | None = None
    """None: it never left."""
    text_bytes: int | None = None
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_write_other_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    web_searches: int | None = None
    flags: str | None = None
    host: str = ""
    """Empty: nobody said."""

    @property
    def usage(self) -> Usage:
        """Its counts."""
        counts = cast("tuple[int | None, ...]", self[_COUNTS_AT])
        return Usage(*counts)

    @property
    def also(self) -> tuple[str, ...]:
        """The names in `also_requested`."""
        return tuple(json.loads(self.also_requested)) if self.also_requested else ()

    @property
    def used(self) -> Tokens | None:
        """What rates count of it; None where nothing was counted."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        writes = (self.cache_write_5m_tokens, self.cache_write_1h_tokens, self.cache_write_other_tokens)
        counted = (self.input_tokens, *writes, self.output_tokens)
        return Tokens(sum(each or 0 for each in counted), self.cache_read_tokens or 0)


_COUNTS_AT: Final = slice(Step._fields.index("input_tokens"), Step._fields.index("web_searches") + 1)
FACTS_AT: Final = slice(Step._fields.index("person"), Step._fields.index("session") + 1)
"""Where the columns stand that rules and budgets go by."""
UNSESSIONED_AT: Final = slice(FACTS_AT.start, FACTS_AT.stop - 1)
"""The same, but for the session."""

_DECIDED: Final = """state IN ('open', 'settled', 'interrupted', 'refused') OR held_nanos IS NOT NULL"""


def _select(arrived: str, which: str) -> str:
    columns = ", ".join(f"{arrived} AS arrived_ms" if name == "arrived_ms" else name for name in Step._fields)
    return f"""SELECT {columns} FROM call_rows
        WHERE booked_ms >= ?1 AND booked_ms < ?2 AND {which} AND ({_DECIDED})"""  # noqa: S608 - our own words


_STEPS: Final = f"""{_select("booked_ms", "coalesce(waited_ms, 0) = 0")}
    UNION ALL {_select("booked_ms - waited_ms", "waited_ms <> 0")}
    ORDER BY arrived_ms, seq"""
"""Most calls have not waited: an index has them in their order, so that of a whole ledger only the few others are sorted."""
_AT_ONCE: Final = 1_000
_ALWAYS_MS: Final = 2**62


def steps(conn: sqlite3.Connection, since_ms: int, until_ms: int | None) -> Iterator[Step]:
    """Every call that was decided, or charged without a decision, booked from `since_ms` on and before `until_ms`.

    In the order in which they asked; exchanges that cost nothing and were never held are not among them.
    """
    cursor = conn.execute(_STEPS, (since_ms, _ALWAYS_MS if until_ms is None else until_ms))
    while found := cursor.fetchmany(_AT_ONCE):
        yield from map(Step._make, found)
