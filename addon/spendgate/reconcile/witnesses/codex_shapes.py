"""The lines of Codex's rollouts, as far as they are read: of a conversation nothing is."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, field

Vector = tuple[int, int, int, int, int]


class Counts(Struct):
    """A usage of Codex's."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0

    def vector(self) -> Vector:
        """All counts."""
        return (
            self.input_tokens, self.cached_input_tokens, self.cache_write_input_tokens, self.output_tokens,
            self.reasoning_output_tokens,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Tokens in and out."""
        return self.input_tokens + self.output_tokens


class Info(Struct):
    """Of `token_count`."""

    total: Counts | None = field(default=None, name="total_token_usage")
    last: Counts | None = field(default=None, name="last_token_usage")


class Payload(Struct):
    """What is read of any payload."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    timestamp: str | None = None
    forked_from_id: str | None = None
    parent_thread_id: str | None = None
    thread_source: msgspec.Raw = msgspec.Raw(b"null")
    source: msgspec.Raw = msgspec.Raw(b"null")
    info: Info | None = None
    response_id: str | None = None
    usage: Counts | None = None
    thread_token_usage: Counts | None = None


class Kind(Struct):
    """Which event a payload is."""

    type: str | None = None


class Line(Struct):
    """A line."""

    type: str | None = None
    timestamp: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


class Spawn(Struct):
    """How a sub-agent came to be."""

    parent_thread_id: str | None = None


class SubAgent(Struct):
    """A sub-agent's source."""

    thread_spawn: Spawn | None = None


class Source(Struct):
    """What has started a thread, where that is no word alone."""

    subagent: SubAgent | str | None = None


LINES: Final = msgspec.json.Decoder(Line)
KINDS: Final = msgspec.json.Decoder(Kind)
PAYLOADS: Final = msgspec.json.Decoder(Payload)
SOURCES: Final = msgspec.json.Decoder(Source | str | None)
