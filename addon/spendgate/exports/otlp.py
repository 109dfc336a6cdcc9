"""Calls as OpenTelemetry spans by the GenAI conventions (in development, repository semantic-conventions-genai), in OTLP's JSON.

`gen_ai.usage.input_tokens` includes what was read from and written to a cache, as the conventions have it, where the ledger keeps
classes apart. They have no attribute for cost: `spendgate.cost_nanos` is our own. A session is a trace; ids are made of ours,
so that the same call is the same span at every export.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import batched
from typing import Any, Final

_AT_ONCE: Final = 100
"""Spans in a line."""
_CLIENT: Final = 3
_ERROR: Final = 2
_FIRST_ERROR: Final = 400
_PROVIDERS: Final = {
    "google": "gcp.gemini",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "azure": "azure.ai.openai",
}
_OWN: Final = (
    "id", "person", "team", "machine", "tool", "project", "billing", "state", "basis", "cost_nanos", "value_nanos", "flags",
)  # fmt: skip
LEFT: Final = frozenset(("settled", "interrupted", "failed"))
"""States of calls that left and have ended."""


def batches(calls: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of the view `calls` as OTLP trace requests, one for each line of a file; without calls that never left or are open."""
    for some in batched((each for each in calls if each["state"] in LEFT and each["ended_at"]), _AT_ONCE):
        scope = {"scope": {"name": "spendgate"}, "spans": [_span(each) for each in some]}
        yield {
            "resourceSpans": [
                {"resource": {"attributes": _attributes({"service.name": "spendgate"})}, "scopeSpans": [scope]}
            ]
        }


def _span(call: Mapping[str, Any]) -> dict[str, Any]:
    asked, status = call["model_requested"] or call["model"] or "", call["http_status"]
    failed = call["state"] == "failed" or (status or 0) >= _FIRST_ERROR
    made: dict[str, Any] = {
        "traceId": _hash(call["session"] or call["id"], 32), "spanId": _hash(call["id"], 16), "name": f"chat {asked}".strip(),
        "kind": _CLIENT, "startTimeUnixNano": _nanos(call["started_at"]), "endTimeUnixNano": _nanos(call["ended_at"]),
        "attributes": _attributes(_said(call, asked, failed=failed)),
    }  # fmt: skip
    if failed:
        made["status"] = {"code": _ERROR}
    return made


def _said(call: Mapping[str, Any], asked: str, *, failed: bool) -> dict[str, Any]:
    provider = call["provider"]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": asked or None,
        "gen_ai.response.model": call["model"],
        "gen_ai.response.id": call["response_id"],
        "gen_ai.conversation.id": call["session"],
        "gen_ai.usage.input_tokens": _input(call),
        "gen_ai.usage.output_tokens": call["output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": call["cache_read_tokens"],
        "gen_ai.usage.cache_write.input_tokens": call["cache_write_tokens"],
        "gen_ai.usage.reasoning.output_tokens": call["reasoning_tokens"],
        "server.address": call["host"],
        "http.response.status_code": call["http_status"],
        "error.type": str(call["http_status"] or call["state"]) if failed else None,
        **{f"spendgate.{name}": None if call[name] == "" else call[name] for name in _OWN},
    }


def _input(call: Mapping[str, Any]) -> int | None:
    """All that was put in, cached or not; None: nobody counted."""
    counts = [call[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _attributes(said: Mapping[str, str | int | None]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in said.items()
        if value is not None
    ]


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _nanos(moment: str) -> str:
    at = datetime.fromisoformat(moment)
    return str(int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000)
