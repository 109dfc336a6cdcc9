"""Rows that a file has twice: what its own id proves to be a copy counts once, any other counts as it stands; both are told.

An id alone proves nothing: AWS gives one anew in another partition. A row is a copy where the id and every other cell are
those of a row before it, as after one part was put in two times by `cat`. Without an id two rows that are alike may be two
uses: an hour of a SKU on two resources that the export does not name, two events of one millisecond.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from spendgate.money import dollars
from spendgate.reconcile.sources.reading import Row
from spendgate.statement import Line

_encode = msgspec.msgpack.Encoder().encode


class Twice:
    """The rows of one file that became lines or have an id of their own, and what came again of them."""

    def __init__(self) -> None:
        self._nanos: dict[bytes, int] = {}
        """What a row bills, by the digest of all its cells."""
        self._copies = _Tally()
        self._alike = _Tally()

    def once[R: Mapping[str, object]](
        self, row: R, one: str | None, take: Callable[[R], Iterable[Line]]
    ) -> Iterable[Line]:
        """The row's lines; none where it is a copy. `one` is its own id, if it has one. Raises what `take` does."""
        known = _digest(row)
        before = self._nanos.get(known)
        if before is not None and one:
            self._copies.add(before)
            return ()
        lines = tuple(take(row))
        nanos = sum(each.billed_nanos or 0 for each in lines)
        if before is not None:
            self._alike.add(nanos)
        elif lines or one:  # others say nothing that could count twice: headers, other services of a cloud
            self._nanos[known] = nanos
        return lines

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it."""
        told = []
        if self._copies.rows:
            again = dollars(self._copies.nanos)
            told.append(
                f"{self._copies.rows:,} rows are copies, by their own id and every other cell: each counts once, "
                f"{again} that stands there again does not count"
            )
        if self._alike.rows:
            told.append(
                f"{self._alike.rows:,} rows of {dollars(self._alike.nanos)} are like one before them in every cell, and no id "
                "tells whether they are copies: they count; was a part put in twice?"
            )
        return tuple(told)


def _digest(row: Mapping[str, object]) -> bytes:
    """Of all cells. Files of clouds have a hundred of them in each of a million rows: of these the quick way."""
    cells = _encode([*row.values()]) if isinstance(row, Row) else repr([*row.items()]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(cells, digest_size=16).digest()


class _Tally:
    def __init__(self) -> None:
        self.rows, self.nanos = 0, 0

    def add(self, nanos: int) -> None:
        self.rows += 1
        self.nanos += nanos
