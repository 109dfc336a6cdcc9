"""Cursor's CSV of usage events, from its usage page.

Source: headers and rows of real exports (`facts/reconciliation.md` 3.3; public parsers of such files). Columns are found by their
names: newer files begin with the person and the agent, plans by request have `Requests` in the place of `Cost`. `Input (w/ Cache
Write)` is a class of its own, what was written to the cache, and no sum: each row is checked against its total, and refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from spendgate.reconcile.sources.assembling import Reading, begins, flag, quantity, told, whole
from spendgate.reconcile.sources.cursor_lines import AUTOMATION, CLOUD_AGENT, billed_by
from spendgate.reconcile.sources.reading import Row, csv_header, day_ms, decimal, instant_ms, nanos, shown
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Statement, Who
from spendgate.usage import Usage

_WRITTEN: Final = "Input (w/ Cache Write)"
_PLAIN: Final = "Input (w/o Cache Write)"
_COLUMNS: Final = ("Date", "Model", _WRITTEN, _PLAIN, "Cache Read", "Output Tokens")
_TOTAL: Final = ("Total Tokens", "Tokens")
_COST: Final = ("Cost", "Cost ($)", "Cost to you")
_KIND: Final = ("Kind", "Request Type")
_NOTHING: Final = ("included", "free")
_NOT_TOLD: Final = ("-", "")
_NO_COST: Final = "metered, and no amount in the place of their cost: what they cost is not told"
_DAY_CHARACTERS: Final = 10


class CursorCsv:
    """`cursor-csv`."""

    name = "cursor-csv"
    title = "Cursor usage events, from cursor.com/dashboard, Usage: Export CSV"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _COLUMNS)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, columns = Reading(self.name, "cursor", data, origin), csv_header(data[: 64 << 10])
        total = _one(columns, _TOTAL) or _TOTAL[0]
        cost, kind = _one(columns, _COST), _one(columns, _KIND)
        needed = (*_COLUMNS, total, cost or "Requests")

        def take(row: Row) -> list[Line]:
            line, note = _line(row, total, cost, kind)
            reading.covers(line.starts_ms, line.ends_ms)
            reading.notes.update([note] if note else [])
            reading.notes.update([_NO_COST] if cost is not None and line.billed_nanos is None else [])
            return [line]

        return reading.rows(needed, take).statement()


def _one(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _line(row: Row, total: str, cost: str | None, kind: str | None) -> tuple[Line, str]:
    starts_ms, ends_ms = _when(row["Date"].strip())
    money = None if cost is None else _money(row[cost])
    billed, note = _billed(None if kind is None else row[kind].strip(), "" if cost is None else row[cost])
    user = told(row.get("User"))
    line = Line(
        starts_ms, ends_ms, "cursor", told(row["Model"]), _product(row),
        Who(user=user, email=user if user and "@" in user else None),
        Axes(context="max" if flag(row.get("Max Mode", "")) else None),
        Charge.REQUESTS if cost is None else Charge.TOKENS, usage=_usage(row, total), requests=1,
        quantity=quantity(row["Requests"].strip()) if cost is None else None,
        unit="request units" if cost is None else None,
        billed_nanos=_billed_nanos("" if cost is None else row[cost], money, billed),
        list_nanos=None if money is None else nanos(money), billed=billed, amount="" if cost is None else row[cost].strip(),
    )  # fmt: skip
    return line, note


def _billed_nanos(cell: str, money: Decimal | None, billed: Billed) -> int | None:
    if billed is not Billed.METERED or cell.strip().lower() in _NOTHING:
        return 0
    return None if money is None else nanos(money)


def _when(text: str) -> tuple[int, int]:
    if len(text) == _DAY_CHARACTERS:
        return day_ms(text), day_ms(text) + DAY_MS
    return instant_ms(text), instant_ms(text) + 1


def _money(cell: str) -> Decimal | None:
    """Dollars (`$0.01`, `0.49`), or None where there is a word in their place."""
    said = cell.strip()
    if said.lower() in (*_NOTHING, *_NOT_TOLD):
        return None
    try:
        return decimal(said.removeprefix("$"))
    except ValueError as fault:
        raise ValueError(
            f"{shown(cell)} is no amount in dollars; known are $0.01, 0.01, Included, Free and -"
        ) from fault


def _billed(kind: str | None, cost: str) -> tuple[Billed, str]:
    """By its kind; in files without kinds by the word in place of its cost."""
    if kind is None:
        said = cost.strip().lower()
        return (
            Billed.INCLUDED if said in ("included", "free") else Billed.METERED
        ), "without a kind: amounts are metered"
    found = billed_by(kind)
    return (found, "") if found is not None else (Billed.METERED, f"kind {shown(kind)} is not known: taken as metered")


def _product(row: Row) -> str | None:
    if row.get("Automation ID", "").strip():
        return AUTOMATION
    return CLOUD_AGENT if row.get("Cloud Agent ID", "").strip() else None


def _usage(row: Row, total: str) -> Usage:
    usage = Usage(
        input_tokens=whole(row[_PLAIN]),
        cache_read_tokens=whole(row["Cache Read"]),
        cache_write_tokens=whole(row[_WRITTEN]),
        output_tokens=whole(row["Output Tokens"]),
    )
    if usage.input_total + (usage.output_tokens or 0) != (whole(row[total]) or 0):
        raise ValueError(f"its classes do not add up to {total} {row[total]}: another format than is known")
    return usage
