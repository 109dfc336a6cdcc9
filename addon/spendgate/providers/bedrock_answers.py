"""Readers of Bedrock's answers. Source: facts/wire-formats.md 5. They never raise, and hold no more than one frame."""

from __future__ import annotations

import base64
import binascii
import re
from abc import ABC, abstractmethod
from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.model_names import hides_model
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.ask import Ask
from spendgate.providers.bedrock_usage import (
    CONVERSE_ANSWER,
    METRICS,
    TOOL_USE,
    converse_usage,
    header_usage,
    metrics_usage,
)
from spendgate.providers.eventstream import Frame, FrameReader
from spendgate.providers.interface import Headers
from spendgate.providers.readers import from_headers
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import Fields, Shape
from spendgate.providers.stated import FEES, GUARDED
from spendgate.providers.streams import text_bytes, tightened
from spendgate.usage import NO_USAGE, Usage

_CLAUDE: Final = AnthropicMessages()
_DIFFER: Final = "AWS's counters differ from the model's own"
TIER_HEADER: Final = "x-amzn-bedrock-service-tier"
"""InvokeModel's `serviceTier`, in a request's head and in its answer's (botocore 1.44.8): `priority`, `flex`, `reserved`."""
LATENCY_HEADER: Final = "x-amzn-bedrock-performanceconfig-latency"
"""How InvokeModel is asked to serve, and in its answer's head how it did."""
_OPTIMIZED: Final = "optimized"
_ASSUMED: Final = "a region's price assumed"
_INTERVENED: Final = "guardrail_intervened"
_HOSTED: Final = "server_tool_use"
"""The type of a tool that AWS itself has run (`systemTool`): Nova's search is billed by the call (botocore 1.44.8)."""
_STARTED: Final = Shape(start=TOOL_USE)
_INVOKED: Final = re.compile(r".*:(?:inference-profile|foundation-model)/(.+)")
_CHUNK: Final = Shape(**{"amazon-bedrock-invocationMetrics": METRICS})
_WRAPPED: Final = b'"bytes":"'
_TEXTS: Final = tuple(f'"{name}":"'.encode() for name in ("text", "input", "generation", "outputText", "content"))


def converse_answer(reading: Reading, found: Fields, ask: Ask) -> Reading:
    """The Reading of Converse's answer, or of its stream's `metadata`."""
    usage, model = found.get("usage"), _invoked(ask, found)
    if usage is None:
        return replace(reading, model=model, flags=(*reading.flags, "an answer without usage"))
    counts = converse_usage(usage, ask.cache_ttl)
    tier = (found.get("serviceTier") or {}).get("type")
    context = {"service_tier": tier} if tier and tier != "default" else {}
    speed = speed_of((found.get("performanceConfig") or {}).get("latency"))
    if speed is not None:
        context["speed"] = speed
    return replace(reading, model=model, parts=(Part(counts, model, context),), final=counts.known, ended=True)


def converse_document(reading: Reading, found: Fields, ask: Ask) -> Reading:
    """The Reading of Converse's whole answer. Of a long one what it holds is not read, and whether AWS's tools ran is unknown."""
    output = found.get("output")
    content = ((output or {}).get("message") or {}).get("content") or []
    ran = ask.loops if output is None else any(_ran(block) for block in content)
    guarded = _guarded(ask) or _watched(found)
    return flagged(converse_answer(reading, found, ask), *guarded, *((FEES,) if ran else ()))


def flagged(reading: Reading, *flags: str) -> Reading:
    """With these flags, each once."""
    return replace(reading, flags=tuple(dict.fromkeys((*reading.flags, *flags)))) if flags else reading


def _guarded(ask: Ask) -> tuple[str, ...]:
    return (GUARDED,) if ask.guarded else ()


def _watched(found: Fields) -> tuple[str, ...]:
    """What an answer shows of a guardrail, also of one that an account enforces and no request names."""
    seen = (found.get("trace") or {}).get("guardrail") or found.get("stopReason") == _INTERVENED
    return (GUARDED,) if seen else ()


def _ran(block: Fields | None) -> bool:
    return ((block or {}).get("toolUse") or {}).get("type") == _HOSTED


def _invoked(ask: Ask, found: Fields) -> str | None:
    """The model that a prompt router has chosen, by AWS's trace; else the URL's."""
    named = ((found.get("trace") or {}).get("promptRouter") or {}).get("invokedModelId")
    told = _INVOKED.fullmatch(named or "") if hides_model(ask.model) else None
    return told[1] if told else ask.model


def counted(reading: Reading, aws: Usage, ask: Ask) -> Reading:
    """A Reading of the model's own counts, with AWS's in their place and the URL's model.

    Where the URL's ARN hides the model, the one that the answer names: without a prefix, so at the price of a region, which is
    never the lower one.
    """
    told = reading.model if hides_model(ask.model) else None
    model = told or ask.model
    own = tuple(replace(part, model=model) for part in reading.parts)
    reading = replace(reading, model=model, parts=own)
    if told and _ASSUMED not in reading.flags:
        reading = replace(reading, flags=(*reading.flags, _ASSUMED))
    if aws == NO_USAGE or len(own) > 1:
        return reading
    before = own[0].usage if own else NO_USAGE
    after = before.overlaid(aws)
    if before.writes == aws.writes:
        # The same writes: the body's own split of them is the truer one.
        after = replace(
            after,
            cache_write_5m_tokens=before.cache_write_5m_tokens,
            cache_write_1h_tokens=before.cache_write_1h_tokens,
        )
    differ = bool(own) and before.known and after != before.overlaid(Usage(cache_read_tokens=after.cache_read_tokens))
    part = replace(own[0], usage=after) if own else Part(after, model)
    flags = (*reading.flags, _DIFFER) if differ and _DIFFER not in reading.flags else reading.flags
    return replace(reading, parts=(part,), flags=flags, free=False, final=after.known, ended=True)


def speed_of(latency: str | None) -> str | None:
    """The speed in prices' words: AWS bills what it served for low latency at rates of their own, which no list has."""
    return _OPTIMIZED if latency == _OPTIMIZED else None


def served_as(headers: Headers) -> dict[str, str]:
    """The tier and speed that served InvokeModel, as prices' context. A head names them: the model's own body is passed on."""
    tier, speed = headers.get(TIER_HEADER), speed_of(headers.get(LATENCY_HEADER))
    context = {} if tier in (None, "", "default") else {"service_tier": str(tier)[:32]}
    return context if speed is None else context | {"speed": speed}


def tiered(reading: Reading, context: dict[str, str]) -> Reading:
    """With what served it (`served_as`) in its prices' context."""
    if not context:
        return reading
    parts = tuple(replace(part, context={**part.context, **context}) for part in reading.parts)
    return replace(reading, parts=parts)


class InvokeDocument:
    """Reads InvokeModel's answer: Claude's body, and the counters in the headers, which is all there is for other models."""

    __slots__ = ("_ask", "_aws", "_body", "_served")

    def __init__(self, headers: Headers, ask: Ask) -> None:
        self._ask = ask
        self._served = served_as(headers)
        self._aws = header_usage(headers, ask.cache_ttl)
        if self._aws.input_tokens is not None and self._aws.output_tokens is None and not ask.pictures:
            # An embedding: AWS counts its input alone, and there is no output.
            self._aws = replace(self._aws, output_tokens=0)
        self._body = _CLAUDE.document(ask, headers)

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; the counts show at the end."""
        return self._body.feed(data)

    def reading(self) -> Reading:
        """What the head told."""
        return self._whole(self._body.reading())

    def close(self) -> Reading:
        """The whole."""
        return self._whole(self._body.close())

    def _whole(self, read: Reading) -> Reading:
        return flagged(tiered(counted(read, self._aws, self._ask), self._served), *_guarded(self._ask))


class _Frames(ABC):
    """Reads an event stream frame by frame."""

    def __init__(self, headers: Headers, ask: Ask) -> None:
        self.ask = ask
        self.current = replace(from_headers(headers), model=ask.model, flags=_guarded(ask))
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
            self.current = flagged(answered, *_watched(found))
        elif kind == "contentBlockDelta":
            self.output_bytes += text_bytes(tightened(payload), _TEXTS)
        elif kind == "contentBlockStart" and _ran(_STARTED.read(payload).get("start")):
            self.flag(FEES)


class InvokeStream(_Frames):
    """Reads InvokeModelWithResponseStream: each `chunk` holds one event of the model's own stream in base64."""

    def __init__(self, headers: Headers, ask: Ask) -> None:
        super().__init__(headers, ask)
        self._model = _CLAUDE.events(ask, headers)
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
