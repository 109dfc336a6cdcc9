"""The dialect `gemini`: generateContent, streamGenerateContent and embedContent of the Gemini API and of Vertex AI.

The model stands in the path. A stream is of events with `alt=sse`, else one JSON array that comes element by element.
`usageMetadata` comes with nearly every piece and falls as well as rises: the last one counts, none is added.
Sources: facts/wire-formats.md 4, 16.1, 18.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect, asked_also, weighed
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.client import sender
from spendgate.providers.gemini_errors import google_cut, google_error, google_refusal
from spendgate.providers.gemini_usage import (
    GROUNDING,
    PREPAID,
    PROVISIONED,
    USAGE,
    fees,
    is_report,
    price_context,
    searches,
    units_of,
    usage_of,
)
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonarray import BetweenElements, Elements
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.readers import BodyReader, FreeReader, is_events, is_open
from spendgate.providers.reading import Part, Reading
from spendgate.providers.repeated import names_at
from spendgate.providers.shapes import (
    FACTOR,
    MEMBERS,
    PRESENT,
    TEXT,
    UNREADABLE,
    WORD,
    Fields,
    Shape,
    cap,
    items,
    record,
)
from spendgate.providers.sse import Oversized
from spendgate.providers.stated import FEES
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

# Google's parsers take each name in camel case and in snake case.
_ROUTED_BY: Final = tuple(
    frozenset(each.split())
    for each in (
        "generationConfig generation_config", "routingConfig routing_config", "manualMode manual_mode",
        "modelName model_name",
    )
)  # fmt: skip
_MANUAL: Final = record(modelName=TEXT, model_name=TEXT)
_ROUTING: Final = record(manualMode=_MANUAL, manual_mode=_MANUAL)
_CONFIG: Final = record(
    maxOutputTokens=FACTOR, max_output_tokens=FACTOR, candidateCount=FACTOR, candidate_count=FACTOR,
    routingConfig=_ROUTING, routing_config=_ROUTING,
)  # fmt: skip
_DECLARED: Final = frozenset({"functionDeclarations", "function_declarations"})
REQUEST: Final = {
    "generationConfig": _CONFIG,
    "generation_config": _CONFIG,
    "tools": items(MEMBERS),
    "serviceTier": TEXT,
    "service_tier": TEXT,
}
MARKS: Final = rb'(inline_?[dD]ata|file_?[dD]ata|cached_?[cC]ontent)"\s*:'
TOOLS_BYTES: Final = 1024
"""Tokens that declared functions may add to the prompt beside their own bytes."""

ANSWER: Final = {
    "candidates": items(record(finishReason=WORD, groundingMetadata=GROUNDING)),
    "usageMetadata": USAGE,
    "modelVersion": TEXT,
    "responseId": TEXT,
    "promptFeedback": record(blockReason=WORD),
}
ANSWER_KEYS: Final = ("usageMetadata", "modelVersion", "responseId", "promptFeedback")
_ANSWER: Final = Shape(**ANSWER, error=PRESENT)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ANSWER_KEYS)


class Gemini(BaseDialect):
    """Google's generateContent and its kin. Stateless."""

    name = "gemini"

    request = Scanner(Shape(**REQUEST), REQUEST, marks=MARKS)

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan. The model is the path's: it is the route that names it."""
        said = sender(head)
        return asked_of(head, body, scan, scan.fields, Ask(**said))

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps."""
        scan = yield from self.request.steps(body)
        ask = yield from weighed(self.asked(head, body, scan), body)
        return asked_also(ask, (yield from routed_also(body, scan)))

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response: of events, of an array that is streamed, or of one answer."""
        if status < 300 and ask.streamed and not is_events(headers, asked=True):
            return self.elements(headers)
        if status >= 300:
            return FreeReader(headers)
        return super().reader(ask, status, headers)

    def elements(self, headers: Headers) -> Reader:
        """A reader of a streamed array."""
        return Stream(headers, array=True)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        generates, hosted = ask.output_tokens_max != 0, ask.searches_max is None

        def read(reading: Reading, found: Fields) -> Reading:
            made = answer(reading, found, generates)
            # Of a long answer, an image's, candidates are not read, and what searched for it is unknown.
            unread = hosted and found.get("candidates") is None and not found.get("promptFeedback")
            return replace(made, flags=(*made.flags, FEES)) if unread else made

        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, read)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Google's error shape."""
        return google_refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Google's shape."""
        return google_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An event with a top-level `error`."""
        return google_cut(notice)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Events, or the elements of an array."""
        return super().boundaries(headers) or (BetweenElements() if is_open(headers, "application/json") else None)


def asked_of(head: Head, body: bytes, scan: Scan, found: Fields, said: Ask) -> Ask:
    """What a request asks for, whose own members are `found`, into an Ask that says who asks."""
    verb = head.path.rpartition(":")[2].lower()
    embeds = "embed" in verb
    configs = [found.get(name) or {} for name in ("generationConfig", "generation_config")]
    caps = _said(configs, "maxOutputTokens", "max_output_tokens")
    counts = _said(configs, "candidateCount", "candidate_count")
    offered = [tool for tool in found.get("tools") or [] if tool is not None]
    given = [{name for name, there in tool.items() if there} for tool in offered]
    hosted = any(not names or names - _DECLARED for names in given)
    unread = UNREADABLE in counts
    return replace(
        said,
        also=_routed(configs),
        streamed=verb.startswith("stream"),
        text_bytes=len(body) + (TOOLS_BYTES if offered else 0),
        opaque_input=bool(scan.marks),
        output_tokens_max=0 if embeds else None if UNREADABLE in caps else cap(max(caps, default=None)),
        choices=max([1, *counts]),
        service_tier=found.get("serviceTier") or found.get("service_tier"),
        searches_max=None if hosted else 0,
        # A tool that Google runs makes it sample again and bill what the tool found as input.
        loops=hosted or unread,
    )


def _said(configs: list[Fields], *names: str) -> list[int]:
    return [each[name] for each in configs for name in names if each.get(name) is not None]


def _routed(configs: list[Fields]) -> tuple[str, ...]:
    """The model that Vertex uses in place of the path's, where the request says so; `""` where Vertex chooses (aiplatform/v1,
    content.proto, RoutingConfig)."""
    named = []
    for routing in [each.get(name) for each in configs for name in ("routingConfig", "routing_config")]:
        if routing is None:
            continue
        manual = routing.get("manualMode") or routing.get("manual_mode") or {}
        named.append(manual.get("modelName") or manual.get("model_name") or "")
    return tuple(dict.fromkeys(named))


def routed_also(body: bytes, scan: Scan, *within: str) -> Generator[None, None, tuple[str, ...]]:
    """The models that it may use by a key that stands twice, whose last one `_routed` has read; `within` this member."""
    if ESCAPED not in scan.marks and body.count(b'odelName"') + body.count(b'odel_name"') < 2:
        return ()
    return tuple((yield from names_at(body, *within, *_ROUTED_BY)))


def answer(reading: Reading, found: Fields, generates: bool = True) -> Reading:
    """The Reading of a whole answer."""
    model, usage = found.get("modelVersion"), found.get("usageMetadata")
    reading = replace(reading, model=model, response_id=found.get("responseId"), ended=True)
    if usage is None or not is_report(usage):
        return replace(reading, flags=(*reading.flags, "an answer without usage"))
    counts = usage_of(usage, generates=generates)
    candidates = found.get("candidates") or []
    part = part_of(counts, model, usage, searches(candidates, model))
    flags = (*reading.flags, *fees(candidates), *((PROVISIONED,) if prepaid(usage) else ()))
    return replace(reading, parts=(part,), final=counts.known, flags=flags)


def part_of(counts: Usage, model: str | None, usage: Fields, asked: int | None) -> Part:
    """One sampling with the web searches that it `asked` for."""
    searched = counts.overlaid(Usage(web_searches=asked))
    return Part(searched, model, price_context(usage), units=units_of(usage, counts))


def prepaid(usage: Fields) -> bool:
    """Whether Vertex served this from capacity that is paid for by the month."""
    return usage.get("trafficType") in PREPAID


_TELLING: Final = (b'"finishReason"', b'"groundingMetadata"', b'"promptFeedback"', b'"error"')
"""In pieces that say more than how far it has come."""
_COUNTS: Final = b'TokenCount"'
_GROUNDED: Final = b'"groundingMetadata"'
"""Of a piece whose ends alone were kept it is not read, so that its fees are unknown."""


class Stream(EventReader):
    """Reads a streamed answer, of events or as an array."""

    marks: tuple[bytes, ...] = (b'"usageMetadata"', *_TELLING)
    texts = (b"text", b"code")
    telling: tuple[bytes, ...] = _TELLING

    def __init__(self, headers: Headers, *, array: bool = False) -> None:
        super().__init__(headers)
        if array:
            self._events = Elements()
        self._finished = False
        self._passed: tuple[bytes, int] | None = None
        self._counted: int | None = None
        self._searches: int | None = None

    def fields(self, data: bytes) -> Fields:
        """The members of one piece."""
        return _ANSWER.read(data)

    def ends(self, event: Oversized) -> Fields:
        """The members of one piece that was too long to keep."""
        return _ANSWER_SCAN.read_ends(event.head, event.tail)

    def event(self, data: bytes) -> bool:
        """Read one piece; one that only counts further is kept until somebody looks, or the next one takes its place."""
        if self.current.parts and not any(data.find(mark) >= 0 for mark in self.telling):
            if data.find(_COUNTS) >= 0:
                self._passed = data, self.output_bytes
            return False
        self._catch_up()
        self._read_piece(self.fields(data), self.output_bytes)
        return True

    def oversized(self, event: Oversized) -> bool:
        """Read the ends of a piece, where its counts stand: an image is such a long one."""
        self._catch_up()
        self._read_piece(self.ends(event), self.output_bytes)
        if event.tail.find(_GROUNDED) >= 0:
            self.flag(FEES)
        return True

    def reading(self) -> Reading:
        """What has been read so far."""
        self._catch_up()
        return super().reading()

    def _catch_up(self) -> None:
        if self._passed is None:
            return
        (data, output_bytes), self._passed = self._passed, None
        try:
            self._read_piece(self.fields(data), output_bytes)
        except WireError:
            self.flag("an event that is not JSON")

    def _read_piece(self, found: Fields, output_bytes: int) -> None:
        """Take the members of a piece in, after which so much text had been seen."""
        now = self.current
        model = found.get("modelVersion") or now.model
        self.current = replace(now, model=model, response_id=now.response_id or found.get("responseId"))
        if found.get("error"):
            free = not self.output_bytes and not now.parts
            self.current = replace(self.current, ended=True, free=free)
        candidates = found.get("candidates") or []
        blocked = (found.get("promptFeedback") or {}).get("blockReason")
        if blocked or any(each and each.get("finishReason") for each in candidates):
            self._finished = True
        self._searches = max(filter(None, (self._searches, searches(candidates, model))), default=self._searches)
        for flag in fees(candidates):
            self.flag(flag)
        usage = found.get("usageMetadata")
        if usage is not None and is_report(usage):
            counts = usage_of(usage)
            self._counted = output_bytes if counts.known else None
            self.current = replace(self.current, parts=(part_of(counts, model, usage, self._searches),))
            if prepaid(usage):
                self.flag(PROVISIONED)
        elif self._searches is not None and self.current.parts:
            part = self.current.parts[0]
            searched = part.usage.overlaid(Usage(web_searches=self._searches))
            self.current = replace(self.current, parts=(replace(part, usage=searched),))
        final = self._finished and self._counted == self.output_bytes
        self.current = replace(self.current, final=final, ended=self.current.ended or final)
