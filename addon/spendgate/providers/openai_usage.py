"""OpenAI's `usage` object, as chat, responses and embeddings spell it, as Usage.

Its input count includes what was read from and written to a cache, ours does not. Its output count includes reasoning; a few
compatible hosts count that beside it (xAI's chat), which `total_tokens` shows: 12 in, 1 out and 290 reasoning are 303. Where no
output is counted, what the total has beyond the input is output.
Where cached tokens stand differs by host: in the details (OpenAI), beside them (`cached_tokens` Moonshot and Hugging Face,
`num_cached_tokens` Mistral, `prompt_cache_hit_tokens` DeepSeek); one place is read, never two added. What it says of cost is
read in `stated`. Sources: facts/wire-formats.md 2.2, 12, 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from spendgate.providers.shapes import COUNT, Fields, record
from spendgate.providers.stated import STATED
from spendgate.usage import Usage

_INPUT_DETAILS: Final = {
    "cached_tokens": COUNT, "cache_write_tokens": COUNT, "audio_tokens": COUNT,
    "cache_write_tokens_details": record(ttl_12h_tokens=COUNT),
}  # fmt: skip
LONG_WRITES: Final = "at the plain price: cache writes of 12 hours"
"""Flag of writes for which the list has the price of 30 minutes alone (openai-python 3.54, types/responses/response_usage.py)."""
_OUTPUT_DETAILS: Final = {"reasoning_tokens": COUNT, "audio_tokens": COUNT}
_USAGE: Final = {
    "prompt_tokens": COUNT,
    "completion_tokens": COUNT,
    "prompt_tokens_details": record(**_INPUT_DETAILS),
    "completion_tokens_details": record(**_OUTPUT_DETAILS),
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "input_tokens_details": record(**_INPUT_DETAILS),
    "output_tokens_details": record(**_OUTPUT_DETAILS),
    "total_tokens": COUNT,
    "cached_tokens": COUNT,
    "num_cached_tokens": COUNT,
    "prompt_cache_hit_tokens": COUNT,
    "num_search_queries": COUNT,
    **STATED,
}
USAGE: Final = record(**_USAGE)
_WITH_IMAGES: Final = {
    "input_tokens_details": record(**_INPUT_DETAILS, image_tokens=COUNT),
    "output_tokens_details": record(**_OUTPUT_DETAILS, image_tokens=COUNT),
}
USAGE_OR_IMAGES: Final = record(**{**_USAGE, **_WITH_IMAGES})
"""Of an answer that may be one of the images API, too."""
_CACHED_BESIDE: Final = ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens")
_PLAIN_TIERS: Final = frozenset({None, "default", "auto", "standard"})


def usage_of(found: Fields) -> Usage:
    """The counts of one `usage` object, disjoint. A cached count above the whole input is cut to it."""
    total_in = _either(found, "prompt_tokens", "input_tokens")
    details = _either(found, "prompt_tokens_details", "input_tokens_details") or {}
    output_details = _either(found, "completion_tokens_details", "output_tokens_details") or {}
    read, written, audio = details.get("cached_tokens"), details.get("cache_write_tokens"), details.get("audio_tokens")
    if read is None:
        read = next((found[name] for name in _CACHED_BESIDE if found.get(name) is not None), None)
    return disjoint(
        total_in, _either(found, "completion_tokens", "output_tokens"), found.get("total_tokens"), read=read,
        written=written, audio=audio, reasoning=output_details.get("reasoning_tokens"),
        spoken=output_details.get("audio_tokens"), searches=_searches(found),
    )  # fmt: skip


def disjoint(
    total_in: int | None, output: int | None, total: int | None, *, read: int | None, written: int | None,
    audio: int | None, reasoning: int | None, spoken: int | None, searches: int | None,
) -> Usage:  # fmt: skip
    """The counts as reported (the whole input and output, both together, and parts of either) as Usage: each token once."""
    if total_in is not None:
        read = None if read is None else min(read, total_in)
        written = None if written is None else min(written, total_in - (read or 0))
    fresh = None if total_in is None else total_in - (read or 0) - (written or 0)
    if output is None and total_in is not None and total is not None and total > total_in:
        output = total - total_in
    if output is not None and reasoning and total is not None and total == (total_in or 0) + output + reasoning:
        output += reasoning
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=reasoning,
        input_audio_tokens=None if audio is None or fresh is None else min(audio, fresh),
        output_audio_tokens=spoken,
        web_searches=searches,
    )


def writes_long(found: Fields) -> bool:
    """Whether a `usage` object counts cache writes that are kept for 12 hours."""
    details = _either(found, "prompt_tokens_details", "input_tokens_details") or {}
    return bool((details.get("cache_write_tokens_details") or {}).get("ttl_12h_tokens"))


def price_context(tier: str | None) -> Mapping[str, str]:
    """genai-prices' context for the tier that the *response* names: the one that was used, not the one asked for."""
    return {} if tier in _PLAIN_TIERS else {"service_tier": str(tier)}


def _searches(found: Fields) -> int | None:
    """Billed searches, as OpenRouter and Perplexity's research models count them."""
    told: int | None = (found.get("server_tool_use_details") or {}).get("web_search_requests")
    return told or found.get("num_search_queries") or None


def _either(found: Fields, one: str, other: str) -> Any:  # noqa: ANN401  a field's type is its shape's
    value = found.get(one)
    return found.get(other) if value is None else value
