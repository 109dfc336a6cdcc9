"""The dialect `gemini-interactions`: Google's Interactions API, in which new programs are to talk to Gemini.

One path for all models and agents, named in the body. An answer, or a stream's last event, has the counts of all steps together;
input includes what was cached, output leaves thoughts out. With `background` they come when the interaction is read again.
Sources: google-genai 3.6.1 (`_gaos/types/interactions`); recorded answers and streams of @ai-sdk/google.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.client import sender
from spendgate.providers.gemini_asked import TOOLS_BYTES
from spendgate.providers.gemini_errors import google_cut, google_error, google_refusal
from spendgate.providers.gemini_usage import billed_searches, price_context, units_of, usage_of
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader, ResultReader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Part, Reading
from spendgate.providers.results import NoResults, OneResult
from spendgate.providers.shapes import COUNT, FACTOR, FLAG, PRESENT, TEXT, Fields, Shape, cap, items, record
from spendgate.providers.sse import Oversized
from spendgate.providers.stated import FEES
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

_REQUEST: Final = {
    "model": TEXT,
    "agent": TEXT,
    "stream": FLAG,
    "background": FLAG,
    "previous_interaction_id": TEXT,
    "service_tier": TEXT,
    "generation_config": record(max_output_tokens=FACTOR),
    "tools": items(record(type=TEXT)),
}
_MARKS: Final = rb'(data|uri|cached_content|continuation_token|environment)"\s*:'
"""Input that is packed, or that Google has already."""
_FUNCTION: Final = "function"
_SEARCH: Final = "google_search"

_BY_MODALITY: Final = items(record(modality=TEXT, tokens=COUNT))
_NAMES: Final = {
    "total_input_tokens": "promptTokenCount",
    "total_cached_tokens": "cachedContentTokenCount",
    "total_output_tokens": "candidatesTokenCount",
    "total_thought_tokens": "thoughtsTokenCount",
    "total_tool_use_tokens": "toolUsePromptTokenCount",
    "total_tokens": "totalTokenCount",
}
_PARTS: Final = {
    "input_tokens_by_modality": "promptTokensDetails",
    "cached_tokens_by_modality": "cacheTokensDetails",
    "output_tokens_by_modality": "candidatesTokensDetails",
    "tool_use_tokens_by_modality": "toolUsePromptTokensDetails",
}
"""What `usageMetadata` calls the same, which `gemini_usage` reads."""
_USAGE: Final = record(
    **dict.fromkeys(_NAMES, COUNT),
    **dict.fromkeys(_PARTS, _BY_MODALITY),
    grounding_tool_count=items(record(type=TEXT, count=COUNT)),
)
_MEMBERS: Final = {"id": TEXT, "model": TEXT, "agent": TEXT, "status": TEXT, "service_tier": TEXT, "usage": _USAGE}
_ANSWER: Final = Shape(**_MEMBERS)
_ANSWER_SCAN: Final = Scanner(_ANSWER, tuple(_MEMBERS))
_EVENT: Final = Shape(interaction=record(**_MEMBERS), interaction_id=TEXT, usage=_USAGE, error=PRESENT)
_EVENT_SCAN: Final = Scanner(_EVENT, ("interaction", "usage", "error"))
_RUNNING: Final = ("queued", "in_progress", "idle")


class Interactions(BaseDialect):
    """Google's Interactions API. Stateless."""

    name = "gemini-interactions"

    request = Scanner(Shape(**_REQUEST), _REQUEST, marks=_MARKS)

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        found, said = scan.fields, sender(head)
        config = found.get("generation_config") or {}
        offered = [(tool or {}).get("type") for tool in found.get("tools") or []]
        # Google runs all other tools itself, and bills what they find as input of the next sampling, as agents do.
        hosted = found.get("agent") is not None or any(kind != _FUNCTION for kind in offered)
        before = found.get("previous_interaction_id")
        return Ask(
            model=found.get("model") or found.get("agent"),
            streamed=bool(found.get("stream")),
            text_bytes=len(body) + (TOOLS_BYTES if offered else 0),
            opaque_input=bool(before or scan.marks),
            output_tokens_max=cap(config.get("max_output_tokens")),
            service_tier=found.get("service_tier"),
            searches_max=None if hosted else 0,
            loops=hosted,
            background=bool(found.get("background")),
            continues=before,
            **said,
        )

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, _read)

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of an interaction that is asked for again: polled, streamed on, or cancelled."""
        return NoResults() if status >= 300 else OneResult(self.reader(Ask(), status, headers))

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Google's error shape; here google-genai 3.6.1 asks five times after a 429, whatever stands in it."""
        return google_refusal(notice, tool, strict=strict, others=402)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Google's shape."""
        return google_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An event with a top-level `error`."""
        return google_cut(notice)


def _read(reading: Reading, found: Fields) -> Reading:
    """The Reading of an `interaction` object."""
    status, usage = found.get("status"), found.get("usage")
    model = found.get("model") or found.get("agent") or reading.model
    over = status not in _RUNNING
    reading = replace(reading, model=model, response_id=found.get("id") or reading.response_id, ended=over)
    if usage is None:
        free = status == "failed" and not reading.output_bytes and not reading.parts
        flags = (*reading.flags, "an answer without usage") if over and not free else reading.flags
        return replace(reading, final=free, free=free, flags=flags)
    part = _part(usage, model, found.get("service_tier"))
    # The list has a price for searches alone: Maps and retrieval are billed, too.
    tools = {row.get("type") for row in usage.get("grounding_tool_count") or [] if row and row.get("count")}
    unpriced = tools - {_SEARCH} and FEES not in reading.flags
    flags = (*reading.flags, FEES) if unpriced else reading.flags
    return replace(reading, parts=(part,), final=over and part.known, flags=flags)


def _part(usage: Fields, model: str | None, tier: str | None) -> Part:
    """What a `usage` counts, as one sampling."""
    said: Fields = {listed: usage.get(name) for name, listed in _NAMES.items()}
    for name, listed in _PARTS.items():
        rows = [row for row in usage.get(name) or [] if row]
        said[listed] = [
            {"modality": (row.get("modality") or "").upper(), "tokenCount": row.get("tokens")} for row in rows
        ]
    grounded = [row for row in usage.get("grounding_tool_count") or [] if row and row.get("type") == _SEARCH]
    searches = billed_searches(sum(row.get("count") or 0 for row in grounded), model) if grounded else None
    counts = usage_of(said)
    return Part(
        counts.overlaid(Usage(web_searches=searches)), model, price_context({"serviceTier": tier}),
        units=units_of(said, counts),
    )  # fmt: skip


class _Stream(EventReader):
    """Reads a streamed interaction."""

    marks = (b'"interaction":', b'"usage":', b'"error":')
    texts = (b"text", b"arguments")

    def event(self, data: bytes) -> bool:
        """Read an event that holds the interaction, counts or an error."""
        self._take(_EVENT.read(data))
        return True

    def oversized(self, event: Oversized) -> bool:
        """Read the ends of an event that was too long to keep: the last one may repeat all steps."""
        self._take(_EVENT_SCAN.read_ends(event.head, event.tail))
        return True

    def _take(self, found: Fields) -> None:
        now = replace(self.current, output_bytes=self.output_bytes)
        if found.get("error"):
            self.current = replace(now, ended=True, free=not self.output_bytes and not now.parts)
        elif (whole := found.get("interaction")) is not None:
            begins = whole.get("status") in _RUNNING and whole.get("usage") is None
            self.current = _read(now, whole) if not begins else replace(
                now, model=whole.get("model") or whole.get("agent"), response_id=whole.get("id")
            )  # fmt: skip
        elif (usage := found.get("usage")) is not None:
            # Counts on the way, of all steps up to here.
            self.current = replace(now, parts=(_part(usage, now.model, None),))
