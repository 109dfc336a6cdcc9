"""What OpenAI says of one bucket, turned into lines: the same words in its API and in the CSV files of its dashboard.

Source: the PyPI package `openai` 3.54.0, `types/admin/organization/usage_completions_response.py` (all kinds of results) and
`cost_quantity_unit.py`. `input_tokens` includes cached and cache-write tokens; amounts are dollars. A line item names a model and
what of it is billed: `gpt-6-astra, input_tokens` there, `gpt-4o-mini, input` in older exports. `usage/decisions` is left alone:
nothing says whether its tokens are among those of `usage/completions`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from spendgate.reconcile.sources.assembling import dollars_only, flag, quantity, told, whole
from spendgate.reconcile.sources.reading import count, nanos
from spendgate.statement import Axes, Charge, Line, TokenClass, Who
from spendgate.usage import Usage

_MEDIA_UNITS: Final = ("images", "characters", "duration_seconds", "duration_minutes", "duration_hours")
_INPUT_ONLY: Final = ("embeddings", "moderations")
"""What has neither output nor a cache."""
_TIERS: Final = ("batch", "flex", "priority")
_KINDS_OF_INPUT: Final = frozenset({"text", "audio", "image", "tokens", "token"})
_CLASSES: Final = {
    frozenset({"input"}): TokenClass.INPUT,
    frozenset({"uncached", "input"}): TokenClass.INPUT,
    frozenset({"cached", "input"}): TokenClass.CACHE_READ,
    frozenset({"cache", "write"}): TokenClass.CACHE_WRITE,
    frozenset({"cache", "write", "input"}): TokenClass.CACHE_WRITE,
    frozenset({"cache", "write", "input", "30m"}): TokenClass.CACHE_WRITE,
    frozenset({"cache", "write", "input", "12h"}): TokenClass.CACHE_WRITE,
    frozenset({"output"}): TokenClass.OUTPUT,
}
_OTHER_CHARGES: Final = (
    (re.compile(r"storage|gibibyte"), Charge.STORAGE),
    (re.compile(r"web.?search"), Charge.WEB_SEARCH),
    (re.compile(r"code.?interpreter|container"), Charge.CODE_EXECUTION),
    (re.compile(r"file.?search|vector.?store|tool"), Charge.TOOL),
)


class Kind(Struct, frozen=True):
    """A usage endpoint that counts something else than tokens."""

    charge: Charge
    counted: str
    """The field that counts …"""
    unit: str
    """… these."""
    requests: bool
    """Whether its requests are requests of their own, and not tools within requests that completions count."""


OTHER_KINDS: Final = {
    "images": Kind(Charge.MEDIA, "images", "images", True),
    "audio_speeches": Kind(Charge.MEDIA, "characters", "characters", True),
    "audio_transcriptions": Kind(Charge.MEDIA, "seconds", "seconds", True),
    "vector_stores": Kind(Charge.STORAGE, "usage_bytes", "bytes", False),
    "code_interpreter_sessions": Kind(Charge.CODE_EXECUTION, "num_sessions", "sessions", False),
    "file_search_calls": Kind(Charge.TOOL, "num_requests", "file searches", False),
    "web_search_calls": Kind(Charge.WEB_SEARCH, "num_requests", "searches", False),
}


def who_of(result: Mapping[str, Any]) -> Who:
    """Project, key and user, as far as the result is grouped by them."""
    return Who(
        organization=told(result.get("organization_id")),
        workspace=told(result.get("project_id")),
        key=told(result.get("api_key_id")),
        user=told(result.get("user_id")),
        email=told(result.get("user_email")),
    )


def token_line(kind: str, result: Mapping[str, Any], starts_ms: int, ends_ms: int) -> tuple[Line, str]:
    """Tokens and requests; and, where its classes leave something open, a few words about that."""
    usage, doubt = _usage(kind, result)
    tier = "batch" if flag(result.get("batch")) else told(result.get("service_tier"))
    line = Line(
        starts_ms, ends_ms, "openai", told(result.get("model")), kind, who_of(result), Axes(tier=tier), usage=usage,
        requests=count(result["num_model_requests"]),
    )  # fmt: skip
    return line, doubt


def other_line(name: str, result: Mapping[str, Any], starts_ms: int, ends_ms: int) -> Line:
    """Images, seconds, searches and the like."""
    kind = OTHER_KINDS[name]
    return Line(
        starts_ms, ends_ms, "openai", told(result.get("model")), name, who_of(result), charge=kind.charge,
        quantity=str(count(result[kind.counted])), unit=kind.unit,
        requests=count(result["num_model_requests"]) if kind.requests else None,
    )  # fmt: skip


def _usage(kind: str, result: Mapping[str, Any]) -> tuple[Usage, str]:
    total = count(result["input_tokens"])
    if kind in _INPUT_ONLY:
        return Usage(input_tokens=total, output_tokens=0), ""
    cached, uncached = whole(result.get("input_cached_tokens")), whole(result.get("input_uncached_tokens"))
    writes = _writes(result)
    rest = total - (cached or 0) - (writes or 0)
    if rest < 0 or (uncached is not None and uncached > rest):
        raise ValueError(f"its cached, written and uncached tokens are more than input_tokens {total}")
    doubt = ""
    if cached is None and uncached is not None:
        cached, rest = rest - uncached, uncached
    elif cached is None and total:
        doubt = "it is not told how many of the input tokens were cached: all count as uncached"
    elif uncached is not None and uncached < rest:
        doubt = "the classes do not add up to input_tokens: what is left counts as uncached (Scale Tier does this)"
    counted = Usage(
        input_tokens=rest,
        cache_read_tokens=cached,
        cache_write_tokens=writes,
        output_tokens=count(result["output_tokens"]),
        input_audio_tokens=whole(result.get("input_audio_tokens")),
        output_audio_tokens=whole(result.get("output_audio_tokens")),
    )
    return counted, doubt


def _writes(result: Mapping[str, Any]) -> int | None:
    """Of both retentions together: they have no class of their own in `Usage`."""
    parts = [whole(result.get(f"input_cache_write_{each}_tokens")) for each in ("30m", "12h")]
    known = [each for each in parts if each is not None]
    total = whole(result.get("input_cache_write_tokens"))
    if total is None:
        return sum(known) if known else None
    if sum(known) > total:
        raise ValueError(f"the tokens written for 30 minutes and 12 hours are more than {total}, their sum")
    return total


def cost_line(value: object, currency: object, result: Mapping[str, Any], starts_ms: int, ends_ms: int) -> Line:
    """Money. An amount without a line item is all that was billed of its group."""
    dollars_only(currency)
    item, unit = told(result.get("line_item")), told(result.get("quantity_unit"))
    named, comma, part = (item or "").partition(", ")
    token_class, tier = _class(part if comma else "")
    models = bool(comma) and (token_class is not None or unit in _MEDIA_UNITS)
    return Line(
        starts_ms, ends_ms, "openai", named if models else None, item, who_of(result), Axes(tier=tier),
        charge=_charge(item, unit, token_class), token_class=token_class, quantity=quantity(result.get("quantity")),
        unit=unit, billed_nanos=nanos(value), amount=f"{value} USD",
    )  # fmt: skip


def _class(part: str) -> tuple[TokenClass | None, str | None]:
    """`cached input, batch` is (CACHE_READ, batch). A word that is not known makes it no class at all."""
    words = set(re.split(r"[\s_,-]+", part.lower().strip())) - _KINDS_OF_INPUT
    tier = next((each for each in _TIERS if each in words), None)
    found = _CLASSES.get(frozenset(words - {tier}))
    return found, None if found is None else tier


def _charge(item: str | None, unit: str | None, token_class: TokenClass | None) -> Charge:
    if token_class is not None or item is None:
        return Charge.TOKENS
    if unit in _MEDIA_UNITS:
        return Charge.MEDIA
    said = f"{item} {unit or ''}".lower()
    return next((charge for words, charge in _OTHER_CHARGES if words.search(said)), Charge.OTHER)
