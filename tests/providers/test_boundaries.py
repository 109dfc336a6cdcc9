"""Where a cut may follow: in event streams of AWS and in arrays, wherever the bytes are cut, and what stands there then."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.providers.boundaries import Boundaries
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.eventstream import BetweenFrames, FrameReader, frame
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Notice
from spendgate.providers.jsonarray import BetweenElements

NOTICE = Notice("The budget is spent.", "spent")
FRAMES = [frame({":event-type": "chunk"}, payload) for payload in (b"", b"{}", b"x" * 300)]
ELEMENTS = [{"a": 'with "quotes", \\ and }{ ]['}, {"b": [1, {"c": "]"}]}, {}]


def cut_at(places: Boundaries, passed: bytes, data: bytes, last: bytes) -> bytes | None:
    """What a client has in all when `data` comes after the cut was asked for; None: the stream went on."""
    for byte in passed:
        places.passed(bytes([byte]))
    whole = places.whole(data)
    if whole is None:
        return None
    places.passed(data[:whole])
    return passed + data[:whole] + places.ending(last)


@pytest.mark.parametrize("dialect", ["bedrock-invoke", "bedrock-converse"])
def test_frames(dialect: str) -> None:
    """At every byte of a stream: the cut falls behind the last whole frame of what comes, and leaves only whole frames."""
    body, last = b"".join(FRAMES), DIALECTS[dialect].cut(NOTICE)
    for at in range(len(body) + 1):
        for size in (0, 1, 40, len(body)):
            got = cut_at(BetweenFrames(), body[:at], body[at : at + size], last)
            if got is None:
                continue
            reader = FrameReader()
            read = reader.feed(got)
            assert reader.fault is None
            assert reader.between
            assert json.loads(read[-1].payload) == {"message": NOTICE.message}
    assert cut_at(BetweenFrames(), body[:5], body[5:40], last) is not None
    assert cut_at(BetweenFrames(), body[:5], body[5:10], last) is None


def test_what_is_no_event_stream_is_broken_off() -> None:
    """Nothing can be added to bytes whose frames nobody can find."""
    junk = b"this is no frame at all"
    assert cut_at(BetweenFrames(), b"", junk, b"last") == junk
    assert cut_at(BetweenFrames(), junk, b"more", b"last") == junk + b"more"


@pytest.mark.parametrize("between", [b",\r\n", b"\n,\n", b","])
def test_an_array(between: bytes) -> None:
    """At every byte: what the client has is a whole array, whose last element is Google's error."""
    body = b"[" + between.join(json.dumps(each).encode() for each in ELEMENTS) + b"]"
    last = DIALECTS["gemini"].cut(NOTICE)
    cuts = 0
    for at in range(1, len(body)):
        for size in (0, 1, 9):
            got = cut_at(BetweenElements(), body[:at], body[at : at + size], last)
            if got is not None:
                cuts += 1
                *elements, error = json.loads(got)
                assert elements == ELEMENTS[: len(elements)]
                assert (error["error"]["code"], error["error"]["message"]) == (429, NOTICE.message)
    assert cuts > len(ELEMENTS)
    assert cut_at(BetweenElements(), body[:-1], b"]", last) is None
    assert cut_at(BetweenElements(), body, b"", last) is None


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[1, 2]", b"<html>", b"[{}{}", b"]"])
def test_what_is_no_array_of_objects_is_broken_off(body: bytes) -> None:
    """One document, numbers, an error page: nothing is added."""
    assert cut_at(BetweenElements(), b"", body, b'data: {"error": 1}\n\n') == body


@given(st.binary(max_size=200), st.integers(0, 200))
def test_arrays_never_raise(body: bytes, at: int) -> None:
    """Whatever comes."""
    for places in (BetweenElements(), BetweenFrames()):
        cut_at(places, body[:at], body[at:], b"data: {}\n\n")


def test_gemini_knows_its_forms() -> None:
    """Events, an array, and neither where the length is known beforehand."""
    gemini = DIALECTS["gemini"]
    json_head = {"content-type": "application/json; charset=UTF-8"}
    assert isinstance(gemini.boundaries(CaseInsensitive(json_head)), BetweenElements)
    assert gemini.boundaries(CaseInsensitive({**json_head, "content-length": "7"})) is None
    events = gemini.boundaries(CaseInsensitive({"content-type": "text/event-stream"}))
    assert events is not None
    assert events.ending(b"x") == b"x"
