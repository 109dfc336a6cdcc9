"""What takes long to read: the loop turns meanwhile, no byte waits for it, and what is never read is said to be so."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Callable

import brotli
import pytest
import zstandard

from spendgate.capture import unread
from spendgate.capture.tap import LEFT, Tap
from spendgate.capture.unread import LAST_NS, SLICE_BYTES, TURN_NS, WAITING_BYTES_MAX, Turns
from spendgate.providers.decoding import Decoder
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

MILLISECOND = 1_000_000
PLAIN = b"".join(b'data:{"n":%d}\n\n' % number for number in range(40_000))
SLICES = -(-len(PLAIN) // SLICE_BYTES)
BOMB = gzip.compress(PLAIN)


class Loop:
    """Turns that the test takes one by one, by a clock that only reading moves."""

    def __init__(self) -> None:
        self.queued: deque[Callable[[], None]] = deque()
        self.at_ns = 0
        self.asked = 0

    def now_ns(self) -> int:
        self.asked += 1
        return self.at_ns

    @property
    def turns(self) -> Turns:
        return Turns(self.queued.append, self.now_ns)

    def turn(self) -> None:
        self.queued.popleft()()


class Slow:
    """A reader that takes its time for each slice and says that it knows all."""

    def __init__(self, loop: Loop, slice_ns: int = MILLISECOND) -> None:
        self.loop, self.slice_ns = loop, slice_ns
        self.fed: list[bytes] = []
        self.fails_at: int | None = None

    def feed(self, data: bytes) -> bool:
        if len(self.fed) == self.fails_at:
            raise ValueError("not to be logged")
        self.fed.append(data)
        self.loop.at_ns += self.slice_ns
        return True

    def reading(self) -> Reading:
        return Reading((Part(Usage(input_tokens=10, output_tokens=len(self.fed))),), final=True, stated_cost_nanos=5)

    def close(self) -> Reading:
        return self.reading()


def tap_of(encoding: str | None = "gzip", slice_ns: int = MILLISECOND) -> tuple[Tap, Slow, Loop, list[Reading]]:
    """A tap before a slow reader."""
    loop, cues = Loop(), []
    reader = Slow(loop, slice_ns)
    return Tap(reader, cues.append, Decoder(encoding) if encoding else None, turns=loop.turns), reader, loop, cues


def test_no_turn_lasts_longer_than_its_share() -> None:
    """A small chunk that decodes to a large one is read over many turns, each of which ends on time; its bytes have passed."""
    tap, _, loop, _ = tap_of()
    assert tap(BOMB) is BOMB
    took = [loop.at_ns]
    while loop.queued:
        before = loop.at_ns
        loop.turn()
        took.append(loop.at_ns - before)
    assert len(took) == -(-SLICES * MILLISECOND // TURN_NS)
    assert max(took) <= TURN_NS


ENCODED = {
    "gzip": BOMB,
    "deflate": zlib.compress(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstandard.compress(PLAIN),
    "gzip, gzip": gzip.compress(BOMB),
    None: PLAIN,
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("cut", [1_000, 64 * 1024, 10**9])
@pytest.mark.parametrize("turned", [True, False], ids=["a turn for each chunk", "no turn"])
def test_all_is_read_in_order_by_the_end(encoding: str | None, cut: int, turned: bool) -> None:
    """However it came and whenever it was read, a body whose rest fits the last turn is read whole, and its counts stand."""
    tap, reader, loop, _ = tap_of(encoding, slice_ns=MILLISECOND)
    for at in range(0, len(ENCODED[encoding]), cut):
        tap.feed(ENCODED[encoding][at : at + cut])
        if turned and loop.queued:
            loop.turn()
    reading = tap.close()
    assert b"".join(reader.fed) == PLAIN
    assert max(map(len, reader.fed)) <= SLICE_BYTES
    assert (reading.final, reading.flags) == (True, ())


def test_a_rest_that_outlasts_the_last_turn_is_left() -> None:
    """The end waits no longer than that: counts so far are not final then, and neither free nor the provider's own price."""
    tap, reader, loop, _ = tap_of(slice_ns=10 * MILLISECOND)
    tap.feed(BOMB)
    before = loop.at_ns
    reading = tap.close()
    assert loop.at_ns - before <= LAST_NS
    assert b"".join(reader.fed) == PLAIN[: len(b"".join(reader.fed))] != PLAIN
    assert (reading.final, reading.free, reading.stated_cost_nanos, reading.flags) == (False, False, None, (LEFT,))
    read = len(reader.fed)
    loop.turn()
    assert len(reader.fed) == read, "nothing is read after the end"


def test_a_busy_machine_leaves_no_small_rest() -> None:
    """Where the time of the last turn went elsewhere, what any stream may have left is still read."""
    tap, reader, _, _ = tap_of(None, slice_ns=LAST_NS)
    tap.feed(PLAIN[: 64 * 1024])
    assert tap.close().final
    assert b"".join(reader.fed) == PLAIN[: 64 * 1024]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a body comes faster than it can be read, reading stops for good; its bytes go on."""
    monkeypatch.setattr(unread, "WAITING_BYTES_MAX", 128 * 1024)
    assert WAITING_BYTES_MAX > 128 * 1024
    tap, reader, loop, _ = tap_of(None)
    chunk = PLAIN[: 64 * 1024]
    for _ in range(4):
        assert tap(chunk) is chunk
    read = len(reader.fed)
    assert tap(b"data: 1\n\n") == b"data: 1\n\n"
    loop.turn()
    assert not loop.queued
    assert len(reader.fed) == read == TURN_NS // MILLISECOND
    assert tap.bytes == 4 * len(chunk) + 9
    reading = tap.close()
    assert (reading.final, reading.flags) == (False, (LEFT,))


@pytest.mark.parametrize("fails_at", [0, 3, 30])
def test_a_fault_in_a_later_turn_raises_nowhere(fails_at: int) -> None:
    """In the feed itself or in a later turn, a reader's fault ends the reading and is a flag."""
    tap, reader, loop, _ = tap_of()
    reader.fails_at = fails_at
    tap.feed(BOMB)
    while loop.queued:
        loop.turn()
    tap.feed(b"more")
    assert len(reader.fed) == fails_at
    assert tap.close().flags == ("reader failed: ValueError",)


def test_counts_of_later_turns_are_cued() -> None:
    """A hold is corrected by what is read late, too."""
    tap, _, loop, cues = tap_of()
    tap.feed(BOMB)
    first = len(cues)
    while loop.queued:
        loop.turn()
    assert cues[-1].parts[0].usage.output_tokens > cues[first - 1].parts[0].usage.output_tokens


def test_decoding_that_gives_nothing_is_left_in_between() -> None:
    """A body that is all empty members of a packed file takes time as well: the clock is looked at between them."""
    tap, reader, loop, _ = tap_of("gzip, gzip")
    tap.feed(gzip.compress(gzip.compress(b"") * 5_000))
    assert loop.asked > 5_000
    assert not reader.fed
