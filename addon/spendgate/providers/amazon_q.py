"""The dialect `amazon-q`: a turn of Kiro or Amazon Q Developer. AWS's event stream, and credits in place of counts.

The request repeats the whole conversation and names its model deep inside; the answer tells the credits that it used
(`meteringEvent`), which its row keeps as a flag, for no source says what one costs under which plan. Tokens are estimated from
bytes. Everything here was only reported, so it is read tolerantly: an event that is not known changes nothing.
Source: facts/wire-formats.md 11.
"""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from spendgate.attribution import Evidence
from spendgate.errors import WireError
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.base import BaseDialect, asked_also, weighed
from spendgate.providers.bedrock_errors import bedrock_cut, bedrock_error, bedrock_refusal
from spendgate.providers.client import name_of, sender
from spendgate.providers.eventstream import Frame, FrameReader
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import ESCAPED, WHOLE_BYTES_MAX, Scan, Scanner
from spendgate.providers.jsonwalk import value_of
from spendgate.providers.readers import FreeReader, from_headers
from spendgate.providers.reading import Reading
from spendgate.providers.repeated import UNNAMED, names_at
from spendgate.providers.shapes import AMOUNT, PRESENT, TEXT, Shape, record
from spendgate.providers.streams import text_bytes, tightened

_MESSAGE: Final = record(userInputMessage=record(modelId=TEXT))
_MODEL: Final = ("conversationState", "currentMessage", "userInputMessage", "modelId")
_MODEL_KEY: Final = b'"modelId"'
_STATE: Final = {"conversationId": TEXT, "currentMessage": _MESSAGE}
_STATE_SCAN: Final = Scanner(Shape(**_STATE), _STATE)
_REQUEST: Final = Shape(conversationState=record(**_STATE), profileArn=PRESENT)
_METERED: Final = Shape(usage=AMOUNT, unit=TEXT)
_TEXTS: Final = tuple(f'"{name}":"'.encode() for name in ("content", "text", "input"))
_ENDS: Final = frozenset({"messageStopEvent", "meteringEvent", "metricsEvent"})


class AmazonQ(BaseDialect):
    """Kiro's and Amazon Q's turns. Stateless."""

    name = "amazon-q"

    request = Scanner(_REQUEST, ("profileArn",), marks=rb'(images)"\s*:\s*\[\s*\{')

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What a turn asks for, in steps. A long one is nearly all one member, which is cut out and scanned by itself."""
        scan = yield from self.request.steps(body)
        if len(body) >= WHOLE_BYTES_MAX:
            state = yield from value_of(body, "conversationState")
            if state is not None:
                within = yield from _STATE_SCAN.steps(state)
                scan = replace(scan, fields={**scan.fields, "conversationState": within.fields})
        ask = yield from weighed(self.asked(head, body, scan), body)
        # The history repeats the model, so that most turns name it more than once.
        if ESCAPED in scan.marks or body.count(_MODEL_KEY) > 1:
            names = yield from names_at(body, *_MODEL)
            ask = ask if names == [UNNAMED] else asked_also(ask, names)
        return ask

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of one turn."""
        found = scan.fields
        state = found.get("conversationState") or {}
        model = ((state.get("currentMessage") or {}).get("userInputMessage") or {}).get("modelId")
        said = Ask(**sender(head))
        session = name_of(state.get("conversationId") or "")
        if session is not None and said.session.value is None:
            said = replace(said, session=Claim(session, Evidence.BODY))
        return replace(said, model=model, streamed=True, text_bytes=len(body), opaque_input=bool(scan.marks))

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        return FreeReader(headers) if status >= 300 else _Frames(headers, ask)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of frames."""
        return _Frames(headers, ask)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of frames: an answer has no other form."""
        return _Frames(headers, ask)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in AWS's error shape, which its SDKs do not retry."""
        return bedrock_refusal(notice, tool, strict=strict, final="ServiceQuotaExceededException")

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in AWS's shape."""
        return bedrock_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An exception frame, which ends a stream."""
        return bedrock_cut(notice)


class _Frames:
    """Reads an answer frame by frame. Never raises; holds no more than one frame."""

    __slots__ = ("_credits", "_current", "_failed", "_frames", "_output_bytes")

    def __init__(self, headers: Headers, ask: Ask) -> None:
        self._current = replace(from_headers(headers), model=ask.model)
        self._frames = FrameReader()
        self._output_bytes = 0
        self._credits: Decimal | None = None
        self._failed = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. There are no counts that could change."""
        if self._failed:
            return False
        try:
            for frame in self._frames.feed(data):
                self._frame(frame)
        except WireError:
            self._flag("an event that is not JSON")
        except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's stream
            self._failed = True
            self._flag(f"reader failed: {type(fault).__name__}")
        if self._frames.fault:
            self._flag(self._frames.fault)
        if self._frames.skipped:
            self._flag("an event too long to keep")
        return False

    def reading(self) -> Reading:
        """What has been read so far; never final, since nothing was counted."""
        flags = self._current.flags
        if self._credits is not None:
            flags = (*flags, f"credits={self._credits:.6f}".rstrip("0").rstrip("."))
        return replace(self._current, output_bytes=self._output_bytes, flags=flags)

    def close(self) -> Reading:
        """The whole."""
        return self.reading()

    def _frame(self, frame: Frame) -> None:
        kind = frame.headers.get(":event-type", "")
        if frame.headers.get(":message-type") in ("exception", "error"):
            self._current = replace(self._current, free=not self._output_bytes, ended=True)
        elif kind in _ENDS:
            self._current = replace(self._current, ended=True)
            if kind == "meteringEvent":
                self._meter(_METERED.read(frame.payload))
        else:
            self._output_bytes += text_bytes(tightened(frame.payload), _TEXTS)

    def _meter(self, found: dict[str, object]) -> None:
        amount, unit = found.get("usage"), found.get("unit")
        if isinstance(amount, Decimal) and isinstance(unit, str) and unit.lower() == "credit":
            self._credits = (self._credits or Decimal(0)) + amount

    def _flag(self, text: str) -> None:
        if text not in self._current.flags:
            self._current = replace(self._current, flags=(*self._current.flags, text))
