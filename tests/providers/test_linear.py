"""No bytes make reading take longer than their length: a small request must not stop everybody else's streams.

CPU time of this thread alone is compared, of four times the bytes with that of the bytes: about 4 where the work is linear, 16
where it is quadratic.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from providers.feeding import JSON, STREAM, head, read
from providers.taking import LINEAR, growth
from sampling import one_in
from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.recordings import in_form
from spendgate.providers.shapes import Shape
from spendgate.providers.sse import EVENT_BYTES_MAX, Events

SIZE = 160_000
"""Above one step, so that both sizes are read in several."""
UNITS = {
    "ids": b'  "id":"a",',
    "ids at a bracket": b'{"id":"a",',
    "types and ids": b'  "id":null, "type":null,',
    "types": b'"type"   :   "input_',
    "nulls": b'"type":null,',
    "wanted keys": b'"model":1,',
    "spaced keys": b'"model"      ',
    "escaped letters": rb'"\u006dodel":1,',
    "almost escaped": b'"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    "quotes": b'"',
    "escaped quotes": rb"\"",
    "backslashes": b"\\",
    "space": b" ",
    "objects": b"{},",
    "opened objects": b'{"model":',
    "arrays": b"[",
    "closed": b"}",
    "colons": b'":"',
    "tools": b'"type":"additional_tools","tools":[],',
    "opened tools": b'{"type":"tool_definition","tools":[{"definition":{',
}


def spent(work: Callable[[], object]) -> int:
    """The least CPU time of three, in nanoseconds."""
    found = []
    for _ in range(3):
        start = time.thread_time_ns()
        with contextlib.suppress(WireError):
            work()
        found.append(time.thread_time_ns() - start)
    return min(found)


def body(unit: bytes, size: int, *, text: bool) -> bytes:
    """A request with so many bytes of these units, as an item's members or as text."""
    start, end = (b'{"model":"m","input":["', b'"]}') if text else (b'{"model":"m","input":[{', b'"z":1}]}')
    return start + unit * (size // len(unit)) + end


@pytest.mark.parametrize(
    ("dialect", "unit", "text"),
    one_in(4, dict(zip(DIALECTS, DIALECTS, strict=True)), UNITS, {"members": False, "text": True}),
)
def test_a_request_takes_time_by_its_length(dialect: str, unit: bytes, text: bool) -> None:
    """Four times the bytes take about four times as long, whatever is repeated in them."""
    short, long = (body(unit, size, text=text) for size in (SIZE, 4 * SIZE))
    once = spent(lambda: DIALECTS[dialect].ask(head(), short))
    assert spent(lambda: DIALECTS[dialect].ask(head(), long)) < 10 * once


def test_a_form_takes_time_by_its_length() -> None:
    """However many names of files stand where its recording's could: 64 KB of them held the loop up for half a second."""
    assert growth(lambda lines: in_form(b"filename=\r\n" * lines + bytes(1_000_000)), 1_400) < LINEAR


def test_space_behind_an_object_is_not_read_for_each_of_its_keys() -> None:
    """Forty times the space behind hundreds of keys takes little more time: it is gone over once."""

    def asked(space: int) -> int:
        said = b'{"model":"m","input":[{' + b'"n":1,' * 400 + b'"z":1}' + b" " * space + b"]}"
        return spent(lambda: DIALECTS["openai-chat"].ask(head(), said))

    assert asked(4_000_000) < 4 * asked(100_000)


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat", "openai-responses"])
def test_a_stream_takes_time_by_its_length(dialect: str, unit: bytes) -> None:
    """An event's bytes are read once, whatever is repeated in them."""

    def fed(size: int) -> None:
        reader = DIALECTS[dialect].reader(Ask(), 200, STREAM)
        reader.feed(b'data: {"type":"response.created","usage":1}\n\n')
        reader.feed(b'data: {"usage":1,"delta":"' + unit * (size // len(unit)) + b'"}\n\n')
        reader.close()

    assert spent(lambda: fed(4 * SIZE)) < 10 * spent(lambda: fed(SIZE))


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_long_answers_end_is_parsed_a_few_times(dialect: str, unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is repeated in an answer of which only the ends are kept, its end is tried as a document a few times."""
    tries = []
    parse = Shape.read_or_none
    monkeypatch.setattr(Shape, "read_or_none", lambda shape, said: tries.append(1) or parse(shape, said))
    read(DIALECTS[dialect].reader(Ask(), 200, JSON), [body(unit, 5 * SIZE, text=False)])
    assert len(tries) <= 17


def test_lines_of_an_event_too_long_to_keep_are_cheap() -> None:
    """A line more of such an event takes about as long as one of any other."""
    lines = b"data:x\n" * 20_000

    def more(first: bytes) -> int:
        events = Events()
        events.feed(first)
        return spent(lambda: events.feed(lines))

    assert more(b"data:" + b"y" * (EVENT_BYTES_MAX + 1) + b"\n") < 3 * more(b"")


@pytest.mark.parametrize("kind", ["response.create", "response.processed"])
def test_a_long_message_of_a_socket_is_read_in_steps(kind: str) -> None:
    """As a request over HTTP: a megabyte is read in many steps, whether it starts a response or not."""
    said = f'{{"input":"{"x" * 1_000_000}","type":"{kind}","model":"m"}}'.encode()
    steps, reader = 0, OpenAIResponses().socket(head())
    for _ in reader.from_client(said):
        steps += 1
    assert steps >= len(said) // (128 * 1024)
    assert (at_once(reader.from_client(said)) is not None) == (kind == "response.create")
