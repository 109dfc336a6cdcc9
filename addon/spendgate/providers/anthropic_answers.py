"""The answers of Anthropic's Messages, whole or as a stream.

Facts that decide here (facts/wire-formats.md 1.2-1.5): deltas are cumulative; a second `message_start` may come, and the last
counts; a refusal before any content is an HTTP 200 that costs nothing; after a server-side fallback `message_start` still
names the model that was asked for, and a `fallback` block names the one that answers.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from spendgate.providers.anthropic_usage import USAGE, Counts
from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.interface import Headers
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import TEXT, Fields, Shape, items, record
from spendgate.providers.streams import EventReader

_BLOCK: Final = record(type=TEXT, to=record(model=TEXT))
ANSWER_FIELDS: Final = {
    "id": TEXT,
    "model": TEXT,
    "stop_reason": TEXT,
    "usage": USAGE,
    "content": items(_BLOCK),
    "copilot_usage": COPILOT_USAGE,
}
ANSWER: Final = Shape(**ANSWER_FIELDS)
ANSWER_SCAN: Final = Scanner(ANSWER, ("id", "model", "stop_reason", "usage", "copilot_usage"))
_EVENT: Final = Shape(
    type=TEXT,
    message=record(id=TEXT, model=TEXT, usage=USAGE),
    usage=USAGE,
    delta=record(stop_reason=TEXT),
    content_block=_BLOCK,
    copilot_usage=COPILOT_USAGE,
)


def answer_of(reading: Reading, found: Fields, ttl: str | None) -> Reading:
    """The Reading of a whole answer."""
    usage = found.get("usage")
    if usage is None:
        return replace(reading, model=found.get("model"), flags=("an answer without usage",))
    counts = Counts(ttl)
    counts.report(usage)
    blocks: list[Any] = found.get("content") or []
    served = [_served(block) for block in blocks if block]
    model = next((name for name in reversed(served) if name), found.get("model"))
    empty = all(block is None or block.get("type") == "fallback" for block in blocks) and "content" in found
    free = found.get("stop_reason") == "refusal" and empty
    parts = () if free else counts.parts(model)
    return replace(
        reading,
        parts=parts,
        model=model,
        response_id=found.get("id"),
        final=free or _known(parts),
        ended=True,
        free=free,
        stated_cost_nanos=None if free else _stated(found, counts),
        flags=(*reading.flags, *counts.flags),
    )


def _stated(found: Fields, counts: Counts) -> int | None:
    """What the provider says that the answer cost: in Copilot's credits, or beside its counts."""
    credit_nanos = copilot_cost_nanos(found)
    return counts.stated if credit_nanos is None else credit_nanos


def _known(parts: tuple[Part, ...]) -> bool:
    """Whether everything that is billed was counted."""
    return bool(parts) and all(part.usage.known for part in parts)


def _served(block: Fields) -> str | None:
    """The model that a `fallback` block names as the one that goes on."""
    model = (block.get("to") or {}).get("model") if block.get("type") == "fallback" else None
    return model if isinstance(model, str) else None


class Stream(EventReader):
    """Reads a streamed answer."""

    marks: tuple[bytes, ...] = (b'"usage"', b'"content_block"', b'"error"', b'"message_stop"')
    texts = (b"text", b"thinking", b"partial_json")

    def __init__(self, headers: Headers, ttl: str | None) -> None:
        super().__init__(headers)
        self._ttl = ttl
        self._counts = Counts(ttl)
        self._content = False
        self._stopped = False

    def event(self, data: bytes) -> bool:
        """Read a `message_start`, `message_delta`, `content_block_start`, `message_stop` or `error`."""
        found = _EVENT.read(data)
        match found.get("type"):
            case "message_start":
                self._start(found.get("message") or {})
            case "message_delta":
                self._delta(found)
            case "content_block_start":
                self._block(found.get("content_block") or {})
            case "error":
                # An error before anything was begun costs nothing; one after it leaves what was streamed, counted or not.
                free = not (self.current.parts or self._content or self.output_bytes)
                self.current = replace(self.current, free=free, ended=True)
            case "message_stop":
                self.current = replace(self.current, ended=True)
                if not self.current.final:
                    self.flag("the last counts are missing")
        return True

    def _start(self, message: Fields) -> None:
        self._counts = Counts(self._ttl)
        self._content = self._stopped = False
        self.current = replace(
            self.current,
            model=message.get("model"),
            response_id=message.get("id"),
            final=False,
            stated_cost_nanos=None,
        )
        self._report(message.get("usage"))

    def _delta(self, found: Fields) -> None:
        usage = found.get("usage")
        self._report(usage)
        reason = (found.get("delta") or {}).get("stop_reason")
        if reason is not None:
            self._stopped = True
            free = reason == "refusal" and not self._content
            # The counts beside such a refusal are not billed.
            self.current = replace(self.current, parts=() if free else self.current.parts, free=free)
        # What the first event says of the output is where it began; only this one's own count is the last.
        counted = usage is not None and usage.get("output_tokens") is not None and _known(self.current.parts)
        final = self._stopped and counted
        stated = _stated(found, self._counts) if final and not self.current.free else None
        self.current = replace(self.current, final=self.current.free or final, stated_cost_nanos=stated)

    def _block(self, block: Fields) -> None:
        served = _served(block)
        if block.get("type") != "fallback":
            self._content = True
        elif served is not None:
            self.current = replace(self.current, model=served, parts=self._counts.parts(served))

    def _report(self, usage: Fields | None) -> None:
        if usage is None:
            return
        self._counts.report(usage)
        self.current = replace(self.current, parts=self._counts.parts(self.current.model))
        for flag in self._counts.flags:
            self.flag(flag)
