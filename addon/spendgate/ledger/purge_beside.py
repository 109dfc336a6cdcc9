"""What goes once the calls of its time are gone: balances of windows that were over before the oldest row, alerts, asks, means,
hosts that were not read.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from spendgate.window import DAY_MS

_TOLD: Final = """at_ms < ? AND (form <> 'digest' OR at_ms < ?) AND window <> 'life' AND window NOT GLOB 'line *'
    AND routed = 1 AND coalesce(again_ms, 0) <= ?"""
_LETTER_KEPT_MS: Final = 15 * DAY_MS
"""A digest of the week that is over would be written anew, were it not there."""


class Beside(Struct, frozen=True):
    """What else was older than is kept: how many rows went."""

    balances: int = 0
    alerts: int = 0
    asks: int = 0
    means: int = 0
    coverage: int = 0

    @property
    def any(self) -> bool:
        """Whether anything went."""
        return any(self.values())

    def values(self) -> tuple[int, ...]:
        """Its numbers, in order."""
        return self.balances, self.alerts, self.asks, self.means, self.coverage

    def __str__(self) -> str:
        words = ("balances of windows that are over", "alerts", "asks", "days' means", "hosts that were not read")
        return ", ".join(f"{count:,} {word}" for count, word in zip(self.values(), words, strict=True) if count)


def purge_beside(conn: sqlite3.Connection, before_ms: int, now_ms: int) -> Beside:
    """Delete it, inside the caller's transaction, once no call is left that may go."""
    [oldest] = conn.execute("SELECT min(booked_ms) FROM call_rows").fetchone()
    upto_ms = before_ms if oldest is None else min(before_ms, oldest)
    conn.execute("UPDATE purging SET before_ms = max(before_ms, ?)", (before_ms,))

    def gone(sql: str, *values: int) -> int:
        return conn.execute(f"DELETE FROM {sql}", values).rowcount  # noqa: S608 - our own words

    told = (before_ms, now_ms - _LETTER_KEPT_MS, now_ms)
    gone(
        "sums WHERE open_calls = 0 AND held = 0 AND id IN (SELECT id FROM windows WHERE budget <> '' AND ends_ms <= ?)",
        upto_ms,
    )
    balances = gone("windows WHERE id NOT IN (SELECT id FROM sums)")
    # What is told once for a life or for a line of the audit trail stays, and so does what is still to be sent.
    gone(
        f"""deliveries WHERE alert IN (SELECT id FROM alerts WHERE {_TOLD})
            AND (delivered_ms IS NOT NULL OR given_up_ms IS NOT NULL)""",  # noqa: S608 - our own words
        *told,
    )  # fmt: skip
    alerts = gone(
        f"alerts WHERE {_TOLD} AND id NOT IN (SELECT alert FROM deliveries)",  # noqa: S608 - our own words
        *told,
    )  # fmt: skip
    gone("letters WHERE alert NOT IN (SELECT id FROM alerts)")
    asks = gone("asks WHERE until_ms < ? AND at_ms < ?", before_ms, before_ms)
    means = gone("means WHERE at_ms < ?", before_ms)
    coverage = gone("coverage WHERE last_ms < ?", before_ms)
    return Beside(balances, alerts, asks, means, coverage)
