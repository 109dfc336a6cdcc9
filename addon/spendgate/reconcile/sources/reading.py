"""Reading what providers write, exactly: JSON and CSV whose numbers stay text until they are whole nano-dollars or counts.

Every function raises ValueError with what was found and what is allowed; a source adds the place (`Faults`). Found text is shown
shortened, so that a broken file cannot fill a terminal.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from spendgate.errors import StatementError
from spendgate.money import NANOS_MAX, half_even
from spendgate.statement import DAY_MS

DOLLAR: Final = Decimal(1)
CENT: Final = Decimal("0.01")
_SHOWN: Final = 60
_FAULTS_MAX: Final = 20
_EXPONENT_MAX: Final = 30
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""Decimal takes more for a number: `1_000`, and the digits of every script."""
_NANOS: Final = 1_000_000_000
_DAYS_IN_MS: Final = 253_402_300_800_000
"""Year 10000: what is later is in another unit than it claims."""


def shown(value: object) -> str:
    """A found value for a message: quoted, on one line, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def loads(data: bytes) -> Any:  # noqa: ANN401 - whatever a provider writes
    """JSON with every number as Decimal of its text, and no key twice. Raises ValueError with line and column."""
    try:
        return json.loads(
            data.decode("utf-8-sig"), parse_float=Decimal, parse_int=Decimal, parse_constant=_constant,
            object_pairs_hook=_once,
        )  # fmt: skip
    except json.JSONDecodeError as fault:
        raise ValueError(f"line {fault.lineno} column {fault.colno}: no JSON: {fault.msg}") from fault
    except UnicodeDecodeError as fault:
        raise ValueError(f"byte {fault.start}: not UTF-8") from fault
    except (InvalidOperation, RecursionError) as fault:
        raise ValueError("numbers or nesting that no provider writes") from fault


def _constant(word: str) -> None:
    raise ValueError(f"{word} is no amount and no count")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a key twice")
    return found


def nanos(value: object, unit: Decimal = DOLLAR) -> int:
    """An amount of so many `unit` dollars in nano-dollars, half-even; text, or what `loads` makes of a number."""
    amount = decimal(value) * unit
    numerator, denominator = amount.as_integer_ratio()
    whole = half_even(numerator * _NANOS, denominator)
    if abs(whole) > NANOS_MAX:
        raise ValueError(f"{shown(value)} is more than a ledger row holds")
    return whole


def decimal(value: object) -> Decimal:
    """A finite decimal number, from its text: `1234.5`, `-0.25`, `1.5e-7`. Thousands separators are not guessed at."""
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, str):
        try:
            if _NUMBER.fullmatch(value.strip()) is None:
                raise ValueError(f"{shown(value)} is no decimal number")
            found = Decimal(value.strip())
        except InvalidOperation as fault:
            raise ValueError(f"{shown(value)} is no decimal number") from fault
    else:
        raise ValueError(f"{shown(value)} is no decimal number")
    exponent = found.as_tuple().exponent
    if isinstance(exponent, int) and found.is_zero():
        return Decimal(0)  # OpenAI writes the zero of its decimals as `0E-6176`
    if not isinstance(exponent, int) or abs(found.adjusted()) > _EXPONENT_MAX or abs(exponent) > 2 * _EXPONENT_MAX:
        raise ValueError(f"{shown(value)} is no amount that a provider writes")
    return found


def count(value: object) -> int:
    """A whole number of zero or more. Raises ValueError also for 12.5, -1 and true."""
    if isinstance(value, str) and len(value) <= _EXPONENT_MAX and value.isascii() and value.isdigit():
        return int(value)  # what nearly every cell is, at a fifth of the time
    found = decimal(value)
    if found != found.to_integral_value() or found < 0:
        raise ValueError(f"{shown(value)} is no whole count of zero or more")
    return int(found)


def instant_ms(value: object) -> int:
    """RFC 3339 with a zone, in epoch milliseconds."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no time; write 2026-11-20T00:00:00Z")
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError as fault:
        raise ValueError(f"{shown(value)} is no time; write 2026-11-20T00:00:00Z") from fault
    if found.tzinfo is None:
        raise ValueError(f"{shown(value)} has no time zone")
    return round((found - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def day_ms(value: object) -> int:
    """A UTC day, `2026-11-20`, as the epoch milliseconds of its beginning."""
    try:
        found = date.fromisoformat(str(value).strip())
    except ValueError as fault:
        raise ValueError(f"{shown(value)} is no day; write 2026-11-20") from fault
    return (found - date(1970, 1, 1)).days * DAY_MS


def epoch_ms(value: object, *, per_second: int = 1) -> int:
    """Epoch seconds (`per_second=1`) or milliseconds (1000) in milliseconds."""
    found = count(value) * 1000 // per_second
    if found >= _DAYS_IN_MS:
        raise ValueError(f"{shown(value)} is no time of these millennia")
    return found


def text(value: object) -> str | None:
    """A text, or None where there is none."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{shown(value)} is no text")


class Faults:
    """The faults of one file or of one run of pages, each with its place; `raise_any` at the end."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._faults: list[str] = []
        self._more = 0

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """What goes wrong inside is a fault of this place (`line 7`, `page 2 data[3]`), and the rest is read on."""
        try:
            yield
        except (ValueError, KeyError, TypeError, ArithmeticError) as fault:
            said = f"{fault.args[0]!r} is missing" if isinstance(fault, KeyError) else str(fault)
            self.add(place, said)

    def add(self, place: str, said: str) -> None:
        """One more."""
        if len(self._faults) < _FAULTS_MAX:
            self._faults.append(f"{self._origin}: {place}: {said}" if place else f"{self._origin}: {said}")
        else:
            self._more += 1

    def raise_any(self) -> None:
        """Raises StatementError where there is one."""
        if self._faults:
            more = (f"{self._origin}: and {self._more} faults more",) if self._more else ()
            raise StatementError(*self._faults, *more)


class Row(Mapping[str, str]):
    """One row of a CSV file by the names of its columns. A missing column is a KeyError; `number` is its line in the file."""

    def __init__(self, cells: dict[str, str], number: int) -> None:
        self._cells, self.number = cells, number

    def __getitem__(self, name: str) -> str:
        return self._cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def items(self) -> ItemsView[str, str]:
        """The dictionary's own: a mapping's asks for each cell by its name, in files of a hundred columns and a million rows."""
        return self._cells.items()

    def values(self) -> ValuesView[str]:
        """Likewise."""
        return self._cells.values()


def csv_header(head: bytes) -> tuple[str, ...]:
    """The columns that a file begins with; () where it is no CSV. Never raises."""
    first = head.decode("utf-8-sig", "replace").lstrip("\r\n").partition("\n")[0].rstrip("\r")
    try:
        return tuple(name.strip() for name in next(csv.reader([first]), ()))
    except csv.Error:
        return ()


def csv_rows(data: bytes, faults: Faults, required: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file with a header, UTF-8 with or without its mark; a row with more or fewer cells is a fault."""
    try:
        lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as fault:
        faults.add("", f"byte {fault.start}: not UTF-8")
        return
    reader = csv.reader(lines, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        lacking = [name for name in required if name not in names]
        if lacking or len(set(names)) != len(names):
            faults.add("line 1", f"lacks the columns {', '.join(lacking)}" if lacking else "a column stands twice")
            return
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                faults.add(
                    f"line {reader.line_num}", f"{len(cells)} cells, the header has {len(names)}; was it cut off?"
                )
                continue
            yield Row(dict(zip(names, cells, strict=True)), reader.line_num)
    except csv.Error as fault:
        faults.add(f"line {reader.line_num}", f"no CSV: {fault}")
