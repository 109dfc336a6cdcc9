"""OpenAI's Responses on one WebSocket connection, message by message, both ways.

Responses run one at a time in each lane; a `response.create` may name its lane (`stream_id`), and each message about it then
does. Without that, and as long as nobody steers (`openai_steering`), all is one lane, and no message is looked at for another.
Sources: facts/wire-formats.md 2.1; openai-python 3.54, types/responses/responses_client_event.py, responses_server_event.py,
lib/responses_websocket; Codex 0.169.0 on the wire (20).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import asked_also, weighed
from spendgate.providers.client import sender
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import WHOLE_BYTES_MAX, Scanner
from spendgate.providers.openai_answers import MARKS, read_ends, read_event
from spendgate.providers.openai_responses_asked import REQUEST_SCAN, ask_of
from spendgate.providers.openai_steering import STEER, STEER_REQUEST, STEERED, steered
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import TEXT, Fields, Shape, record
from spendgate.providers.socket_interface import Moved, Steered
from spendgate.providers.sse import END_BYTES
from spendgate.providers.streams import text_bytes, tightened

_CREATE: Final = "response.create"
_QUOTED_CREATE: Final = b'"response.create"'
_QUOTED_STEER: Final = b'"response.steer"'
_TYPE_SCAN: Final = Scanner(Shape(type=TEXT), ("type",))
_STEER_SCAN: Final = Scanner(STEER_REQUEST, ("previous_response_id",))
_WAY: Final = Shape(type=TEXT, stream_id=TEXT, response=record(previous_response_id=TEXT), steer=STEERED)
_WAY_ENDS: Final = Scanner(Shape(stream_id=TEXT), ("stream_id",))
_TIGHT: Final = (b'"delta":"',)
_OBJECTS_MAX: Final = 100_000
"""So many objects one message is read for, in some 0.1 s; no answer has them, but 64 MiB hold fifty times as many."""


class ResponsesSocket:
    """Reads one WebSocket connection. What has no id belongs to the response that was created last in its lane."""

    __slots__ = ("_head", "_lanes", "_readings")

    def __init__(self, head: Head) -> None:
        self._head = head
        self._readings: dict[str | None, Reading] = {}
        """Of what runs, by lane."""
        self._lanes = False
        """Whether messages say by their lane, or by the response that they go on from, what they are about."""

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message starts a response. One that cannot be read counts as one without a known model."""
        try:
            kind = yield from _kind(message)
            if kind == STEER:
                return (yield from self._steer(message))
            if kind != _CREATE:
                return None
            scan = yield from REQUEST_SCAN.steps(message)
        except Exception:  # noqa: BLE001  whatever it is, it may cost money: an Ask without a bound, never nothing
            return Ask(streamed=True, text_bytes=len(message), opaque_input=True, **sender(self._head))
        lane = scan.fields.get("stream_id")
        self._lanes = self._lanes or lane is not None
        ask = yield from weighed(asked_also(ask_of(self._head, message, scan), scan.also), message)
        return replace(ask, streamed=True, lane=lane)

    def _steer(self, message: bytes) -> Generator[None, None, Ask]:
        found = (yield from _STEER_SCAN.steps(message)).fields
        self._lanes = True
        said = sender(self._head)
        steers = found.get("previous_response_id") or ""
        return Ask(streamed=True, text_bytes=len(message), opaque_input=True, steers=steers, **said)

    def from_server(self, message: bytes) -> Moved | Steered | None:
        """What was said of a response when it was created, moved its counts or ended, and what of a message that steers.

        An error names no response, so its id is None: before any it ends a create, for nothing; while one runs, its reading
        is that one's, should it end so.
        """
        if not self._lanes:
            return self._moved(message, None)
        found = _way(message)
        about = steered(found)
        if about is not None:
            return about
        lane = found.get("stream_id")
        moved = self._moved(message, lane) or Moved(None, None, lane)
        return moved._replace(continues=(found.get("response") or {}).get("previous_response_id"))

    def _moved(self, message: bytes, lane: str | None) -> Moved | None:
        running = self._readings.get(lane)
        current = running or Reading()
        if not _marked(message):
            if running is not None:
                grown = text_bytes(tightened(message), _TIGHT)
                self._readings[lane] = replace(current, output_bytes=current.output_bytes + grown)
            return None
        try:
            if b'"response.created"' in message:
                current = Reading()
            reading, named = _read_message(current, message)
            if not named:
                # What runs is kept: its own last word may still come.
                return Moved(None, reading, lane) if reading.ended else None
            if current.response_id not in (None, reading.response_id):
                return _read_other(message, lane)
        except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's socket
            reading = replace(current, flags=(f"reader failed: {type(fault).__name__}",))
        if reading == running or (reading == Reading() and running is None):
            return None
        if reading.ended:
            self._readings.pop(lane, None)
        else:
            self._readings[lane] = reading
        return Moved(reading.response_id, reading, lane)


def _kind(message: bytes) -> Generator[None, None, str | None]:
    """A client's message's type, in steps. Raises WireError.

    In a long one `type` stands in every item, so the value is looked for as a string: in a text its quotes would be escaped.
    """
    if len(message) >= WHOLE_BYTES_MAX and message.find(_QUOTED_CREATE) >= 0 and message.find(_QUOTED_STEER) < 0:
        return _CREATE
    kind: str | None = (yield from _TYPE_SCAN.steps(message)).fields.get("type")
    return kind


def _marked(message: bytes) -> bool:
    for mark in MARKS:  # noqa: SIM110  `any` takes 0.3 µs more, of each piece of an answer
        if message.find(mark) >= 0:
            return True
    return False


def _way(message: bytes) -> Fields:
    """Its type, its lane, what it goes on from and what it says of one that steers; nothing of what cannot be read."""
    try:
        if message.count(b"{") <= _OBJECTS_MAX:
            return _WAY.read(message)
        return _WAY_ENDS.read_ends(message[:END_BYTES], message[-END_BYTES:])
    except Exception:  # noqa: BLE001  as one that says nothing of it
        return {}


def _read_message(current: Reading, message: bytes) -> tuple[Reading, bool]:
    """As `read_event`, without a look at the middle of a message of very many objects."""
    if message.count(b"{") <= _OBJECTS_MAX:
        return read_event(current, message)
    return read_ends(current, message[:END_BYTES], message[-END_BYTES:]), True


def _read_other(message: bytes, lane: str | None) -> Moved:
    """A message about another response than the one created last, which keeps its own reading.

    What the other one has put out is not known here, so none is called free.
    """
    reading, _ = _read_message(Reading(), message)
    if reading.free:
        reading = replace(reading, free=False, final=False)
    return Moved(reading.response_id, reading, lane)
