"""The dialect `anthropic-messages`: POST …/v1/messages, streamed or not, of Anthropic and of hosts that speak like it.

Facts that decide here (facts/wire-formats.md 1.2-1.5): deltas are cumulative; a second `message_start` may come, and the last
counts; a refusal before any content is an HTTP 200 that costs nothing; after a server-side fallback `message_start` still
names the model that was asked for, and a `fallback` block names the one that answers.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from spendgate.providers.anthropic_usage import SPLIT_ASSUMED, USAGE, Counts
from spendgate.providers.base import BaseDialect
from spendgate.providers.client import sender
from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.interface import Answer, Ask, Head, Headers, Notice, Part, Reader, Reading
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.other_models import NAMING, TOOL, others
from spendgate.providers.readers import BodyReader
from spendgate.providers.refusals import anthropic_cut, anthropic_error, anthropic_refusal
from spendgate.providers.shapes import COUNT, FLAG, LONG_TEXT, PRESENT, TEXT, Fields, Shape, items, record
from spendgate.providers.streams import EventReader

_REQUEST: Final = Shape(
    model=TEXT,
    max_tokens=COUNT,
    stream=FLAG,
    service_tier=TEXT,
    speed=TEXT,
    metadata=record(user_id=LONG_TEXT),
    tools=items(record(type=TEXT, max_uses=COUNT, **TOOL)),
    mcp_servers=items(record(type=TEXT)),
    context_management=record(edits=items(record(type=TEXT))),
    container=PRESENT,
    **NAMING,
)
_REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    (
        "model", "max_tokens", "stream", "service_tier", "speed", "metadata", "tools", "mcp_servers",
        "context_management", "container", *NAMING,
    ),
    marks=rb'(cache_control)"|ttl"\s*:\s*"(1h)"|type"\s*:\s*"(image|document|container_upload)"|(file_id)"',
)  # fmt: skip
_OPAQUE: Final = frozenset({b"image", b"document", b"container_upload", b"file_id", ESCAPED})
_HOUR: Final = frozenset({b"1h", ESCAPED})
_SERVER_TOOL: Final = re.compile(r"mcp_toolset$|.*_\d{8}$")
_CLIENT_TOOL: Final = re.compile(r"(?:bash|text_editor|computer|memory)_\d{8}$")

_LONG_WINDOW: Final = 1_000_000
"""What `anthropic-beta: context-1m-…` asks for."""
TOOLS_BYTES: Final = 1024
"""Tokens that Anthropic adds to the prompt when tools are offered (313-530), so that bytes stay a bound of tokens."""
TOOL_BYTES: Final = 1536
"""Tokens that one tool of Anthropic's own adds at most (`text_editor` 700, `computer` 735 and a system prompt)."""

_BLOCK: Final = record(type=TEXT, to=record(model=TEXT))
ANSWER_FIELDS: Final = {
    "id": TEXT,
    "model": TEXT,
    "stop_reason": TEXT,
    "usage": USAGE,
    "content": items(_BLOCK),
    "copilot_usage": COPILOT_USAGE,
}
_ANSWER: Final = Shape(**ANSWER_FIELDS)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("id", "model", "stop_reason", "usage", "copilot_usage"))
_EVENT: Final = Shape(
    type=TEXT,
    message=record(id=TEXT, model=TEXT, usage=USAGE),
    usage=USAGE,
    delta=record(stop_reason=TEXT),
    content_block=_BLOCK,
    copilot_usage=COPILOT_USAGE,
)


class AnthropicMessages(BaseDialect):
    """Anthropic Messages. Stateless."""

    name = "anthropic-messages"

    request = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return _ask(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return Stream(headers, _ttl(ask))

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        ttl = _ttl(ask)
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, lambda reading, found: answer_of(reading, found, ttl))

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Anthropic's error shape."""
        return anthropic_refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Anthropic's shape."""
        return anthropic_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """`event: error`, which ends a stream."""
        return anthropic_cut(notice)


def _ask(head: Head, body: bytes, scan: Scan) -> Ask:
    found = scan.fields
    said = sender(head, (found.get("metadata") or {}).get("user_id"))
    tools: list[Fields] = [tool for tool in found.get("tools") or [] if tool]
    edits = (found.get("context_management") or {}).get("edits") or []
    hosted = [tool for tool in tools if _hosted(tool.get("type"))]
    own = sum(1 for tool in tools if tool.get("type") not in (None, "custom"))
    compacts = any(((edit or {}).get("type") or "").startswith("compact") for edit in edits)
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=bool(found.get("stream")),
        text_bytes=len(body) + (TOOLS_BYTES if tools else 0) + TOOL_BYTES * own,
        opaque_input=bool(scan.marks & _OPAQUE),
        context_window=_LONG_WINDOW if "context-1m" in (head.headers.get("anthropic-beta") or "").lower() else None,
        output_tokens_max=found.get("max_tokens"),
        service_tier=found.get("service_tier"),
        speed=found.get("speed"),
        cache_ttl="1h" if scan.marks & _HOUR else "5m" if b"cache_control" in scan.marks else None,
        searches_max=_searches(hosted),
        # Each of these makes the provider sample again and bill the input again, as often as it sees fit.
        loops=bool(hosted or compacts or any(found.get(name) for name in ("mcp_servers", "fallbacks", "container"))),
        **said,
    )


def _ttl(ask: Ask) -> str | None:
    """The time-to-live that an unsplit count of cache writes is taken to have, where it is not the short one."""
    return "1h" if ask.cache_ttl == "1h" else None


def _hosted(kind: str | None) -> bool:
    """Whether the provider runs this tool itself. A dated type that nobody knows yet is taken to be."""
    return kind is not None and _SERVER_TOOL.match(kind) is not None and _CLIENT_TOOL.match(kind) is None


def _searches(hosted: list[Fields]) -> int | None:
    total = 0
    for tool in hosted:
        if (tool.get("type") or "").startswith("web_search"):
            if tool.get("max_uses") is None:
                return None
            total += tool["max_uses"]
    return total


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
        flags=(*reading.flags, SPLIT_ASSUMED) if counts.assumed else reading.flags,
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
        if self._counts.assumed:
            self.flag(SPLIT_ASSUMED)
