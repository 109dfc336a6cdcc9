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

from spendgate.errors import StateError
from spendgate.statement import Line

LINES_MAX = 256
"""Of one row. Larger ones save little, and a day's lines are read with all that share a row with them."""
UNPACKED_MAX = 16 << 20
"""Bytes of one row: sixty times what 256 lines with every field take. A row that unpacks to more was not made here."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Line]).decode


class Part(Struct, frozen=True):
    """Some lines that follow one another."""

    first_ms: int
    """The earliest and the latest beginning of a line in it, epoch milliseconds."""
    last_ms: int
    lines: bytes


def packed(lines: Sequence[Line]) -> tuple[Part, ...]:
    """All of them, in their order. Raises StateError for a line that is too long for a row."""
    return tuple(each for at in range(0, len(lines), LINES_MAX) for each in _parts(lines[at : at + LINES_MAX]))


def _parts(lines: Sequence[Line]) -> Iterator[Part]:
    data = _encode(list(lines))
    if len(data) > UNPACKED_MAX:
        if len(lines) == 1:
            raise StateError(
                f"a line of {len(data):,} bytes is more than the {UNPACKED_MAX:,} that a ledger keeps of one"
            )
        half = len(lines) // 2
        yield from _parts(lines[:half])
        yield from _parts(lines[half:])
        return
    starts = [each.starts_ms for each in lines]
    yield Part(min(starts), max(starts), zlib.compress(data))


def unpacked(data: bytes, from_ms: int, until_ms: int) -> Iterator[Line]:
    """A part's lines that begin from then on and before then. Raises StateError for one that is not as this makes them."""
    return (each for each in lines_of(data) if from_ms <= each.starts_ms < until_ms)


def lines_of(data: bytes) -> list[Line]:
    """All of a part's lines, in bounded memory whoever made it. Raises StateError."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, UNPACKED_MAX + 1)
        if len(plain) > UNPACKED_MAX:
            raise StateError(
                f"lines of a statement unpack to more than {UNPACKED_MAX >> 20} MB: no Spendgate has written them"
            )
        if not inflater.eof:
            raise StateError("lines of a statement are cut off")
        return _decode(plain)
    except (zlib.error, msgspec.DecodeError) as fault:
        raise StateError(f"lines of a statement cannot be read: {fault}") from fault
