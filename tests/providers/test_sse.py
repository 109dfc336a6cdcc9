"""Events come out whole however their bytes come in, and a stream can never take more memory than two ends."""

from __future__ import annotations

import tracemalloc

import pytest

from spendgate.providers.sse import END_BYTES, EVENT_BYTES_MAX, Events, Oversized

WIRE = (
    b": comment\n\nevent: a\ndata: one\n\nid: 7\ndata:two\ndata: more\nretry: 1\n\n"
    b"\n\n\ndata: a\xe2\x80\xa8b\xc2\x85c\n\ndata\n\ndatax: no\n\ndata: last\n\n"
)
EXPECTED = [b"one", b"two\nmore", b"a\xe2\x80\xa8b\xc2\x85c", b"last"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 1000])
def test_events_do_not_depend_on_chunks_or_line_ends(ending: bytes, size: int) -> None:
    """Fields, comments and line ends are told apart as the specification has it, in chunks of any size."""
    wire = WIRE.replace(b"\n", ending)
    events = Events()
    found = [event for at in range(0, len(wire), size) for event in events.feed(wire[at : at + size])]
    assert found + events.close() == EXPECTED


def test_last_event_without_blank_line() -> None:
    """What the stream's end cuts short of its blank line is given by `close`, once."""
    events = Events()
    assert events.feed(b"data: a\n\ndata: b") == [b"a"]
    assert events.close() == [b"b"]
    assert events.close() == []


def test_between_is_true_only_at_an_event_boundary() -> None:
    """The fast path may be taken only where the next byte begins an event."""
    events = Events()
    assert events.between
    for chunk, between in (
        (b"da", False),
        (b"ta: x\n", False),
        (b"\n", True),
        (b"event: y\r\n\r", False),
        (b"\n", True),
    ):
        events.feed(chunk)
        assert events.between is between


@pytest.mark.parametrize("chunk", [64 * 1024, 1000], ids=["64 KiB", "1000 bytes"])
def test_oversized_event_keeps_its_ends_and_reading_goes_on(chunk: int) -> None:
    """Of an event too long to keep, both ends are kept, and the next event is read as ever."""
    body = b"HEAD" + b"x" * (2 * EVENT_BYTES_MAX) + b"TAIL"
    wire = b"data: " + body + b"\n\ndata: next\n\n"
    events = Events()
    found = [event for at in range(0, len(wire), chunk) for event in events.feed(wire[at : at + chunk])]
    (oversized, following) = found
    assert isinstance(oversized, Oversized)
    assert oversized.head.startswith(b"HEAD")
    assert oversized.tail.endswith(b"xTAIL")
    assert len(oversized.head) <= END_BYTES and len(oversized.tail) <= END_BYTES
    assert following == b"next"


@pytest.mark.parametrize("start", [b"data: ", b": ", b"event: ", b""], ids=["data", "comment", "event", "no field"])
def test_endless_line_does_not_grow_memory(start: bytes) -> None:
    """A line without end takes no more memory than one event may."""
    events, chunk = Events(), b"x" * 65_536
    events.feed(start)
    tracemalloc.start()
    for _ in range(200):
        events.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * EVENT_BYTES_MAX
