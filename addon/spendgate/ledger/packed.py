"""A statement's lines as a ledger keeps them: some hundreds in one row, compressed.

A line has thirty fields, most of which its source does not tell. As a row of its own it took a kilobyte and a page beside it for
what the page's share does not hold: forty times what a file with short rows is. Together they are less than that file, and the
transaction that writes them, which every gate waits for, has a row where it had hundreds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from spendgate.statement import Line

LINES_MAX = 256
"""Of one row. Larger ones save little, and a day's lines are read with all that share a row with them."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Line]).decode


class Part(Struct, frozen=True):
    """Some lines that follow one another."""

    first_ms: int
    """The earliest and the latest beginning of a line in it, epoch milliseconds."""
    last_ms: int
    lines: bytes


def packed(lines: Sequence[Line]) -> tuple[Part, ...]:
    """All of them, in their order."""
    return tuple(_part(lines[at : at + LINES_MAX]) for at in range(0, len(lines), LINES_MAX))


def _part(lines: Sequence[Line]) -> Part:
    starts = [each.starts_ms for each in lines]
    return Part(min(starts), max(starts), zlib.compress(_encode(list(lines))))


def unpacked(data: bytes, from_ms: int, until_ms: int) -> Iterator[Line]:
    """A part's lines that begin from then on and before then."""
    return (each for each in _decode(zlib.decompress(data)) if from_ms <= each.starts_ms < until_ms)
