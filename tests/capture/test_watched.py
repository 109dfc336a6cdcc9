"""A call that may be cut is watched closely: a cut that comes one doubling late has spent twice the money."""

from __future__ import annotations

import itertools

import pytest

from spendgate.capture.tap import WATCHED_BYTES_FIRST, Tap
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

EVENT_BYTES = 50
SHARE = 20


class _Growing:
    """A reader whose counts, where it gives any, are the bytes that it was fed."""

    def __init__(self, *, counts: bool) -> None:
        self.counts = counts
        self.seen = 0

    def feed(self, data: bytes) -> bool:
        self.seen += len(data)
        return self.counts

    def reading(self) -> Reading:
        parts = (Part(Usage(output_tokens=self.seen)),) if self.counts else ()
        return Reading(parts, output_bytes=self.seen)

    def close(self) -> Reading:
        return self.reading()


def _cues(*, counts: bool, watched: bool, events: int = 4_000) -> list[int]:
    """How many bytes had passed at each cue."""
    cues: list[Reading] = []
    tap = Tap(_Growing(counts=counts), cues.append, watched=watched)
    for _ in range(events):
        tap.feed(b"x" * EVENT_BYTES)
    return [cue.output_bytes for cue in cues]


@pytest.mark.parametrize("counts", [True, False], ids=["with counts", "without counts"])
def test_a_watched_call_is_cued_at_each_twentieth(counts: bool) -> None:
    """Between two cues no more than a twentieth and one event has passed, from the first kilobyte on."""
    cues = _cues(counts=counts, watched=True)
    late = [after - before - before // SHARE for before, after in itertools.pairwise(cues)]
    assert max(cues[0] - WATCHED_BYTES_FIRST, *late) <= EVENT_BYTES
    assert len(cues) < 250, "each cue may cost a transaction"


@pytest.mark.parametrize("counts", [True, False], ids=["with counts", "without counts"])
def test_any_other_call_is_cued_at_doublings(counts: bool) -> None:
    """What cannot be cut costs a handful of corrections."""
    assert len(_cues(counts=counts, watched=False)) < 20
