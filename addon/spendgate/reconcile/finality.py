"""How final a provider's figures for a UTC day are (facts/reconciliation.md 10.3). Days of waiting are the provider's own words
where there are any; where none is published, the cautious ones of integrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from spendgate.reconcile.result import State
from spendgate.statement import DAY_MS

HOUR_MS: Final = 3_600_000


class Lag(Struct, frozen=True):
    """Of one provider."""

    late_ms: int
    """How long after its end a day may still be incomplete: what was captured and is not billed yet is late data."""
    settle_days: int | None
    """After how many days it is final; None: with the month that follows."""


_LAGS: Final = {
    "anthropic": Lag(24 * HOUR_MS, 30),
    "openai": Lag(24 * HOUR_MS, None),
    "cursor": Lag(1 * HOUR_MS, None),
    "github-copilot": Lag(24 * HOUR_MS, None),
    "copilot": Lag(24 * HOUR_MS, None),
    "openrouter": Lag(24 * HOUR_MS, 1),
    "aws": Lag(24 * HOUR_MS, None),
    "google": Lag(48 * HOUR_MS, None),
    "azure": Lag(48 * HOUR_MS, None),
}
_OTHER: Final = Lag(24 * HOUR_MS, None)


def lag(provider: str) -> Lag:
    """Its lag."""
    return _LAGS.get(provider, _OTHER)


def state(provider: str, day_ms: int, refreshed_ms: int | None, now_ms: int) -> State:
    """Of the day that begins then, by a statement whose data reach to `refreshed_ms` (or were taken in then)."""
    ends_ms = day_ms + DAY_MS
    if now_ms < ends_ms or (refreshed_ms is not None and refreshed_ms < ends_ms):
        return State.OPEN
    days = lag(provider).settle_days
    final_ms = _next_month(day_ms) if days is None else ends_ms + days * DAY_MS
    seen_ms = now_ms if refreshed_ms is None else min(now_ms, refreshed_ms)
    return State.FINAL if seen_ms >= final_ms else State.SETTLING


def is_young(provider: str, day_ms: int, refreshed_ms: int | None, now_ms: int) -> bool:
    """Whether the provider may still be adding to the day."""
    seen_ms = now_ms if refreshed_ms is None else min(now_ms, refreshed_ms)
    return seen_ms < day_ms + DAY_MS + lag(provider).late_ms


def _next_month(day_ms: int) -> int:
    """A week into the month after: by then a closed month has its invoice."""
    at = datetime.fromtimestamp(day_ms / 1000, UTC)
    first = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=1)
    return int(first.timestamp() * 1000) + 7 * DAY_MS
