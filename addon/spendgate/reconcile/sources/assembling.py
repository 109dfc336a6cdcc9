"""What sources share besides reading: cells that may be empty, amounts in dollars alone, pages, and the statement of a file.

A downloaded file says nowhere which days it was asked for. It covers the UTC days from the first to the last that it has a row
of, and its statement says so in a note: a day before or after them is not told to be empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Self

from spendgate.errors import StatementError
from spendgate.reconcile.sources.reading import Faults, Row, count, csv_header, csv_rows, decimal, loads, shown, text
from spendgate.reconcile.sources.twice import Twice
from spendgate.statement import DAY_MS, Line, Statement

TIMES: Final = ("start_time", "end_time", "start_time_iso", "end_time_iso")
"""What each CSV export of OpenAI's dashboard begins with."""


def whole(value: object) -> int | None:
    """A count, or None where there is none (null, an empty cell, no such column)."""
    return None if value is None or value == "" else count(value)


def told(value: object) -> str | None:
    """A text, or None where there is none or it is empty."""
    return text(value) or None


def filled(row: Mapping[str, str], column: str) -> str:
    """A cell that must say something, for what it does not say is not zero. Raises ValueError where it is empty."""
    cell = row[column]
    if not cell.strip():
        raise ValueError(f"{column} is empty, and that is not 0: is the export whole?")
    return cell


def flag(value: object) -> bool:
    """true or false; in a CSV file also Yes, No or nothing. Raises ValueError."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (False, None, "false", "no", ""):
        return False
    if word in (True, "true", "yes"):
        return True
    raise ValueError(f"{shown(value)} is neither true nor false")


def plain(value: Decimal) -> str:
    """Exact decimal text without an exponent, for `Line.quantity`."""
    return f"{value:f}"


def quantity(value: object) -> str | None:
    """The exact text of a number that is no amount of money, or None where there is none."""
    return None if value is None or value == "" else plain(decimal(value))


def dollars_only(currency: object) -> None:
    """Raises ValueError for every currency but US dollars, and where none is named: no rate is guessed."""
    if not isinstance(currency, str) or currency.strip().upper() != "USD":
        raise ValueError(f"currency {shown(currency)}: only USD can be read")


def day_word(ms: int) -> str:
    """`2026-11-20`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def days_of(from_ms: int, until_ms: int) -> Iterator[int]:
    """The beginnings of the UTC days of a span."""
    return iter(range(from_ms, until_ms, DAY_MS))


def begins(head: bytes, needed: Iterable[str], absent: Iterable[str] = ()) -> bool:
    """Whether a file's first line names all the columns that are needed, and none that another format is known by."""
    columns = set(csv_header(head))
    return columns.issuperset(needed) and columns.isdisjoint(absent)


def _own(item: Mapping[str, Any], column: str | None) -> str | None:
    """A row's own id. A header that stands again in the middle has none."""
    found = None if column is None else told(item.get(column))
    return None if found == column else found


class Reading:
    """One file on its way to a statement."""

    def __init__(self, source: str, provider: str, data: bytes, origin: str) -> None:
        self._source, self._provider, self._data, self._origin = source, provider, data, origin
        self._faults = Faults(origin)
        self._lines: list[Line] = []
        self._first: int | None = None
        self._after = 0
        self._rows: dict[tuple[str, ...], int] = {}
        self._twice = Twice()
        self.notes: Counter[str] = Counter()
        """What a reader must know, and of how many rows."""

    def covers(self, starts_ms: int, ends_ms: int) -> tuple[int, int]:
        """The file has a row of this stretch. Gives it back. Raises ValueError."""
        if ends_ms <= starts_ms:
            raise ValueError("it ends before it begins")
        self._first = starts_ms if self._first is None else min(self._first, starts_ms)
        self._after = max(self._after, ends_ms)
        return starts_ms, ends_ms

    def once(self, row: Row) -> None:
        """Rows that are sums by their columns: one that is there twice, to the amount, would count twice. Raises ValueError."""
        before = self._rows.setdefault(tuple(row.values()), row.number)
        if before != row.number:
            raise ValueError(f"it is line {before} again: rows have come twice")

    def rows(self, required: Sequence[str], take: Callable[[Row], Iterable[Line]], own_id: str | None = None) -> Self:
        """Read all rows with `take`; each one's fault is told with its line in the file. Raises StatementError.

        `own_id` is the column, if the file has it, by which a row that came before is known for a copy.

        A file that was cut off in its last cell cannot be told from a whole one but by the line break that it lacks.
        """
        if self._data and not self._data.endswith((b"\n", b"\r")):
            self.notes.update(["the last ends without a line break: is the file whole?"])
        for row in csv_rows(self._data, self._faults, required):
            with self._faults.at(f"line {row.number}"):
                self._lines.extend(self._twice.once(row, _own(row, own_id), take))
        self._faults.raise_any()
        return self

    def items(
        self,
        parse: Callable[[bytes, Faults], Iterable[tuple[str, Mapping[str, Any]]]],
        take: Callable[[Any], Iterable[Line]],
        own_id: str | None = None,
    ) -> Self:
        """The same of what `parse` finds, each with its place. Raises StatementError."""
        for place, item in parse(self._data, self._faults):
            with self._faults.at(place):
                self._lines.extend(self._twice.once(item, _own(item, own_id), take))
        self._faults.raise_any()
        return self

    def statement(self, subject: Callable[[Line], str | None] = lambda _: None) -> Statement:
        """The statement; its subject is what all lines have in common. Raises StatementError where the file has no row."""
        if self._first is None:
            raise StatementError(
                f"{self._origin}: it has no rows, so nothing says which days it is about; nothing is taken"
            )
        first, after = self._first // DAY_MS * DAY_MS, -(-self._after // DAY_MS) * DAY_MS
        last = day_word(after - DAY_MS)
        subjects = {subject(each) or "" for each in self._lines}
        return Statement(
            self._source, self._provider, subjects.pop() if len(subjects) == 1 else "", first, after,
            sha256(self._data).hexdigest(), self._origin, None, tuple(self._lines),
            (
                f"{self._origin} is taken to say all of {day_word(first)} to {last}, the days that it has rows of; "
                "if it was downloaded on one of them, import it again from a later download",
                *self._twice.notes(),
                *(f"{times} rows: {note}" for note, times in self.notes.items()),
            ),
        )  # fmt: skip


class Cursor:
    """Where a run of pages stands. A page that names one before it as its next is a fault, and no endless run."""

    def __init__(self) -> None:
        self.next: str | None = None
        self._seen: set[str] = set()

    def follow(self, cursor: str | None) -> None:
        """Go on to this page; None: it was the last. Raises ValueError."""
        self.next = None
        if cursor is not None:
            if cursor in self._seen:
                raise ValueError("the next page is one that has been read already")
            self._seen.add(cursor)
            self.next = cursor


def obj(body: bytes, items: str) -> dict[str, Any]:
    """A page that is an object with a list of that name. Raises ValueError."""
    found = loads(body)
    if not isinstance(found, dict) or not isinstance(found[items], list):
        raise ValueError(f"no object with a list `{items}`")
    return found


def after(page: Mapping[str, Any]) -> str | None:
    """The cursor of the page after one of Anthropic's; None: it was the last. Raises ValueError where it lacks one."""
    more, cursor = page.get("has_more"), told(page.get("next_page"))
    if more and cursor is None:
        raise ValueError("there is more, and no next page is named")
    return None if more is False else cursor


def within(starts_ms: int, ends_ms: int, from_ms: int, until_ms: int) -> tuple[int, int]:
    """The times of a bucket of at most a day within what was asked for. Raises ValueError: they are others."""
    if not from_ms <= starts_ms < ends_ms <= until_ms:
        raise ValueError("its times are not within what was asked for")
    if ends_ms - starts_ms > DAY_MS:
        raise ValueError("it is of more than a day, and days were asked for")
    return starts_ms, ends_ms


def fields(item: object) -> dict[str, Any]:
    """An item of a page that is an object. Raises ValueError."""
    if not isinstance(item, dict):
        raise ValueError(f"{shown(item)} is no object")
    return item
