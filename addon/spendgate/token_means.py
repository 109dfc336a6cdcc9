"""How many tokens a call is likely to use, which rates count until its end says so: a mean of the latest, or a guess. Pure.

Input is learned by the bytes of the request, output by itself. Integers alone, rounded up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from spendgate.flow import Tokens
from spendgate.usage import Usage

LATEST = 64
"""So many calls are looked back on."""
OUTPUT_GUESSED = 4_096
"""Output tokens that a call is expected to use at most where nothing at all has been learned."""
BYTES_OF_TOKEN = 4
"""Bytes of text that make a token where nothing at all has been learned."""
_SHIFT = 56
"""Fixed point of tokens per byte: equal calls of less than 2**35 bytes get their exact count after rounding up."""

Sample = tuple[int, int, int]


def sampled(usage: Usage, text_bytes: int) -> Sample:
    """What one call adds to the three sums: counted input and cache reads for each byte, and output."""
    size_bytes = max(1, text_bytes)
    counted, reads = (usage.input_tokens or 0) + usage.writes, usage.cache_read_tokens or 0
    return (counted << _SHIFT) // size_bytes, (reads << _SHIFT) // size_bytes, usage.output_tokens or 0


def guessed(text_bytes: int, output_max: int | None, choices: int) -> Tokens:
    """What a call is expected to use of which nothing was learned."""
    output = OUTPUT_GUESSED if output_max is None else min(output_max, OUTPUT_GUESSED)
    return Tokens(-(-text_bytes // BYTES_OF_TOKEN) + output * max(1, choices))


@dataclass(slots=True)
class TokenMeans:
    """The sums over the latest calls of one kind."""

    latest: deque[Sample] = field(default_factory=lambda: deque(maxlen=LATEST))
    counted: int = 0
    reads: int = 0
    output: int = 0

    def add(self, sample: Sample) -> None:
        """Take one call, and let the oldest go."""
        counted, reads, output = sample
        if len(self.latest) == LATEST:
            gone = self.latest[0]
            counted, reads, output = counted - gone[0], reads - gone[1], output - gone[2]
        self.latest.append(sample)
        self.counted += counted
        self.reads += reads
        self.output += output

    def of(self, text_bytes: int) -> Tokens:
        """What a call of so many bytes uses on average."""
        seen, size_bytes = len(self.latest), max(1, text_bytes)
        counted, reads = (-(-each * size_bytes >> _SHIFT) for each in (self.counted, self.reads))
        return Tokens(-(-(counted + self.output) // seen), -(-reads // seen))
