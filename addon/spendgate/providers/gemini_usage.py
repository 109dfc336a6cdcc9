"""Google's `usageMetadata` as Usage, and what of an answer changes its price.

`promptTokenCount` includes what was cached and leaves out what server tools put in; `candidatesTokenCount` leaves out thoughts.
Source: facts/wire-formats.md 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from spendgate.providers.shapes import COUNT, GIVEN, TEXT, WORD, Fields, items, record
from spendgate.providers.stated import FEES
from spendgate.usage import Usage

_BY_MODALITY: Final = items(record(modality=WORD, tokenCount=COUNT))
USAGE: Final = record(
    promptTokenCount=COUNT,
    cachedContentTokenCount=COUNT,
    candidatesTokenCount=COUNT,
    thoughtsTokenCount=COUNT,
    toolUsePromptTokenCount=COUNT,
    totalTokenCount=COUNT,
    promptTokensDetails=_BY_MODALITY,
    cacheTokensDetails=_BY_MODALITY,
    toolUsePromptTokensDetails=_BY_MODALITY,
    candidatesTokensDetails=_BY_MODALITY,
    serviceTier=TEXT,
    trafficType=WORD,
)
GROUNDING: Final = record(
    webSearchQueries=items(TEXT),
    imageSearchQueries=items(TEXT),
    googleMapsWidgetContextToken=GIVEN,
    groundingChunks=items(record(maps=GIVEN)),
)
_BY_THE_PROMPT: Final = re.compile(r"(?:models/)?gemini-[12](?:\.\d)?(?:-|$)")
"""Models whose searches are billed as one for each grounded prompt: up to 2.5. Later ones bill each query (Google, Gemini API
pricing; Grounding with Google Search, 2026-09)."""
PROVISIONED: Final = "provisioned throughput: prepaid, priced as on demand"
"""The flag of a call that was served from prepaid capacity. A Reading cannot change the billing of a row, so the row stays
metered: a budget then errs to the safe side, and the flag tells what to leave out of a bill."""
_AUDIO: Final = ("AUDIO", "4")
_IMAGE: Final = ("IMAGE", "2", "DOCUMENT", "5")
"""A document's pages are counted as images are (genai-prices, google.yml)."""
_VIDEO: Final = ("VIDEO", "3")
_INPUT: Final = ("promptTokensDetails", "toolUsePromptTokensDetails")
_CACHED: Final = ("cacheTokensDetails",)
_DRAWN: Final = ("candidatesTokensDetails",)
"""A client may ask for numbers in place of words (`$alt=json;enum-encoding=int`), as Google's generated REST clients do
(googleapis, google/ai/generativelanguage and google/cloud/aiplatform, content.proto)."""
PREPAID: Final = ("PROVISIONED_THROUGHPUT", "2")
_TIERS: Final = {"FLEX": "flex", "PRIORITY": "priority", "ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority"}
_COUNTS: Final = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")


def is_report(found: Fields) -> bool:
    """Whether this object counts anything: Vertex's first ones name only the kind of traffic."""
    return any(found.get(name) is not None for name in _COUNTS)


def usage_of(found: Fields, *, generates: bool = True) -> Usage:
    """The counts of one object, disjoint. An answer that `generates` nothing (embeddings) has an output of zero."""
    prompt, tools = found.get("promptTokenCount"), found.get("toolUsePromptTokenCount") or 0
    cached, thoughts = found.get("cachedContentTokenCount"), found.get("thoughtsTokenCount")
    if prompt is not None and cached is not None:
        cached = min(cached, prompt)
    fresh = None if prompt is None else prompt - (cached or 0) + tools
    audio = _of(found, _AUDIO, *_INPUT)
    if audio is not None:
        audio = max(0, audio - (_of(found, _AUDIO, *_CACHED) or 0))
    output = _output(found, prompt, tools, thoughts) if generates else 0
    spoken = _of(found, _AUDIO, *_DRAWN)
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=cached,
        output_tokens=output,
        reasoning_tokens=thoughts,
        input_audio_tokens=None if audio is None or fresh is None else min(audio, fresh),
        output_audio_tokens=None if spoken is None or output is None else min(spoken, output),
    )


def units_of(found: Fields, usage: Usage) -> Mapping[str, int]:
    """What has a price of its own and no place in `Usage`, which these are the counts of: images and video, and cached audio."""
    cached, output = usage.cache_read_tokens or 0, usage.output_tokens or 0
    heard = min(_of(found, _AUDIO, *_CACHED) or 0, cached)
    drawn = min(_of(found, _IMAGE, *_DRAWN) or 0, output)
    units = {"cache_audio_read_tokens": heard} if heard else {}
    if drawn:
        units["output_image_tokens"] = drawn
    for name, words in (("image", _IMAGE), ("video", _VIDEO)):
        if shown := _of(found, words, *_INPUT):
            units[f"input_{name}_tokens"] = min(shown, usage.input_total)
            units[f"cache_{name}_read_tokens"] = min(_of(found, words, *_CACHED) or 0, cached, shown)
    return units


def price_context(found: Fields) -> Mapping[str, str]:
    """genai-prices' context for the tier that the response names, in AI Studio's words or in Vertex's."""
    for name in ("serviceTier", "trafficType"):
        tier = _TIERS.get((found.get(name) or "").upper().removeprefix("SERVICE_TIER_"))
        if tier is not None:
            return {"service_tier": tier}
    return {}


def searches(candidates: list[Fields | None], model: str | None) -> int | None:
    """Web searches that are billed of these candidates; None where none of them says. Google bills neither an empty query nor
    the same one twice."""
    asked = [each["webSearchQueries"] for each in _grounded(candidates) if each.get("webSearchQueries") is not None]
    if not asked:
        return None
    count = sum([len({query for query in queries if query != ""}) for queries in asked])
    return billed_searches(count, model)


def billed_searches(count: int, model: str | None) -> int:
    """So many searches of one prompt, as Google bills them."""
    return min(count, 1) if _BY_THE_PROMPT.match(model or "") else count


def fees(candidates: list[Fields | None]) -> tuple[str, ...]:
    """The flag of grounding that Google bills and no list has a price for: by Maps, and by image search."""
    for each in _grounded(candidates):
        maps = any(chunk and chunk.get("maps") for chunk in each.get("groundingChunks") or [])
        if maps or each.get("googleMapsWidgetContextToken") or any(each.get("imageSearchQueries") or []):
            return (FEES,)
    return ()


def _grounded(candidates: list[Fields | None]) -> list[Fields]:
    return [each["groundingMetadata"] for each in candidates if each and each.get("groundingMetadata")]


def _output(found: Fields, prompt: int | None, tools: int, thoughts: int | None) -> int | None:
    """Candidates and thoughts; where the candidates' count is missing, what the total leaves for both."""
    candidates, total = found.get("candidatesTokenCount"), found.get("totalTokenCount")
    if candidates is not None:
        return int(candidates) + (thoughts or 0)
    if total is None or prompt is None:
        return None
    return max(int(total) - prompt - tools, thoughts or 0)


def _of(found: Fields, words: tuple[str, ...], *names: str) -> int | None:
    """The tokens of one modality in these lists; None where none of them names it."""
    rows = [row for name in names for row in found.get(name) or [] if row and row.get("modality") in words]
    return sum([row.get("tokenCount") or 0 for row in rows]) if rows else None
