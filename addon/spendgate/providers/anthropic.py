"""The dialect `anthropic-messages`: POST …/v1/messages, streamed or not, of Anthropic and of hosts that speak like it.

What its answers hold is read in `anthropic_answers`.
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.providers.anthropic_answers import ANSWER, ANSWER_SCAN, Stream, answer_of
from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.brought_tools import ToolScanner
from spendgate.providers.client import sender
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.other_models import NAMING, TOOL, others
from spendgate.providers.readers import BodyReader
from spendgate.providers.refusals import anthropic_cut, anthropic_error, anthropic_refusal
from spendgate.providers.shapes import COUNT, FLAG, LONG_TEXT, PRESENT, TEXT, Fields, Shape, cap, items, record
from spendgate.selector import OVERAGE, PLAN

_TOOL: Final = record(type=TEXT, max_uses=COUNT, **TOOL)
_REQUEST: Final = Shape(
    model=TEXT,
    max_tokens=COUNT,
    stream=FLAG,
    service_tier=TEXT,
    speed=TEXT,
    metadata=record(user_id=LONG_TEXT),
    tools=items(_TOOL),
    mcp_servers=items(record(type=TEXT)),
    context_management=record(edits=items(record(type=TEXT))),
    container=PRESENT,
    thread=record(type=TEXT, previous_message_id=TEXT),
    compaction=PRESENT,
    **NAMING,
)
_BRINGS: Final = b"tool_definition"
_REQUEST_SCAN: Final = ToolScanner(
    _REQUEST,
    (
        "model", "max_tokens", "stream", "service_tier", "speed", "metadata", "tools", "mcp_servers",
        "context_management", "container", "thread", "compaction", *NAMING,
    ),
    marks=rb'(cache_control)"|ttl"\s*:\s*"(1h)"|type"\s*:\s*"(image|document|container_upload|' + _BRINGS
    + rb')"|(file_id)"',
    telling=_BRINGS, key="definition", opening=b"{", tool=_TOOL,
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


class AnthropicMessages(BaseDialect):
    """Anthropic Messages. Stateless."""

    name = "anthropic-messages"

    request: Scanner = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return _ask(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return Stream(headers, _ttl(ask))

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        ttl = _ttl(ask)
        return BodyReader(headers, ANSWER, ANSWER_SCAN, lambda reading, found: answer_of(reading, found, ttl))

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
    # The provider keeps the conversation, and bills all of it; its name is that of the answer which this request goes on from.
    thread = found.get("thread") or {}
    before = thread.get("previous_message_id")
    kept = before is not None or thread.get("type") not in (None, "create")
    if found.get("speed") == "fast" and said["billing"] == PLAN:
        # No plan includes fast mode: it is paid from credits from the first token on (facts/wire-formats.md 1b).
        said["billing"] = OVERAGE
    compacts = any(((edit or {}).get("type") or "").startswith("compact") for edit in edits)
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=bool(found.get("stream")),
        text_bytes=len(body) + (TOOLS_BYTES if tools else 0) + TOOL_BYTES * own,
        # What asks for a summary, of the conversation alone, is a text of Anthropic's that no byte shows.
        opaque_input=kept or bool(found.get("compaction") or scan.marks & _OPAQUE),
        context_window=_LONG_WINDOW if "context-1m" in (head.headers.get("anthropic-beta") or "").lower() else None,
        output_tokens_max=cap(found.get("max_tokens")),
        service_tier=found.get("service_tier"),
        speed=found.get("speed"),
        cache_ttl="1h" if scan.marks & _HOUR else "5m" if b"cache_control" in scan.marks else None,
        searches_max=_searches(hosted),
        # Each of these makes the provider sample again and bill the input again, as often as it sees fit.
        loops=bool(hosted or compacts or any(found.get(name) for name in ("mcp_servers", "fallbacks", "container"))),
        continues=before,
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
