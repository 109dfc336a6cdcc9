"""The dialect `openai-responses`: POST …/responses and …/responses/compact, streamed or not, and WebSocket …/responses.

What its answers hold is read in `openai_answers`. Sources: facts/wire-formats.md 2, 3, 18; Codex 0.169.0 on the wire (20).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.providers.base import OpenAIDialect, asked_also, weighed
from spendgate.providers.client import sender
from spendgate.providers.interface import Ask, Head, Headers, Notice, Reader, Reading, ResultReader
from spendgate.providers.jsonscan import WHOLE_BYTES_MAX, Scan, Scanner
from spendgate.providers.openai_answers import ANSWER, ANSWER_SCAN, answer, read_ends, read_event
from spendgate.providers.other_models import NAMING, TOOL, others
from spendgate.providers.readers import BodyReader
from spendgate.providers.refusals import responses_cut, responses_failed, responses_frame
from spendgate.providers.results import NoResults, OneResult
from spendgate.providers.shapes import COUNT, FLAG, NAMED, PRESENT, TEXT, Shape, cap, items, record
from spendgate.providers.sse import END_BYTES, Oversized
from spendgate.providers.streams import EventReader, text_bytes, tightened

_REQUEST: Final = Shape(
    model=TEXT,
    stream=FLAG,
    max_output_tokens=COUNT,
    max_tool_calls=COUNT,
    service_tier=TEXT,
    background=FLAG,
    generate=FLAG,
    previous_response_id=NAMED,
    conversation=NAMED,
    prompt=PRESENT,
    reasoning=record(mode=TEXT),
    multi_agent=record(enabled=FLAG),
    tools=items(record(type=TEXT, **TOOL)),
    **NAMING,
)
# An item of an id alone, its type left out or null, refers to an earlier one: behind its bracket, spaced or not. One that says
# them four times counts too, without a look at its end: of a thousand ids in a row, each would be read from up to the last.
_VALUE: Final = rb'"\s*+:\s*+(?:null|"[^"]*+")\s*+'
_AGAIN: Final = rb'(?:,\s*+"(?:id|type)' + _VALUE + rb")"
_REFERENCE: Final = (
    rb'(id)(?:(?<=\{"id)|(?<=[\s{]\s"id))' + _VALUE + rb"(?:" + _AGAIN + rb"{3}|" + _AGAIN + rb"{0,2}+\})"
    rb'|type"\s*+:\s*+(null)'
)
REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    (
        "model", "stream", "max_output_tokens", "max_tool_calls", "service_tier", "background", "generate",
        "previous_response_id", "conversation", "prompt", "reasoning", "multi_agent", "tools", *NAMING,
    ),
    marks=rb'type"\s*:\s*"(input_image|input_file|input_audio|computer_screenshot|item_reference)"|(file_id)"|'
    + _REFERENCE,
)  # fmt: skip
_CREATE: Final = b'"response.create"'
_TYPE_SCAN: Final = Scanner(Shape(type=TEXT), ("type",))
_CLIENT_TOOLS: Final = frozenset(
    {None, "function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview", "namespace"}
)

MARKS: Final = (b'"usage"', b'"error"', b'"response.created"')
TEXTS: Final = (b"delta",)
_TIGHT: Final = (b'"delta":"',)
_OBJECTS_MAX: Final = 100_000
"""So many objects one message is read for, in some 0.1 s; no answer has them, but 64 MiB hold fifty times as many."""


class OpenAIResponses(OpenAIDialect):
    """OpenAI Responses over HTTP and WebSocket. Stateless."""

    name = "openai-responses"

    request = REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return ask_of(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, ANSWER, ANSWER_SCAN, answer)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """`response.failed`, which ends a stream."""
        return responses_cut(notice, response_id)

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of one response that is asked for again: polled, streamed on, or cancelled."""
        return NoResults() if status >= 300 else OneResult(self.reader(Ask(), status, headers))

    def socket(self, head: Head) -> ResponsesSocket:
        """A reader of one WebSocket connection; `head` is its handshake's."""
        return ResponsesSocket(head)

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The message that refuses one `response.create`."""
        return responses_frame(notice, tool, strict=strict)

    def cut_frame(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The message that ends a running response."""
        return responses_failed(notice, response_id)


def ask_of(head: Head, body: bytes, scan: Scan) -> Ask:
    """The Ask of a request body, or of a `response.create` message, which holds the same fields."""
    found = scan.fields
    hosted = [tool for tool in found.get("tools") or [] if tool and tool.get("type") not in _CLIENT_TOOLS]
    searches = any((tool.get("type") or "").startswith("web_search") for tool in hosted)
    stored = bool(found.get("prompt"))
    before, conversation = found.get("previous_response_id"), found.get("conversation")
    refers = stored or bool(before or conversation)
    kept = conversation if isinstance(conversation, str) else None
    agents = found.get("multi_agent")
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=bool(found.get("stream")),
        text_bytes=len(body),
        opaque_input=refers or bool(scan.marks),
        output_tokens_max=cap(found.get("max_output_tokens")),
        service_tier=found.get("service_tier"),
        cache_ttl="write",
        searches_max=found.get("max_tool_calls") if searches else 0,
        # The provider runs these itself and bills the input again at each round, a stored prompt may bring some that are not
        # seen here, and a model; `pro` samples several times, and so do agents of its own, as many as they see fit
        # (openai-python 3.50, beta MultiAgent: "no fixed limit").
        loops=bool(hosted)
        or stored
        or (found.get("reasoning") or {}).get("mode") == "pro"
        or (agents is not None and agents.get("enabled") is not False),
        background=bool(found.get("background")),
        continues=before if isinstance(before, str) else kept,
        conversation=kept,
        generates=found.get("generate") is not False,
        **sender(head),
    )


class _Stream(EventReader):
    """Reads a streamed answer."""

    marks = MARKS
    texts = TEXTS

    def event(self, data: bytes) -> bool:
        """Read an event that holds a `response` or an error."""
        self.current, _ = read_event(replace(self.current, output_bytes=self.output_bytes), data)
        return True

    def oversized(self, event: Oversized) -> bool:
        """Read a last event that repeats a long answer."""
        self.current = read_ends(self.current, event.head, event.tail)
        return True


def _creates(message: bytes) -> Generator[None, None, bool]:
    """Whether a client's message starts a response, in steps. Raises WireError.

    In a long one `type` stands in every item, so the value is looked for as a string: in a text its quotes would be escaped.
    """
    if len(message) >= WHOLE_BYTES_MAX and message.find(_CREATE) >= 0:
        return True
    scan = yield from _TYPE_SCAN.steps(message)
    return bool(scan.fields.get("type") == "response.create")


class ResponsesSocket:
    """Reads one WebSocket connection. Responses run one at a time: what has no id belongs to the one created last."""

    __slots__ = ("_head", "_reading")

    def __init__(self, head: Head) -> None:
        self._head = head
        self._reading: Reading | None = None

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message starts a response. One that cannot be read counts as one without a known model."""
        try:
            if not (yield from _creates(message)):
                return None
            scan = yield from REQUEST_SCAN.steps(message)
        except Exception:  # noqa: BLE001  whatever it is, it may cost money: an Ask without a bound, never nothing
            return Ask(streamed=True, text_bytes=len(message), opaque_input=True, **sender(self._head))
        ask = yield from weighed(asked_also(ask_of(self._head, message, scan), scan.also), message)
        return replace(ask, streamed=True)

    def from_server(self, message: bytes) -> tuple[str | None, Reading] | None:
        """(response id, reading) when a response was created, moved its counts or ended.

        An error names no response, so its id is None: before any it ends a create, for nothing; while one runs, its reading
        is that one's, should it end so.
        """
        current = self._reading or Reading()
        if not any(message.find(mark) >= 0 for mark in MARKS):
            if self._reading is not None:
                grown = text_bytes(tightened(message), _TIGHT)
                self._reading = replace(current, output_bytes=current.output_bytes + grown)
            return None
        try:
            if b'"response.created"' in message:
                current = Reading()
            reading, named = _read_message(current, message)
            if not named:
                # What runs is kept: its own last word may still come.
                return (None, reading) if reading.ended else None
            if current.response_id not in (None, reading.response_id):
                return _read_other(message)
        except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's socket
            reading = replace(current, flags=(f"reader failed: {type(fault).__name__}",))
        if reading == self._reading or (reading == Reading() and self._reading is None):
            return None
        self._reading = None if reading.ended else reading
        return reading.response_id, reading


def _read_message(current: Reading, message: bytes) -> tuple[Reading, bool]:
    """As `read_event`, without a look at the middle of a message of very many objects."""
    if message.count(b"{") <= _OBJECTS_MAX:
        return read_event(current, message)
    return read_ends(current, message[:END_BYTES], message[-END_BYTES:]), True


def _read_other(message: bytes) -> tuple[str | None, Reading]:
    """A message about another response than the one created last, which keeps its own reading.

    What the other one has put out is not known here, so none is called free.
    """
    reading, _ = _read_message(Reading(), message)
    if reading.free:
        reading = replace(reading, free=False, final=False)
    return reading.response_id, reading
