"""Sums over calls: what was spent, what is held, what was refused."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from spendgate.calibration import CALIBRATED
from spendgate.digest import Stopped
from spendgate.ledger.open_calls import Held
from spendgate.ledger.periods import PERIODS, period_of
from spendgate.ledger.purged_spend import Figures, Key, Wanted, purged_spend
from spendgate.ledger.results import CORRECTS
from spendgate.ledger.selecting import EVERY_CALL, Span, attribute, where

# The column `held_nanos` is the largest hold that a call ever had; what it holds now stands in its holds, one for each balance.
_HELD_NOW: Final = f"""(SELECT coalesce(max(json_extract(hold.value, '$[{Held.__struct_fields__.index("nanos")}]')), 0)
    FROM json_each(call_rows.holds) AS hold)"""  # noqa: S608 - our own words
# What a call on a plan holds in budgets with `counts: value` is no money.
_PAID: Final = "billing NOT IN ('subscription', 'personal')"
_SPEND: Final = f"""count(*) FILTER (WHERE state IN ('open', 'settled', 'interrupted') AND instr(flags, '{CORRECTS}') = 0),
    count(*) FILTER (WHERE state = 'refused'), coalesce(sum(cost_nanos), 0), coalesce(sum(value_nanos), 0),
    coalesce(sum(CASE WHEN state = 'open' AND {_PAID} THEN {_HELD_NOW} END), 0),
    coalesce(sum(cost_nanos) FILTER (WHERE basis <> 'reported'), 0),
    coalesce(sum(input_tokens), 0), coalesce(sum(cache_read_tokens), 0),
    coalesce(sum(coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
        + coalesce(cache_write_other_tokens, 0)), 0),
    coalesce(sum(output_tokens), 0),
    coalesce(sum(cost_nanos) FILTER (WHERE instr(flags, '{CALIBRATED}') > 0), 0)"""


POLICY_PRICE: Final = "policy:unknown_model"
"""What stands in `prices` where no list has the model."""


@dataclass(frozen=True, slots=True)
class Spend:
    """Totals of one group. `key` are its values, in the order asked for; None where a call had none."""

    key: tuple[str | None, ...]
    calls: int
    """Calls that left: settled, interrupted, open."""
    refused: int
    cost_nanos: int
    value_nanos: int
    held_nanos: int
    """What its open calls hold now: of each call the largest of its holds."""
    not_reported_nanos: int
    """The part of the cost that is estimated or a ceiling."""
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    calibrated_nanos: int = 0
    """The part of the estimates that is calibrated by a bill. Sums of purged calls do not tell it."""
    not_captured_nanos: int = 0
    """Beside all of these: what bills have of it and no call (`cli/not_captured`)."""


def spend(
    conn: sqlite3.Connection, by: tuple[str, ...], span: Span, zone: tzinfo, *, week_starts: int = 0
) -> tuple[Spend, ...]:
    """Totals by attributes and periods, dearest first; periods in `zone`, weeks from `week_starts` (Monday is 0).

    Raises ValueError for an attribute that calls do not have.
    """

    def period(word: str, ms: int) -> str:
        return period_of(word, ms, zone, week_starts)

    conn.create_function("period", 2, period, deterministic=True)
    keys = [f"period('{word}', booked_ms)" if word in PERIODS else attribute(word) for word in by]
    condition, values = where(span)
    group = f"GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    columns = ", ".join([*keys, _SPEND])
    sql = f"SELECT {columns} FROM call_rows {condition} {group} ORDER BY {len(keys) + 3} DESC"  # noqa: S608 - checked words
    conn.execute("BEGIN")  # a call is a row or in a sum, at one moment
    try:
        found = [(row[: len(by)], row[len(by) :]) for row in conn.execute(sql, values)]
        wanted = Wanted(by, span.where, span.since_ms, span.until_ms)
        purged = purged_spend(conn, wanted, period) if span.gate is None else {}
    finally:
        conn.execute("ROLLBACK")
    if purged:
        found = _merged(found, purged)
    return tuple(Spend(key, *figures) for key, figures in found)


def _merged(found: list[tuple[Key, Figures]], purged: dict[Key, Figures]) -> list[tuple[Key, Figures]]:
    """Rows and sums together, dearest first."""
    both = dict(found)
    for key, figures in purged.items():
        both[key] = tuple(map(sum, zip(both[key], figures, strict=True))) if key in both else figures
    cost_at = 2
    return sorted(both.items(), key=lambda each: -each[1][cost_at])


def counts(conn: sqlite3.Connection, column: str, span: Span) -> dict[str, int]:
    """How many calls have each value of this column, where they have one."""
    condition, values = where(span)
    sql = f"SELECT {column}, count(*) FROM call_rows {condition} GROUP BY 1"  # noqa: S608 - checked words
    return {value: count for value, count in conn.execute(sql, values) if value is not None}


def guessed_prices(conn: sqlite3.Connection, span: Span = EVERY_CALL) -> tuple[int, int]:
    """Calls of a model that no price list has, and the nano-dollars that the policy's own price makes of them."""
    clause, values = where(span, "instr(prices, ?) > 0 AND cost_nanos > 0")
    sql = f"SELECT count(*), coalesce(sum(cost_nanos), 0) FROM call_rows {clause}"  # noqa: S608 - checked words
    calls, nanos = conn.execute(sql, (*values, POLICY_PRICE)).fetchone()
    return int(calls), int(nanos)


def stopped(conn: sqlite3.Connection, span: Span) -> tuple[Stopped, ...]:
    """What was refused, by person, rule and kind of refusal. The same request (person, team, session, model, size) that a
    rule refused again counts once, with the most that it would have held."""
    clause, values = where(span, "state = 'refused'")
    each = f"""SELECT person, team, coalesce(refused_by, '') AS rule, coalesce(refused_why, '') AS why, count(*) AS calls,
        max(coalesce(refused_hold_nanos, estimate_nanos, 0)) AS most FROM call_rows {clause}
        GROUP BY 1, 2, 3, 4, session, model_requested, text_bytes"""  # noqa: S608 - checked words
    sql = f"SELECT person, team, rule, why, sum(calls), count(*), sum(most) FROM ({each}) GROUP BY 1, 2, 3, 4"  # noqa: S608
    return tuple(Stopped(*row) for row in conn.execute(sql, values))


def open_above_holds(conn: sqlite3.Connection, span: Span = EVERY_CALL) -> int:
    """The most, in nano-dollars, that open calls could still cost above the largest hold that each has now."""
    clause, values = where(span, f"state = 'open' AND {_PAID}")
    sql = f"SELECT coalesce(sum(max(0, ceiling_nanos - {_HELD_NOW})), 0) FROM call_rows {clause}"  # noqa: S608 - checked words
    return int(conn.execute(sql, values).fetchone()[0])


def open_unbounded(conn: sqlite3.Connection, span: Span = EVERY_CALL) -> int:
    """How many of the open calls have no bound that this most could count."""
    clause, values = where(span, f"state = 'open' AND {_PAID} AND ceiling_nanos IS NULL")
    return int(conn.execute(f"SELECT count(*) FROM call_rows {clause}", values).fetchone()[0])  # noqa: S608 - as above
