"""What readers of all dialects share: what a response's head tells, an answer that is free, the two ends of a JSON answer.

A dialect gives a function that turns a whole JSON answer's fields into a Reading. Readers never raise: a fault becomes a flag,
reading stops, and the call is counted as an estimate.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers.interface import Headers, Reader
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import Fields, Shape
from spendgate.providers.sse import END_BYTES

WHOLE_BYTES_MAX: Final = 256 * 1024
"""A longer JSON answer is read from its ends, so that its end is never delayed by a parse (0.6 ms for this)."""

REQUEST_ID_HEADERS: Final = ("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid")
ACCOUNT_HEADERS: Final = ("anthropic-organization-id", "openai-organization")


PLAN_STATUS: Final = "anthropic-ratelimit-unified-status"
"""Anthropic's word on a plan's limits, in answers to a plan's token alone (facts/wire-formats.md 1b)."""
_IN_USE: Final = "anthropic-ratelimit-unified-overage-in-use"
_OVERAGE: Final = "anthropic-ratelimit-unified-overage-status"
_RESET: Final = "anthropic-ratelimit-unified-reset"
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def from_headers(headers: Headers) -> Reading:
    """What a response's head alone tells."""
    status = headers.get(PLAN_STATUS)
    return Reading(
        request_id=_first(headers, REQUEST_ID_HEADERS),
        account=_first(headers, ACCOUNT_HEADERS),
        overage=None if status is None else _past_plan(status, headers),
        overage_until_ms=None if status is None else _reset_ms(headers),
    )


def _past_plan(status: str, headers: Headers) -> bool:
    """Whether the account pays for what goes beyond its plan: by the header that says so, since Claude Code 2.1.206; before
    it, where the plan's own limit rejects and overage is allowed (`isUsingOverage` of the events of Claude Code)."""
    said = headers.get(_IN_USE)
    if said is not None:
        return said == "true"
    return status == "rejected" and (headers.get(_OVERAGE) or "").startswith("allowed")


def _reset_ms(headers: Headers) -> int | None:
    """When the plan's limit that holds begins anew."""
    said = _SECONDS.fullmatch(headers.get(_RESET) or "")
    return 1000 * int(said[0]) if said else None


def _first(headers: Headers, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = headers.get(name)
        if value:
            return value[:128]
    return None


def is_events(headers: Headers, *, asked: bool) -> bool:
    """Whether a response is a stream of events; where it does not say what it is, whether one was asked for."""
    kind = (headers.get("content-type") or "").lower()
    return kind.startswith("text/event-stream") if kind else asked


def is_open(headers: Headers, kind: str) -> bool:
    """Whether a body is of this content type and may be longer than its head says: it says no length."""
    return kind in (headers.get("content-type") or "").lower() and headers.get("content-length") is None


class FreeReader:
    """Reads a response that costs nothing: an error status, before any work was done."""

    __slots__ = ("_reading",)

    def __init__(self, headers: Headers) -> None:
        self._reading = replace(from_headers(headers), free=True, final=True)

    def feed(self, data: bytes) -> bool:
        """Nothing in it is counted."""
        return False

    def reading(self) -> Reading:
        """Free, from the start."""
        return self._reading

    def close(self) -> Reading:
        """Free."""
        return self._reading


SERVED_HEADER: Final = "openai-model"
"""The model that serves, in the answer's head: OpenAI and Codex' backend (facts/wire-formats.md 3)."""
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}")


def served(reader: Reader, headers: Headers) -> Reader:
    """The reader, its answer's model the one that the head names as the one that serves, whatever the body repeats."""
    model = headers.get(SERVED_HEADER)
    return _Served(reader, model) if model and _MODEL.fullmatch(model) else reader


class _Telling(ABC):
    """A reader over another one, whose readings say something besides."""

    __slots__ = ("_reader", "feed")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.feed = reader.feed

    def reading(self) -> Reading:
        """What has been read so far."""
        return self._told(self._reader.reading())

    def close(self) -> Reading:
        """The whole."""
        return self._told(self._reader.close())

    @abstractmethod
    def _told(self, reading: Reading) -> Reading: ...


class _Served(_Telling):
    """A reader whose model is known beforehand."""

    __slots__ = ("_model",)

    def __init__(self, reader: Reader, model: str) -> None:
        super().__init__(reader)
        self._model = model

    def _told(self, reading: Reading) -> Reading:
        said = (None, reading.model)
        parts = tuple(replace(part, model=self._model) if part.model in said else part for part in reading.parts)
        return replace(reading, model=self._model, parts=parts)


class Flagged(_Telling):
    """A reader of an answer to a request that alone tells what is to be flagged."""

    __slots__ = ("_flag",)

    def __init__(self, reader: Reader, flag: str) -> None:
        super().__init__(reader)
        self._flag = flag

    def _told(self, reading: Reading) -> Reading:
        return replace(reading, flags=(*reading.flags, self._flag))


class BodyReader:
    """Reads one JSON answer: whole when it is short, from its two ends when it is long. Memory is bounded either way."""

    __slots__ = ("_body", "_closed", "_finish", "_head", "_opening", "_reading", "_scanner", "_shape", "_size")

    def __init__(
        self,
        headers: Headers,
        shape: Shape,
        scanner: Scanner,
        finish: Callable[[Reading, Fields], Reading],
        *,
        opening: bytes = b"{",
    ) -> None:
        """`opening`: what stands before the members that count in a long answer's end (`Scanner.read_ends`)."""
        self._opening = opening
        self._reading = from_headers(headers)
        self._shape = shape
        self._scanner = scanner
        self._finish = finish
        self._body = bytearray()
        self._head: bytes | None = None
        self._size = 0
        self._closed = False

    def feed(self, data: bytes) -> bool:
        """Keep what is needed; a JSON answer shows its counts only at its end."""
        self._body += data
        self._size += len(data)
        if self._head is not None:
            if len(self._body) > 4 * END_BYTES:
                del self._body[:-END_BYTES]
        elif len(self._body) > WHOLE_BYTES_MAX:
            self._head = bytes(self._body[:END_BYTES])
            del self._body[:-END_BYTES]
        return False

    def reading(self) -> Reading:
        """What the head told, until `close`."""
        return self._reading

    def close(self) -> Reading:
        """Read the counts."""
        if self._closed:
            return self._reading
        self._closed = True
        try:
            body = bytes(self._body)
            head = self._head
            ends = self._scanner.read_ends
            fields = self._shape.read(body) if head is None else ends(head, body[-END_BYTES:], self._opening)
            self._reading = self._seen(self._finish(self._reading, fields))
        except WireError:
            self._reading = replace(self._reading, flags=("an answer that is not JSON",))
        except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's answer
            self._reading = replace(self._reading, flags=(f"reader failed: {type(fault).__name__}",))
        self._body = bytearray()
        return self._reading

    def _seen(self, reading: Reading) -> Reading:
        """Where an answer's input is counted and its output is not, all of the answer is what its output is estimated from: too
        much where it is little text, and never nothing."""
        counted = [part.usage for part in reading.parts if not part.known]
        lacks = any(usage.input_tokens is not None and usage.output_tokens is None for usage in counted)
        return replace(reading, output_bytes=self._size) if lacks and not reading.output_bytes else reading
