"""Keys in another case, or twice, on hosts of a policy's own: a gateway may take them for the dialect's, and any may hold.

Go's encoding/json, and others where they are told so, match keys without case; most take `"MODEL"` for one that they do not know.
So a request that has such keys is read both ways, and asked about as the weaker of the two: each model may answer, and what
bounds it less holds. So is one in which what bounds it stands twice: most parsers take the last, others the first (`repeated`).
Only the dialects that such hosts are read by are read so.
Sources: pkg.go.dev/encoding/json, Unmarshal; Go's fold.go, which takes the Kelvin sign for a k and a long s for an s.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Generator
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import asked_also
from spendgate.providers.interface import Dialect, Head
from spendgate.providers.jsonscan import WHOLE_BYTES_MAX
from spendgate.providers.jsonspace import FAR, REACH_BYTES
from spendgate.providers.jsonwalk import alone, values_at
from spendgate.providers.repeated import UNNAMED
from spendgate.providers.socket_interface import Moved, SocketReader, Steered

NAMES: Final = frozenset({
    "agent_id", "audio", "audio_url", "background", "background_options", "best_of", "cache_control", "compaction",
    "completion_window", "container", "content_policy_fallbacks", "context_management", "context_window_fallbacks",
    "conversation", "data_sources", "deferred", "definition", "document_url", "edits", "enable_code_interpreter",
    "enable_search", "enable_thinking", "enabled", "fallbacks", "file_id", "file_url", "generate", "id", "image_url", "input",
    "input_audio", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls", "max_uses", "mcp_servers",
    "metadata", "mode", "model", "models", "multi_agent", "n", "output_format", "parameters", "plugins", "preset",
    "previous_message_id", "previous_response_id", "prompt", "reasoning", "search_parameters", "service_tier", "speed",
    "stream", "stream_format", "stream_id", "stream_options", "svg", "thread", "tools", "ttl", "type", "user_id", "video_url",
    "web_search_options",
    # Google's and AWS's.
    "additionalModelRequestFields", "agent", "candidateCount", "candidate_count", "generationConfig", "generation_config",
    "guardrailConfig", "imageGenerationConfig", "inferenceConfig", "latency", "manualMode", "manual_mode", "maxOutputTokens",
    "maxTokens", "modelName", "model_name", "numberOfImages", "performanceConfig", "previous_interaction_id", "promptVariables",
    "routingConfig", "routing_config", "serviceTier", "systemTool", "toolConfig",
})  # fmt: skip
"""The keys that are looked at in a request, at any depth."""
_SPELLED: Final = {name.casefold(): name for name in NAMES}
"""As each is written, by what is left of it without case."""
_BOUNDING: Final = frozenset({
    "background", "best_of", "deferred", "generate", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls",
    "n", "performanceConfig", "serviceTier", "service_tier", "speed", "stream",
})  # fmt: skip
"""Of these, those that say how much an answer may cost, in a word or a number."""
_CAPS: Final = ("maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count")
_BOUNDING_WITHIN: Final = {
    "generationConfig": _CAPS,
    "generation_config": _CAPS,
    "inferenceConfig": ("maxTokens",),
    "imageGenerationConfig": ("numberOfImages",),
}
"""Those that stand one level deeper, by the member that they stand in, which may itself stand twice."""
_STEP_BYTES: Final = 128 * 1024
_AT_ONCE_BYTES: Final = 1024 * 1024
"""Half a millisecond to look through."""
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_START_BYTES: Final = 64
_HITS_A_STEP: Final = 256
# A string, behind a quote that is not escaped, with something that a letter in lower case may hide in, and its colon, which may
# be too far to be seen.
_ODD: Final = re.compile(
    rb'"(?<!\\")([a-z_]{0,32}+(?:[A-Z\\]|\xe2\x84\xaa|\xc5\xbf)[^"]{0,190}+)"(?=\s*+:|' + FAR + rb")"
)
_TTLS: Final = (None, "5m", "1h", "write")
"""From the cheapest to the one that may be the dearest."""


def asking(dialect: Dialect, head: Head, body: bytes) -> Generator[None, None, Ask]:
    """As `Dialect.asking`, for a host whose parser is not known."""
    ask = yield from dialect.asking(head, body)
    if body[:_START_BYTES].lstrip()[:1] != b"{":
        return ask  # a form: its files hold whatever looks like a key
    yield from _one(body)
    folded = yield from in_lower_case(body)
    if folded is not None:
        ask = weaker(ask, (yield from dialect.asking(head, folded)))
    other = yield from by_the_first(body if folded is None else folded)
    return ask if other is None else weaker(ask, (yield from dialect.asking(head, other)))


def _one(body: bytes) -> Generator[None, None, None]:
    """Raises WireError where more follows the document: some parsers (Go's json.Decoder) read the first alone, and the members of
    a long one that seems to go on seem to be nested."""
    if len(body) < WHOLE_BYTES_MAX:
        return  # parsed whole
    if len(body) <= _AT_ONCE_BYTES:
        with contextlib.suppress(msgspec.MsgspecError):
            _skip(body)
            return
    yield from alone(body)  # longer, or not as msgspec has its text


def by_the_first(body: bytes) -> Generator[None, None, bytes | None]:
    """The body as a parser reads it that takes the first of a bounding key that stands twice; None where none does."""
    members: list[bytes] = []
    for name in sorted(_BOUNDING):
        key = b'"' + name.encode() + b'"'
        if body.count(key) > 1 and len(values := (yield from values_at(body, name))) > 1:
            members.append(key + b":" + values[0])
    for within, names in _BOUNDING_WITHIN.items():
        members += yield from _within(body, within, names)
    return body[: body.rindex(b"}")] + b"," + b",".join(members) + b"}" if members else None


def _within(body: bytes, within: str, names: tuple[str, ...]) -> Generator[None, None, list[bytes]]:
    """This member with the first of each key in it that stands twice, or that it has in another one of itself; none where all
    are one."""
    if (member := b'"' + within.encode() + b'"') not in body:
        return []
    first: list[bytes] = []
    for name in names:
        key = b'"' + name.encode() + b'"'
        if body.count(key) > 1 and len(values := (yield from values_at(body, within, name))) > 1:
            first.append(key + b":" + values[0])
    if first:
        return [member + b":{" + b",".join(first) + b"}"]
    whole: list[bytes] = (yield from values_at(body, within)) if body.count(member) > 1 else []
    return [member + b":" + whole[0]] if len(whole) > 1 else []


def in_lower_case(body: bytes) -> Generator[None, None, bytes | None]:
    """The body with the keys that are looked at spelled as they are looked for, at any depth, in steps; None where all are."""
    pieces: list[bytes] = []
    kept = 0
    for start in range(0, len(body), _STEP_BYTES):
        stop = start + _STEP_BYTES
        parts: list[bytes] = []
        for count, hit in enumerate(_ODD.finditer(body, start, stop + REACH_BYTES)):
            if hit.start() >= stop:
                break
            if (name := _named(hit[1])) is not None:
                parts += (body[kept : hit.start(1)], name)
                kept = hit.end(1)
            if count % _HITS_A_STEP == _HITS_A_STEP - 1:
                yield
        if parts:
            pieces.append(b"".join(parts))
        yield
    return b"".join((*pieces, body[kept:])) if pieces else None


@lru_cache(maxsize=1024)
def _named(key: bytes) -> bytes | None:
    """The key that a parser without case takes this one for; None: for none that matters, or it is that very key."""
    try:
        spelled = str(json.loads(b'"' + key + b'"'))
    except ValueError:
        return None
    name = _SPELLED.get(spelled.casefold())
    return name.encode() if name is not None and name != spelled else None


def weaker(one: Ask, other: Ask) -> Ask:
    """One request as two parsers read it: each model that either has, and what bounds it less."""
    ask = asked_also(one, (*other.also, other.model or UNNAMED))
    return replace(
        ask,
        streamed=one.streamed or other.streamed,
        text_bytes=max(one.text_bytes, other.text_bytes),
        opaque_input=one.opaque_input or other.opaque_input,
        output_tokens_max=_most(one.output_tokens_max, other.output_tokens_max),
        choices=max(one.choices, other.choices),
        pictures=max(one.pictures, other.pictures),
        # None: the tier of the project's settings, which may be any.
        service_tier=one.service_tier if one.service_tier == other.service_tier else None,
        speed=one.speed or other.speed,
        cache_ttl=max(one.cache_ttl, other.cache_ttl, key=_TTLS.index),
        searches_max=_most(one.searches_max, other.searches_max),
        loops=one.loops or other.loops,
        background=one.background or other.background,
        generates=one.generates or other.generates,
        usage_unsaid=one.usage_unsaid and other.usage_unsaid,
    )


def _most(one: int | None, other: int | None) -> int | None:
    """The larger of two caps; None where one of them is none."""
    return None if one is None or other is None else max(one, other)


class CasedSocket:
    """Reads one WebSocket connection to such a host: what its client says as `asking` reads a request."""

    __slots__ = ("_inner",)

    def __init__(self, inner: SocketReader) -> None:
        self._inner = inner

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message starts a response for a parser of either kind."""
        ask = yield from self._inner.from_client(message)
        folded = yield from in_lower_case(message)
        other = None if folded is None else (yield from self._inner.from_client(folded))
        if ask is None or other is None:
            return other if ask is None else ask
        return weaker(ask, other)

    def from_server(self, message: bytes) -> Moved | Steered | None:
        """As the dialect reads it."""
        return self._inner.from_server(message)
