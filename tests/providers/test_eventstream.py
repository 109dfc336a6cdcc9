"""AWS's event stream: frames in any delivery, damage of every kind, and bounded memory."""

from __future__ import annotations

import struct
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from providers.feeding import pieces
from spendgate.providers.eventstream import FRAME_BYTES_MAX, Frame, FrameReader, frame

HEADERS = st.dictionaries(st.text("abc:-é", min_size=1, max_size=20), st.text(max_size=40), max_size=4)
FRAMES = st.lists(st.builds(Frame, HEADERS, st.binary(max_size=300)), min_size=1, max_size=5)


def written(frames: list[Frame]) -> bytes:
    """These frames on the wire."""
    return b"".join(frame(each.headers, each.payload) for each in frames)


@given(FRAMES, st.integers(0, 99))
def test_frames_come_back_however_they_are_cut(frames: list[Frame], seed: int) -> None:
    wire = written(frames)
    reader = FrameReader()
    assert [found for piece in pieces(wire, seed, 50) for found in reader.feed(piece)] == frames
    assert reader.between
    single = FrameReader()
    assert [found for at in range(len(wire)) for found in single.feed(wire[at : at + 1])] == frames


@given(FRAMES, st.data())
def test_a_changed_byte_is_a_fault_and_no_frame_after_it(frames: list[Frame], data: st.DataObject) -> None:
    wire = bytearray(written(frames))
    at = data.draw(st.integers(0, len(wire) - 1))
    wire[at] ^= data.draw(st.integers(1, 255))
    reader = FrameReader()
    found = reader.feed(bytes(wire))
    assert reader.fault is not None
    assert found == frames[: len(found)]
    assert len(found) < len(frames)
    assert reader.feed(written(frames)) == []


@given(st.binary(min_size=12, max_size=400), st.integers(0, 9))
def test_garbage_never_raises(garbage: bytes, seed: int) -> None:
    reader = FrameReader()
    for piece in pieces(garbage, seed, 30):
        assert reader.feed(piece) == []
    assert reader.fault is not None


def test_a_long_frame_is_passed_over_and_the_next_is_read() -> None:
    reader = FrameReader()
    long, short = frame({}, b"x" * FRAME_BYTES_MAX), frame({":event-type": "metadata"}, b"{}")
    kept = 0
    found = []
    for piece in pieces(long + short, 1, 60_000):
        found += reader.feed(piece)
        kept = max(kept, len(reader._kept))
    assert found == [Frame({":event-type": "metadata"}, b"{}")]
    assert reader.skipped == 1
    assert kept < 100


def test_a_huge_length_is_a_fault_at_once() -> None:
    lengths = struct.pack(">II", 0xFFFFFFFF, 0)
    reader = FrameReader()
    assert reader.feed(lengths + struct.pack(">I", crc32(lengths))) == []
    assert reader.fault == "a frame of impossible length"


def test_headers_of_every_type_are_passed_over() -> None:
    values = {0: b"", 1: b"", 2: b"1", 3: b"12", 4: b"1234", 5: b"x" * 8, 6: b"\x00\x02ab", 8: b"x" * 8, 9: b"x" * 16}
    block = b"".join(b"\x01n" + bytes([kind]) + value for kind, value in values.items()) + b"\x01t\x07\x00\x02ok"
    lengths = struct.pack(">II", len(block) + 16, len(block))
    front = lengths + struct.pack(">I", crc32(lengths)) + block
    assert FrameReader().feed(front + struct.pack(">I", crc32(front))) == [Frame({"t": "ok"}, b"")]
