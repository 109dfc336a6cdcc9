"""What purged calls add to `spend`: the sums of their days, in the groups that were asked for.

A day counts where its noon (UTC) is in the span. An attribute that a sum does not tell, and the hour, is None there; a filter by
one finds nothing of it, but for the empty one, which finds all: as the group without it has all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple

from spendgate.ledger.day_sums import SUMMED, noon_ms
from spendgate.ledger.periods import PERIODS

Key = tuple[str | None, ...]
Figures = tuple[int, ...]
"""In the order of the figures of `spending.Spend`."""

_FIGURES: Final = """sum(calls), sum(refused), sum(cost_nanos), sum(value_nanos), 0, sum(not_reported_nanos), sum(input_tokens),
    sum(cache_read_tokens), sum(cache_write_5m_tokens + cache_write_1h_tokens + cache_write_other_tokens), sum(output_tokens),
    0"""
_ALWAYS_MS: Final = 2**62


class Wanted(NamedTuple):
    """What is asked for: groups in their order, filters, and epoch milliseconds."""

    by: tuple[str, ...]
    where: tuple[tuple[str, str], ...]
    since_ms: int | None
    until_ms: int | None


def purged_spend(conn: sqlite3.Connection, wanted: Wanted, period: Callable[[str, int], str]) -> dict[Key, Figures]:
    """The sums of purged calls by group; `period` names the day, week or month of an instant. Only reads."""
    if any(value and name not in SUMMED for name, value in wanted.where):
        return {}
    told_of = [(name, value) for name, value in wanted.where if name in SUMMED]
    told = [name for name in wanted.by if name in SUMMED]
    columns = ", ".join(["day", *[f"nullif({name}, '')" for name in told]])
    where = "".join(f" AND {name} = ?" for name, _ in told_of)
    group = ", ".join(str(place + 1) for place in range(1 + len(told)))
    sql = f"SELECT {columns}, {_FIGURES} FROM day_sums WHERE 1{where} GROUP BY {group}"  # noqa: S608 - checked words
    since_ms, until_ms = wanted.since_ms or 0, _ALWAYS_MS if wanted.until_ms is None else wanted.until_ms
    found: dict[Key, Figures] = {}
    for day, *row in conn.execute(sql, [value for _, value in told_of]):
        at_ms = noon_ms(day)
        if not since_ms <= at_ms < until_ms:
            continue
        values, figures = dict(zip(told, row, strict=False)), tuple(row[len(told) :])
        key = tuple(
            period(name, at_ms) if name in PERIODS and name != "hour" else values.get(name) for name in wanted.by
        )
        found[key] = tuple(map(sum, zip(found[key], figures, strict=True))) if key in found else figures
    return {key: figures for key, figures in found.items() if any(figures)}
