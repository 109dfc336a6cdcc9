"""The dialect `openai-images`: POST …/images/generations, /edits and /variations, as a document or a stream.

GPT image models say what they used: tokens of text and of images, priced apart, with a second model's where a picture is drawn as
text (`svg_usage`). An answer names no model, so the one that was asked for is it. DALL·E says nothing: its calls are estimated
by the pictures that were asked for. What an image costs depends on size and quality by tables that the wire does not show, so
that under `hold: ceiling` a call is unbounded. Sources: facts/wire-formats.md 2.1; openai-python 3.54, types/images_response.py,
image_gen_completed_event.py.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.client import sender
from spendgate.providers.form_dialect import FormDialect
from spendgate.providers.interface import Head, Headers, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.multipart import Form
from spendgate.providers.openai_image_usage import IMAGE_USAGE, SVG_USAGE, drawn_parts, image_part
from spendgate.providers.other_models import SVG, drawing
from spendgate.providers.packed import drawn
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import FACTOR, FLAG, TEXT, Fields, Shape
from spendgate.providers.sse import Oversized
from spendgate.providers.streams import EventReader

_REQUEST: Final = Shape(model=TEXT, stream=FLAG, n=FACTOR, **SVG)
_REQUEST_SCAN: Final = Scanner(_REQUEST, ("model", "stream", "n", *SVG))
_ANSWER: Final = Shape(usage=IMAGE_USAGE, svg_usage=SVG_USAGE)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("usage", "svg_usage"))
_EVENT: Final = Shape(type=TEXT, usage=IMAGE_USAGE)
_EVENT_SCAN: Final = Scanner(_EVENT, ("type", "usage"))
_COMPLETED: Final = ("image_generation.completed", "image_edit.completed")
NO_COUNTS: Final = "an answer without usage"


class OpenAIImages(FormDialect):
    """OpenAI's images. Stateless."""

    name = "openai-images"

    request = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        found = scan.fields
        return Ask(
            model=found.get("model"),
            also=tuple([name for name in drawing(found) if name != found.get("model")]),
            streamed=bool(found.get("stream")),
            text_bytes=len(body),
            loops=True,
            pictures=drawn(found.get("n")),
            **sender(head),
        )

    def formed(self, form: Form) -> Fields:
        """As for every form, and what draws: `svg[model]`, or whatever else stands there."""
        named, svg = form.get("svg[model]"), any(name.startswith("svg") for name in form)
        drawn = {"svg": {"model": named} if svg else None, "output_format": form.get("output_format")}
        return {**super().formed(form), **drawn}

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of partial and whole images."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one answer, of which the counts stand behind the images."""
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, _answer)


def _answer(reading: Reading, found: Fields) -> Reading:
    part = image_part(found.get("usage"))
    if part is None:
        return replace(reading, ended=True, flags=(*reading.flags, NO_COUNTS))
    parts = (part, *drawn_parts(found.get("svg_usage")))
    return replace(reading, parts=parts, final=all(each.known for each in parts), ended=True)


class _Stream(EventReader):
    """Reads a stream of images. Each whole image gives its own counts."""

    marks = (b'"usage"', b'"error"')

    def event(self, data: bytes) -> bool:
        """Read an event that holds counts, or an error."""
        return self._read_fields(_EVENT.read(data))

    def oversized(self, event: Oversized) -> bool:
        """Read an event with a whole image in its middle."""
        return self._read_fields(_EVENT_SCAN.read_ends(event.head, event.tail))

    def _read_fields(self, found: Fields) -> bool:
        part = image_part(found.get("usage"))
        if found.get("type") == "error":
            free = not self.current.parts
            self.current = replace(self.current, ended=True, free=free, final=free)
        elif part is not None and found.get("type") in _COMPLETED:
            parts = (*self.current.parts, part)
            self.current = replace(self.current, parts=parts, final=all(each.known for each in parts))
        return True
