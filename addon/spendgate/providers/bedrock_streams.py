"""Readers of Bedrock's streamed answers, frame by frame. They never raise, and hold no more than one frame.

Source: facts/wire-formats.md 5.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.bedrock_answers import (
    CLAUDE,
    aws_ran,
    converse_answer,
    counted,
    flagged,
    guarded,
    served_as,
    tiered,
    watched,
)
from spendgate.providers.bedrock_usage import CONVERSE_ANSWER, METRICS, TOOL_USE, metrics_usage
from spendgate.providers.eventstream import Frame, FrameReader
from spendgate.providers.interface import Headers
from spendgate.providers.readers import from_headers
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import Shape
from spendgate.providers.stated import FEES
from spendgate.providers.streams import text_bytes, tightened
from spendgate.usage import NO_USAGE

_STARTED: Final = Shape(start=TOOL_USE)
_CHUNK: Final = Shape(**{"amazon-bedrock-invocationMetrics": METRICS})
_WRAPPED: Final = b'"bytes":"'
_TEXTS: Final = tuple(f'"{name}":"'.encode() for name in ("text", "input", "generation", "outputText", "content"))


class _Frames(ABC):
    """Reads an event stream frame by frame."""

    def __init__(self, headers: Headers, ask: Ask) -> None:
        self.ask = ask
        self.current = replace(from_headers(headers), model=ask.model, flags=guarded(ask))
        self.output_bytes = 0
        self._frames = FrameReader()
        self._failed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True when counts changed."""
        if self._failed:
            return False
        before = self.current.parts
        for each in self._frames.feed(data):
            try:
                self._frame(each)
            except WireError:
                self.flag("an event that is not JSON")
            except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's stream
                self._failed = True
                self.flag(f"reader failed: {type(fault).__name__}")
                break
        if self._frames.fault:
            self.flag(self._frames.fault)
        if self._frames.skipped:
            self.flag("an event too long to keep")
        return self.current.parts != before

    def reading(self) -> Reading:
        """What has been read so far."""
        return replace(self.current, output_bytes=self.output_bytes)

    def close(self) -> Reading:
        """The whole."""
        return self.reading()

    def flag(self, text: str) -> None:
        """Note what did not fit, once."""
        if text not in self.current.flags:
            self.current = replace(self.current, flags=(*self.current.flags, text))

    @abstractmethod
    def event(self, kind: str, payload: bytes) -> None:
        """Read one event. May raise WireError."""

    def _frame(self, each: Frame) -> None:
        if each.headers.get(":message-type") in ("exception", "error"):
            free = not (self.current.parts or self.output_bytes)
            self.current = replace(self.current, free=free, ended=True)
        else:
            self.event(each.headers.get(":event-type", ""), each.payload)


class ConverseStream(_Frames):
    """Reads ConverseStream: the counts stand in `metadata`, which comes last."""

    def event(self, kind: str, payload: bytes) -> None:
        """Read one event."""
        if kind in ("metadata", "messageStop"):
            found = CONVERSE_ANSWER.read(payload)
            answered = converse_answer(self.current, found, self.ask) if kind == "metadata" else self.current
            self.current = flagged(answered, *watched(found))
        elif kind == "contentBlockDelta":
            self.output_bytes += text_bytes(tightened(payload), _TEXTS)
        elif kind == "contentBlockStart" and aws_ran(_STARTED.read(payload).get("start")):
            self.flag(FEES)


class InvokeStream(_Frames):
    """Reads InvokeModelWithResponseStream: each `chunk` holds one event of the model's own stream in base64."""

    def __init__(self, headers: Headers, ask: Ask) -> None:
        super().__init__(headers, ask)
        self._model = CLAUDE.events(ask, headers)
        self._served = served_as(headers)

    def event(self, kind: str, payload: bytes) -> None:
        """Read one event."""
        if kind != "chunk":
            return
        inner = _unwrapped(payload)
        self._model.feed(b"data: " + inner.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n")
        read = self._model.reading()
        self.output_bytes += text_bytes(tightened(inner), _TEXTS[2:])
        own = replace(read, flags=tuple(dict.fromkeys((*self.current.flags, *read.flags))))
        metrics = _CHUNK.read(inner).get("amazon-bedrock-invocationMetrics")
        aws = metrics_usage(metrics, self.ask.cache_ttl) if metrics else NO_USAGE
        self.current = counted(own, aws, self.ask)

    def reading(self) -> Reading:
        """What has been read so far; output is counted by the reader of Claude's events and, for others, here."""
        own = self._model.reading().output_bytes
        return tiered(replace(self.current, output_bytes=own + self.output_bytes), self._served)


def _unwrapped(payload: bytes) -> bytes:
    """The model's event in a chunk. Raises WireError."""
    tight = tightened(payload)
    start = tight.find(_WRAPPED)
    end = tight.find(b'"', start + len(_WRAPPED))
    if start < 0 or end < 0:
        raise WireError("a chunk without bytes")
    try:
        return base64.b64decode(tight[start + len(_WRAPPED) : end], validate=True)
    except binascii.Error:
        raise WireError("a chunk that is not base64") from None
