"""The dialects `anthropic-batches` and `openai-batches`: results of batches, as they are read.

A batch may be sent where a budget has something left; that holds nothing for long and costs nothing. It is paid for when it is
worked off, hours after it was sent and by no connection of this machine's; its results name what each request used. They are
metered when they are read, at the batch price, once for each batch and `custom_id`. Requests that erred, expired or were
cancelled are not billed. Sources: facts/wire-formats.md 1.1, 2.1, 13.3; docs.anthropic.com, batch processing; OpenAI's output
file: one `{"id", "custom_id", "response": {"status_code", "body"}}` a line.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.anthropic_answers import ANSWER_FIELDS, answer_of
from spendgate.providers.ask import Ask
from spendgate.providers.batch_lines import BATCH, plain_body, plain_message
from spendgate.providers.client import sender
from spendgate.providers.interface import Head, Headers, Reader, ResultReader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_answers import RESPONSE_FIELDS, answer
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.openai_image_usage import IMAGE_MODEL, SVG_USAGE, drawn_parts, image_part
from spendgate.providers.openai_usage import USAGE_OR_IMAGES, usage_of
from spendgate.providers.readers import FreeReader
from spendgate.providers.reading import Part, Reading, Result
from spendgate.providers.results import Lines, NoResults
from spendgate.providers.shapes import COUNT, TEXT, Fields, Shape, record
from spendgate.usage import Usage

_MESSAGE_LINE: Final = Shape(custom_id=TEXT, result=record(type=TEXT, message=record(**ANSWER_FIELDS)))
_MESSAGE_ENDS: Final = Scanner(_MESSAGE_LINE, ("custom_id", *ANSWER_FIELDS))
_BODY: Final = {**RESPONSE_FIELDS, "object": TEXT, "usage": USAGE_OR_IMAGES, "svg_usage": SVG_USAGE}
_BODY_LINE: Final = Shape(id=TEXT, custom_id=TEXT, response=record(status_code=COUNT, body=record(**_BODY)))
_BODY_ENDS: Final = Scanner(_BODY_LINE, ("id", "custom_id", *RESPONSE_FIELDS, "svg_usage"))
ASSUMED: Final = f"model assumed: {IMAGE_MODEL}"
"""Flag of images of a batch: no line of its results names the model, and its requests were sent in a file."""
_ID: Final = re.compile(r"/([^/]+)/(?:results|content)/?$", re.IGNORECASE)


class AnthropicBatches(AnthropicMessages):
    """Message batches, and their results. Stateless."""

    name = "anthropic-batches"

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a whole batch."""
        return _order(head, body)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """The answer to an order says nothing of what it will cost."""
        return FreeReader(headers)

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of `GET …/messages/batches/{id}/results`."""
        batch = _named(head)

        def read(found: Fields) -> Result | None:
            return _message(batch, found)

        def ends(first: bytes, last: bytes) -> Result | None:
            return read(_MESSAGE_ENDS.read_ends(first, last, opening=b'{"result":{"message":{'))

        def whole(line: bytes) -> Result | None:
            return plain_message(batch, line) or read(_MESSAGE_LINE.read(line))

        return NoResults() if status >= 300 else Lines(headers, whole, ends)


class OpenAIBatches(OpenAIChat):
    """Batches, and their results, in the file that they are put into. Stateless."""

    name = "openai-batches"

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a whole batch, whose requests are in a file that was sent before."""
        return _order(head, body)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """The answer to an order says nothing of what it will cost."""
        return FreeReader(headers)

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of `GET …/files/{id}/content`: a file that is no batch's output has no line with these fields."""
        file = _named(head)

        def read(found: Fields) -> Result | None:
            return _body(file, found)

        def ends(first: bytes, last: bytes) -> Result | None:
            return read(_BODY_ENDS.read_ends(first, last, opening=b'{"response":{"body":{'))

        def whole(line: bytes) -> Result | None:
            return plain_body(line) or read(_BODY_LINE.read(line))

        return NoResults() if status >= 300 else Lines(headers, whole, ends)


def _order(head: Head, body: bytes) -> Ask:
    """A batch may leave where there is money: it has no bound, and what it holds it holds until it is answered. Its requests cost
    half of what others do, so their bytes count half."""
    return Ask(text_bytes=len(body) // 2, opaque_input=True, loops=True, generates=False, **sender(head))


def _named(head: Head) -> str:
    """The id in the path: of the batch, of the file."""
    found = _ID.search(head.path)
    return found[1] if found else head.path


def _message(batch: str, found: Fields) -> Result | None:
    message = (found.get("result") or {}).get("message")
    if not found.get("custom_id") or message is None:
        return None
    return _result(f"batch {batch} {found['custom_id']}", answer_of(Reading(), message, None))


def _body(file: str, found: Fields) -> Result | None:
    body = (found.get("response") or {}).get("body")
    if not (found.get("id") or found.get("custom_id")) or body is None or body.get("usage") is None:
        return None
    # Its own id is the same in whatever file the line is found.
    key = f"batch {found['id']}" if found.get("id") else f"file {file} {found['custom_id']}"
    if body.get("object") == "response" or body.get("output") is not None:
        return _result(key, answer(Reading(), body))
    if body.get("model") is None and (images := _images(body)) is not None:
        return _result(key, images)
    counts = usage_of(body["usage"])
    if counts.output_tokens is None:
        counts = counts.overlaid(Usage(output_tokens=0))  # embeddings
    model = body.get("model")
    reading = Reading((Part(counts, model),), model, response_id=body.get("id"), final=counts.known, ended=True)
    return _result(key, reading)


def _images(body: Fields) -> Reading | None:
    """An answer of the images API, whose counts say which of them are of images; None: it is another one."""
    given = [body["usage"].get(name) or {} for name in ("input_tokens_details", "output_tokens_details")]
    part = image_part(body["usage"], IMAGE_MODEL) if any("image_tokens" in each for each in given) else None
    if part is None:
        return None
    parts = (part, *drawn_parts(body.get("svg_usage")))
    final = all(each.known for each in parts)
    return Reading(parts, IMAGE_MODEL, final=final, ended=True, flags=(ASSUMED,))


def _result(key: str, reading: Reading) -> Result | None:
    """The result at the batch price, whatever its own word for the tier; None where it says no counts or costs nothing."""
    if not reading.final or reading.free:
        return None
    parts = tuple(_at_batch_price(part) for part in reading.parts)
    return Result(key, replace(reading, parts=parts))


def _at_batch_price(part: Part) -> Part:
    kept = {name: word for name, word in part.context.items() if name != "service_tier"}
    return replace(part, context={**kept, **BATCH})
