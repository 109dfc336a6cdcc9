"""What an answer of Gemini's API used, whole or streamed: of events or as the elements of an array.

`usageMetadata` comes with nearly every piece and falls as well as rises: the last one counts, none is added.
Sources: facts/wire-formats.md 4, 18.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
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
from spendgate.providers.interface import Headers
from spendgate.providers.jsonarray import Elements
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import PRESENT, TEXT, WORD, Fields, Shape, items, record
from spendgate.providers.sse import Oversized
from spendgate.providers.stated import FEES
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

ANSWER: Final = {
    "candidates": items(record(finishReason=WORD, groundingMetadata=GROUNDING)),
    "usageMetadata": USAGE,
    "modelVersion": TEXT,
    "responseId": TEXT,
    "promptFeedback": record(blockReason=WORD),
}
ANSWER_KEYS: Final = ("usageMetadata", "modelVersion", "responseId", "promptFeedback")
ANSWER_SHAPE: Final = Shape(**ANSWER, error=PRESENT)
ANSWER_SCAN: Final = Scanner(ANSWER_SHAPE, ANSWER_KEYS)


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
        return ANSWER_SHAPE.read(data)

    def ends(self, event: Oversized) -> Fields:
        """The members of one piece that was too long to keep."""
        return ANSWER_SCAN.read_ends(event.head, event.tail)

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
