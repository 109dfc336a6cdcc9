"""The dialect `zed-completions`: Zed's hosted models. A provider's own request in an envelope, its own events a line each.

A line is `{"event":…}` or `{"status":…}`. Events of Anthropic, of Responses and of Gemini are read by their own dialects, told
apart by the first one; those of others are not read here: such a call is an estimate, and flagged. The envelope names the
vendor, by whose list the call is priced.
Source: facts/wire-formats.md 11, 14.
"""

from __future__ import annotations

import json
from typing import Final

from msgspec.structs import replace

from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.client import sender
from spendgate.providers.gemini import Gemini
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Answer, Dialect, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.readers import from_headers
from spendgate.providers.reading import Reading
from spendgate.providers.refusals import zed_error, zed_refusal
from spendgate.providers.shapes import TEXT, Shape

UNREAD: Final = "events of a provider that is not read"
TOO_LONG: Final = "a line too long to keep"
_PRICES: Final = {
    "anthropic": "anthropic",
    "open_ai": "openai",
    "google": "google",
    "x_ai": "x-ai",
    "baseten": "baseten",
}
"""The vendor in the envelope, and its price list. Without one here Anthropic's is asked, and what that lacks is unknown."""
_LINE_BYTES_MAX: Final = 1024 * 1024
_EVENT: Final = b'{"event":'
_STREAM: Final = CaseInsensitive({"content-type": "text/event-stream"})


class ZedCompletions(BaseDialect):
    """Zed's hosted completions. Stateless."""

    name = "zed-completions"

    request = Scanner(Shape(model=TEXT, provider=TEXT), ("model", "provider"))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of an envelope. What is in it may hold anything, so that its size bounds no input and nothing its rounds."""
        return Ask(
            model=scan.fields.get("model"), streamed=True, text_bytes=len(body), opaque_input=True, cache_ttl="1h",
            searches_max=None, loops=True, prices=_PRICES.get(scan.fields.get("provider") or ""), **sender(head),
        )  # fmt: skip

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of lines."""
        return _Lines(ask, headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of lines: they are not sent as a stream of events."""
        return _Lines(ask, headers)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Zed's error shape: 403, whose text is shown, where a 402 shows a text of Zed's own."""
        return zed_refusal(notice, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Zed's shape."""
        return zed_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """A line that says that the call failed."""
        failed = {
            "status": {"failed": {"code": notice.code, "message": notice.message, "request_id": notice.request_id}}
        }
        return json.dumps(failed, separators=(",", ":")).encode() + b"\n"


class _Lines:
    """Hands each line's event to the reader of the provider whose it is."""

    def __init__(self, ask: Ask, headers: Headers) -> None:
        self._ask = ask
        self._start = from_headers(headers)
        self._line = bytearray()
        self._skipping = False
        self._inner: Reader | None = None
        self._flags: tuple[str, ...] = ()

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True when counts changed."""
        changed = False
        *ended, rest = data.split(b"\n")
        for part in ended:
            changed = self._end(part) or changed
        self._keep(rest)
        return changed

    def reading(self) -> Reading:
        """What has been read so far."""
        return self._with(self._inner.reading() if self._inner else self._start)

    def close(self) -> Reading:
        """Read a last line without an end, and give the whole."""
        self._end(b"")
        return self._with(self._inner.close() if self._inner else self._start)

    def _with(self, reading: Reading) -> Reading:
        return replace(
            reading, request_id=self._start.request_id, account=reading.account or self._start.account,
            flags=(*reading.flags, *self._flags),
        )  # fmt: skip

    def _keep(self, part: bytes) -> None:
        if self._skipping or len(self._line) + len(part) > _LINE_BYTES_MAX:
            self._skipping = True
            self._line.clear()
            self._flag(TOO_LONG)
        else:
            self._line += part

    def _end(self, part: bytes) -> bool:
        self._keep(part)
        line, self._skipping = bytes(self._line).strip(), False
        self._line.clear()
        if not (line.startswith(_EVENT) and line.endswith(b"}")):
            return False
        event = line[len(_EVENT) : -1]
        if self._inner is None:
            dialect = _spoken(event)
            if dialect is None:
                self._flag(UNREAD)
                return False
            self._inner = dialect.reader(self._ask, 200, _STREAM)
        return self._inner.feed(b"data: " + event.replace(b"\r", b" ") + b"\n\n")

    def _flag(self, text: str) -> None:
        if text not in self._flags:
            self._flags = (*self._flags, text)


_MESSAGES: Final = AnthropicMessages()
_RESPONSES: Final = OpenAIResponses()
_GEMINI: Final = Gemini()


def _spoken(event: bytes) -> Dialect | None:
    """Whose event this is."""
    if b'"message_start"' in event[:4096]:
        return _MESSAGES
    if b'"response.' in event:
        return _RESPONSES
    return _GEMINI if b'"candidates"' in event or b'"usageMetadata"' in event else None
