"""Anthropic's `usage` object as Usage and Parts.

Its `input_tokens` excludes cache reads and writes, as ours does. Reports of one stream are cumulative and each overwrites only
what it holds; the split of cache writes by time-to-live stands in `message_start` and in whole answers alone. Where
`iterations` is given, it is what is billed, each at its own model, and the counts beside it are not; an attempt that declined
before any output, followed by a fallback, is listed but free. Sources: facts/wire-formats.md 1.2-1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spendgate.providers.reading import Part
from spendgate.providers.shapes import COUNT, TEXT, Fields, items, record
from spendgate.providers.stated import STATED, stated_nanos
from spendgate.usage import NO_USAGE, Usage

_COUNTS: Final = {
    "input_tokens": COUNT,
    "cache_creation_input_tokens": COUNT,
    "cache_read_input_tokens": COUNT,
    "cache_creation": record(ephemeral_5m_input_tokens=COUNT, ephemeral_1h_input_tokens=COUNT),
    "output_tokens": COUNT,
    "output_tokens_details": record(thinking_tokens=COUNT),
    "server_tool_use": record(web_search_requests=COUNT),
}
USAGE: Final = record(
    **_COUNTS,
    service_tier=TEXT,
    inference_geo=TEXT,
    speed=TEXT,
    iterations=items(record(type=TEXT, model=TEXT, **_COUNTS)),
    fallback_credit=record(status=record(type=TEXT)),
    **STATED,
)
ITERATIONS_MAX: Final = 1024
"""Samplings of one answer that are looked at; of more it is an estimate. A megabyte holds 300,000 of nothing."""
SPLIT_ASSUMED: Final = "split of cache writes assumed"
CREDITED: Final = "fallback credit: cache writes at their full price"
"""Flag of a retry that redeemed a refusal's credit: Anthropic bills those of its cache writes that the refusing model had cached
as reads, and no answer says how many these are (anthropic 2.10, beta `fallback_credit_token`)."""


@dataclass(slots=True)
class Counts:
    """The counts of one answer as they become known."""

    ttl: str | None = None
    """The only time-to-live that the request's cache marks name, `1h`; else None."""
    usage: Usage = NO_USAGE
    tier: str | None = None
    geo: str | None = None
    speed: str | None = None
    iterations: tuple[tuple[str, str | None, Usage], ...] = ()
    """(kind, model, usage) of each sampling."""
    stated: int | None = None
    """What the last report says that the call cost, in nano-dollars: OpenRouter's Messages do."""
    cut: bool = False
    """Whether there were more samplings than are looked at."""
    assumed: bool = False
    """Whether a split of cache writes was assumed."""
    credited: bool = False
    """Whether a fallback credit was redeemed."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What of these counts is not exact."""
        told = ((self.assumed, SPLIT_ASSUMED), (self.credited and self.usage.writes, CREDITED))
        return tuple([flag for said, flag in told if said])

    def report(self, found: Fields) -> None:
        """Overlay one `usage` object."""
        self.usage = self.usage.overlaid(self._usage(found, self.usage))
        self.tier = found.get("service_tier") or self.tier
        self.geo = found.get("inference_geo") or self.geo
        self.speed = found.get("speed") or self.speed
        self.stated = stated_nanos(found)
        credit = (found.get("fallback_credit") or {}).get("status") or {}
        self.credited = self.credited or credit.get("type") == "redeemed"
        if found.get("iterations"):
            each = [one for one in found["iterations"] if one is not None]
            self.iterations = tuple(
                (one.get("type") or "message", one.get("model"), self._usage(one, self.usage))
                for one in each[:ITERATIONS_MAX]
            )
            self.cut = len(each) > ITERATIONS_MAX

    def parts(self, model: str | None) -> tuple[Part, ...]:
        """What is billed; `model` is the one that answered."""
        context = {}
        if self.tier == "batch":
            context["processing"] = "batch"
        elif self.tier and self.tier != "standard":
            context["service_tier"] = self.tier
        if self.speed == "fast":
            context["speed"] = "fast"
        geo = self.geo if self.geo == "us" else None
        if not self.iterations:
            return () if self.usage == NO_USAGE else (Part(self.usage, model, context, geo),)
        fallbacks = [place for place, (kind, _, _) in enumerate(self.iterations) if kind == "fallback_message"]
        last = fallbacks[-1] if fallbacks else 0
        billed = [one for place, one in enumerate(self.iterations) if place >= last or one[2].output_tokens]
        parts = [Part(usage, name or model, context, geo) for _, name, usage in billed]
        searches = self.usage.web_searches
        if searches and parts and not any(part.usage.web_searches for part in parts):
            first = parts[0].usage + Usage(web_searches=searches)
            parts[0] = Part(first, parts[0].model, context, geo)
        if self.cut:
            parts.append(Part(NO_USAGE, model, context, geo))
        return tuple(parts)

    def _usage(self, found: Fields, earlier: Usage) -> Usage:
        five, hour = self._writes(found, earlier)
        return Usage(
            input_tokens=found.get("input_tokens"),
            cache_read_tokens=found.get("cache_read_input_tokens"),
            cache_write_5m_tokens=five,
            cache_write_1h_tokens=hour,
            output_tokens=found.get("output_tokens"),
            reasoning_tokens=(found.get("output_tokens_details") or {}).get("thinking_tokens"),
            web_searches=(found.get("server_tool_use") or {}).get("web_search_requests"),
        )

    def _writes(self, found: Fields, earlier: Usage) -> tuple[int | None, int | None]:
        """Cache writes as (5 minutes, 1 hour), in the report's own split, else in the split known so far."""
        split = found.get("cache_creation") or {}
        five, hour = split.get("ephemeral_5m_input_tokens"), split.get("ephemeral_1h_input_tokens")
        total = found.get("cache_creation_input_tokens")
        if total is None:
            return five, hour
        if five is None and hour is None:
            five, hour = earlier.cache_write_5m_tokens, earlier.cache_write_1h_tokens
        told = split_told(total, five, hour)
        if told is not None:
            return told
        # 1 hour costs 1.6 times as much as 5 minutes: the excess follows the split that is known, else what was asked for.
        self.assumed = True
        known = (five or 0) + (hour or 0)
        long = total * (hour or 0) // known if known else (total if self.ttl == "1h" else 0)
        return total - long, long


def split_told(total: int, five: int | None, hour: int | None) -> tuple[int, int] | None:
    """Cache writes as (5 minutes, 1 hour), where that split is all of the total that was reported beside it; else None."""
    return (five or 0, hour or 0) if (five or 0) + (hour or 0) == total else None
