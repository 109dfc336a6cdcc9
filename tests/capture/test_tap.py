"""The tap alone: it never changes, adds or loses a byte, and cues only what is new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.capture.tap import CUE_BYTES_FIRST, Tap
from spendgate.providers.boundaries import BlankLines
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage


class Counter:
    """A reader whose counts the test sets."""

    def __init__(self) -> None:
        self.output = 0
        self.fed = b""

    def feed(self, data: bytes) -> bool:
        self.fed += data
        return self.output > 0

    def reading(self) -> Reading:
        return Reading((Part(Usage(input_tokens=10, output_tokens=self.output)),) if self.output else ())

    def close(self) -> Reading:
        return self.reading()


def test_cues_come_at_first_counts_and_at_doublings() -> None:
    """A thousand events with growing counts cost ten corrections, not a thousand."""
    reader, cues = Counter(), []
    tap = Tap(reader, cues.append)
    for count in range(1, 1001):
        reader.output = count
        tap.feed(b"x")
    totals = [cue.parts[0].usage.input_total + (cue.parts[0].usage.output_tokens or 0) for cue in cues]
    assert totals == [11, 22, 44, 88, 176, 352, 704]


def test_streams_without_counts_cue_by_their_bytes() -> None:
    """Where no counts come before the end, each doubling of the bytes is a cue."""
    cues: list[Reading] = []
    tap = Tap(Counter(), cues.append)
    for _ in range(64):
        tap.feed(b"x" * 1024)
    assert len(cues) == 3, (CUE_BYTES_FIRST, len(cues))


@pytest.mark.parametrize(
    ("passed", "data", "whole"),
    [
        (b"", b"", 0),
        (b"", b"data: a\n", 0),
        (b"data: a\n", b"\n", 1),
        (b"data: a\n", b"\ndata: b\n", 1),
        (b"data: a\r\n", b"\r\ndata: b", 2),
        (b"data: a\r\n\r", b"\ndata: b", 1),
        (b"data: a", b"\n\ndata: b\n\ndata: c", 11),
        (b"data: a\n\n", b"", 0),
        (b"data: a\n\n", b"data: b", 0),
        (b"data: a\r", b"\r", 1),
        (b"data: a", b"", None),
    ],
)
def test_a_cut_falls_behind_a_whole_event(passed: bytes, data: bytes, whole: int | None) -> None:
    """Where an event has ended, whatever its line ends and however the bytes are cut."""
    tap = Tap(Counter(), lambda _: None, boundaries=BlankLines())
    for byte in passed:
        tap.feed(bytes([byte]))
    assert tap.whole(data) == whole


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_the_callable_returns_the_very_bytes(chunks: list[bytes]) -> None:
    """As mitmproxy's stream callable it gives back each chunk itself, and reads them all."""
    reader = Counter()
    tap = Tap(reader, lambda _: None)
    assert all(tap(chunk) is chunk for chunk in chunks)
    assert reader.fed == b"".join(chunks)
    assert tap.bytes == sum(map(len, chunks))
