"""What a turn of a realtime session used. Audio and images that were cached have prices of their own.

Source: openai-python 3.54, types/realtime/realtime_response_usage.py.
"""

from __future__ import annotations

from typing import Any, Final

from spendgate.providers.reading import Part
from spendgate.providers.shapes import COUNT, Fields, record
from spendgate.usage import Usage

_KINDS: Final = {"text_tokens": COUNT, "audio_tokens": COUNT, "image_tokens": COUNT}
USAGE: Final = record(
    input_tokens=COUNT,
    output_tokens=COUNT,
    input_token_details=record(**_KINDS, cached_tokens=COUNT, cached_tokens_details=record(**_KINDS)),
    output_token_details=record(**_KINDS),
)


def turn_part(usage: Fields | None, model: str | None) -> Part | None:
    """Counts by kind of token, cached ones apart; each kind's total holds its cached ones, as in genai-prices."""
    given: dict[str, Any] = usage or {}
    total, output = given.get("input_tokens"), given.get("output_tokens")
    if total is None or output is None:
        return None
    into = given.get("input_token_details") or {}
    cached_kinds = into.get("cached_tokens_details") or {}
    cached = min(into.get("cached_tokens") or 0, total)
    units: dict[str, int] = {}
    left, cached_left = total, cached
    for kind in ("audio", "image"):
        count = min(into.get(f"{kind}_tokens") or 0, left)
        if count:
            of_it = min(cached_kinds.get(f"{kind}_tokens") or 0, count, cached_left)
            units |= {f"input_{kind}_tokens": count, f"cache_{kind}_read_tokens": of_it}
            left, cached_left = left - count, cached_left - of_it
    # What was cached of no kind is text's, of which there may be less.
    if cached_left > left:
        units = {}
    audio_cached = units.get("cache_audio_read_tokens", 0)
    fresh_audio = min(units.get("input_audio_tokens", 0) - audio_cached, total - cached)
    spoken = min((given.get("output_token_details") or {}).get("audio_tokens") or 0, output)
    usage_found = Usage(
        input_tokens=total - cached,
        cache_read_tokens=cached,
        output_tokens=output,
        input_audio_tokens=fresh_audio,
        output_audio_tokens=spoken,
    )
    return Part(usage_found, model, units=units)
