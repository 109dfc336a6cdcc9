"""LiteLLM's spend logs: each request that went through the gateway, with the provider's id of its response.

Source: `litellm/proxy/schema.prisma` (LiteLLM_SpendLogs) of the PyPI package litellm 1.109 and its documentation of
`/spend/logs`: the JSON of that endpoint, or the table as JSON or CSV. `spend` is LiteLLM's own price in dollars, a float. What
the provider bills for these requests stands under the gateway's own key, so these lines are no bill beside it: they are
subtracted. Prompts and answers, which the table may hold, are not read.
"""

from __future__ import annotations

from typing import Any, Final

from spendgate.reconcile.sources.assembling import Reading, told, whole
from spendgate.reconcile.sources.reading import count, decimal, nanos, shown
from spendgate.reconcile.sources.records import Record, at, claims, inner, records, utc_ms
from spendgate.statement import Billed, Line, Statement, Who
from spendgate.usage import Usage

_NEEDED: Final = ("request_id", "api_key", "spend", "startTime", "prompt_tokens", "completion_tokens", "model")
_HIT: Final = ("true", "hit")
_NO_HIT: Final = ("false", "miss", "none", "null", "")
_ODD: Final = "whose cached tokens are more than their prompt: the prompt is taken for what was not cached"


class LiteLlm:
    """`litellm`."""

    name = "litellm"
    title = "LiteLLM spend logs: the JSON of /spend/logs, or the table LiteLLM_SpendLogs as JSON or CSV"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return claims(head, _NEEDED)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, seen = Reading(self.name, "litellm", data, origin), set[str]()
        return reading.items(records, lambda record: [_line(record, reading, seen)], "request_id").statement()


def _line(record: Record, reading: Reading, seen: set[str]) -> Line:
    response_id = told(record["request_id"])
    if response_id is None:
        raise ValueError("request_id is empty")
    if response_id in seen:
        raise ValueError(f"request_id {shown(response_id)} came before, with other words")
    seen.add(response_id)
    starts = utc_ms(record["startTime"])
    ends = utc_ms(record["endTime"]) if record.get("endTime") else starts
    reading.covers(starts, starts + 1)  # a call belongs to the day that it begins on
    metadata = inner(record.get("metadata"))
    return Line(
        starts,
        max(ends, starts + 1),
        "litellm",
        model=told(record["model"]),
        product=told(record.get("custom_llm_provider")),
        who=_who(record, metadata),
        usage=_usage(record, metadata, reading),
        requests=1,
        billed_nanos=nanos(record["spend"]),
        billed=_billed(record),
        response_id=response_id,
        request_id=told(record.get("litellm_call_id")),
        amount=f"{_plain(record['spend'])} USD",
    )


def _plain(value: object) -> str:
    return f"{decimal(value):f}"


def _who(record: Record, metadata: Record) -> Who:
    return Who(
        organization=told(record.get("organization_id")),
        workspace=told(record.get("team_id")),
        key=told(record["api_key"]),
        key_name=told(metadata.get("user_api_key_alias")),
        user=told(record.get("user")) or told(metadata.get("user_api_key_user_id")),
        email=told(metadata.get("user_api_key_user_email")),
    )


def _billed(record: Record) -> Billed:
    """A failed request, and one that the gateway answered from its own cache, cost the provider nothing."""
    hit = str(record.get("cache_hit", "")).lower()
    if hit not in (*_HIT, *_NO_HIT):
        raise ValueError(f"cache_hit is {shown(record.get('cache_hit'))}; true or false is known")
    failed = told(record.get("status")) == "failure"
    return Billed.NOT_CHARGED if hit in _HIT or failed else Billed.METERED


def _usage(record: Record, metadata: Record, reading: Reading) -> Usage:
    """Disjoint counts. LiteLLM's prompt includes what was read from and written to a cache, whatever the provider."""
    prompt, output = count(record["prompt_tokens"]), count(record["completion_tokens"])
    said = inner(metadata.get("usage_object")) or inner(metadata.get("additional_usage_values"))
    extra = inner(metadata.get("additional_usage_values"))
    read = _first(said, extra, "cache_read_input_tokens", "prompt_tokens_details.cached_tokens")
    written = _first(
        said, extra, "cache_creation_input_tokens", "prompt_tokens_details.cache_creation_tokens",
        "prompt_tokens_details.cache_write_tokens",
    )  # fmt: skip
    split = "prompt_tokens_details.cache_creation_token_details."
    five = _first(said, extra, f"{split}ephemeral_5m_input_tokens")
    hour = _first(said, extra, f"{split}ephemeral_1h_input_tokens")
    by_time = five is not None or hour is not None
    fresh = prompt - (read or 0) - ((five or 0) + (hour or 0) if by_time else written or 0)
    if fresh < 0:
        reading.notes.update([_ODD])
        fresh = prompt
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=read,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        cache_write_tokens=None if by_time else written,
        output_tokens=output,
        reasoning_tokens=_first(said, extra, "completion_tokens_details.reasoning_tokens"),
    )


def _first(said: Record, extra: Record, *paths: str) -> int | None:
    """The largest of the ways in which a count is told: one of two names may stand at zero beside the other."""
    found: list[Any] = [at(each, path) for each in (said, extra) for path in paths]
    counts = [each for each in map(whole, found) if each is not None]
    return max(counts, default=None)
