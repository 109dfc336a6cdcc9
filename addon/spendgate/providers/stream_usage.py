"""A chat stream that is made to report its usage, and the client's answer without what it then holds more.

By default no request is altered. Where the policy says `capture.stream_usage: ask`, a request that says nothing of
`stream_options` is given `{"include_usage": true}`, as one member behind its first brace; every other byte of it stays.
OpenAI then sends `"usage": null` in each chunk and one more chunk, without choices, that has the counts (facts/wire-formats.md
2, 2.1; openai-python, types/chat/chat_completion_stream_options_param.py). `Hidden` takes both away again, so that the client
gets what it would have got. A request whose bytes are signed or digested is left alone, and an answer that is encoded is passed
on as it is: nothing can be taken out of it.
"""

from __future__ import annotations

import json
import re
from typing import Final

from spendgate.providers.interface import Headers

ASKED: Final = "usage asked for"
"""Flag of a call whose request was given the question."""
SHOWN: Final = "usage chunk not hidden"
"""Flag of a stream from which its usage could not be taken, so that its client saw it."""

EVENT_BYTES_MAX: Final = 64 * 1024
"""A longer event is passed on as it comes: no chunk with counts is so long."""
_QUESTION: Final = b'"stream_options":{"include_usage":true}'
_SEALED: Final = (
    "content-encoding", "content-md5", "digest", "content-digest", "repr-digest", "signature", "signature-input",
    "x-amz-content-sha256", "x-amz-date",
)  # fmt: skip
"""Fields that say what the body's bytes are."""
# After \r one more byte is awaited: a \n that follows belongs to the same end of a line.
_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}")
_BLANK_BYTES: Final = 4
_DATA: Final = re.compile(rb"(?<![^\r\n])data:[ ]?(\{[^\r\n]*\})[ \t]*(?![^\r\n])")
# Inside a text its quotes would be escaped, so that no comma stands right before one.
_NOTHING: Final = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,\s*')


def may_ask(headers: Headers) -> bool:
    """Whether a request with this head may be altered: plain, and neither signed nor digested."""
    signed = "signature" in (headers.get("authorization") or "").lower()
    return not signed and not any(headers.get(name) is not None for name in _SEALED)


def asking(body: bytes) -> bytes:
    """A request's body with the question in it; the body must be a JSON object that has members, none of it `stream_options`."""
    at = body.index(b"{") + 1
    return body[:at] + _QUESTION + b"," + body[at:]


def hides(headers: Headers) -> bool:
    """Whether what was asked for can be taken out of the answer with this head."""
    encoding = (headers.get("content-encoding") or "identity").strip().lower()
    events = (headers.get("content-type") or "").lower().startswith("text/event-stream")
    return events and encoding in ("", "identity") and headers.get("content-length") is None


class Hidden:
    """Takes usage out of one stream of events. Never raises; holds back at most one event that has not ended."""

    __slots__ = ("_held", "_passing")

    def __init__(self) -> None:
        self._held = bytearray()
        self._passing = False

    def feed(self, data: bytes) -> bytes:
        """What of these bytes, and of those that were held back, goes to the client now."""
        held, passed, start = self._held, [], 0
        looked = max(0, len(held) - _BLANK_BYTES)
        held += data
        for blank in list(_BLANK.finditer(held, looked)):
            event = bytes(held[start : blank.end()])
            start = blank.end()
            passed.append(event if self._passing else without_usage(event))
            self._passing = False
        del held[:start]
        if self._passing or len(held) > EVENT_BYTES_MAX:
            self._passing = True
            passed.append(bytes(held[:-_BLANK_BYTES]))
            del held[:-_BLANK_BYTES]
        return b"".join(passed)

    def close(self) -> bytes:
        """What is still held back: the stream is over, and its last event has not ended."""
        held, self._held = bytes(self._held), bytearray()
        return held if self._passing else without_usage(held)


def without_usage(event: bytes) -> bytes:
    """One event without its empty usage; nothing where the event is the usage and no more."""
    if b'"usage"' not in event:
        return event
    found = _DATA.search(event)
    try:
        chunk = json.loads(found[1]) if found else None
    except (ValueError, RecursionError):
        return event
    if found is None or not isinstance(chunk, dict) or "usage" not in chunk:
        return event
    if chunk["usage"] is None:
        plain = _without_null(found[1], chunk)
        return event[: found.start(1)] + plain + event[found.end(1) :]
    return b"" if chunk.get("choices") == [] and isinstance(chunk["usage"], dict) else event


def _without_null(text: bytes, chunk: dict[str, object]) -> bytes:
    """The JSON text without its own member `usage`, which is null: of places that look so, the one whose loss is just that."""
    wanted = {name: value for name, value in chunk.items() if name != "usage"}
    for place in list(_NOTHING.finditer(text))[:8]:
        plain = text[: place.start()] + text[place.end() :]
        try:
            if json.loads(plain) == wanted:
                return plain
        except ValueError:
            continue
    return text
