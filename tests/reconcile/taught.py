"""What tests of calibrating share: Cursor's calls in a ledger, estimated, and the export that tells what they were billed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from spendgate.ledger import Ledger
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.statement import DAY_MS
from spendgate.usage import Usage

TODAY_MS = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
HEAD = (
    "Date,User,Cloud Agent ID,Automation ID,Kind,Model,Max Mode,Input (w/ Cache Write),Input (w/o Cache Write),Cache Read,"
    "Output Tokens,Total Tokens,Cost\n"
)
FLAG = "turn ended without counts"
CENT = 10_000_000


def at(day: int, minute: int) -> int:
    """`day` days before today, so many minutes after 10:00 UTC."""
    return TODAY_MS - day * DAY_MS + 36_000_000 + minute * 60_000


def used(
    ledger: Ledger, left_ms: int, cents: int, *, person: str = "alice", model: str = "claude-opus-4-5", tool: str = "cursor",
    flags: tuple[str, ...] = (FLAG,), **ending: object,
) -> None:  # fmt: skip
    """A call of Cursor's that was estimated at so many cents."""
    name = f"{person}-{model}-{left_ms}"
    row = CallRow(name, left_ms, person, "lt-1", "cursor", "api2.cursor.sh", "/run", tool=tool, dialect="cursor",
                  model_requested=model, kind=f"{tool}|{model}")  # fmt: skip
    words = {
        "state": "settled",
        "basis": "estimated",
        "usage": Usage(input_tokens=25 * cents, output_tokens=0),
        **ending,
    }
    done = Settlement(
        charges=(), ended_ms=left_ms + 20_000, model=model, http_status=200, flags=flags, cost_nanos=cents * CENT,
        value_nanos=cents * CENT, **words,
    )  # fmt: skip
    ledger.collected(row, done, left_ms)


def event(
    left_ms: int, cents: int, *, email: str = "alice@acme.example", kind: str = "On-Demand", agent: str = ""
) -> str:
    """A row of the export, some seconds after the call left."""
    when = datetime.fromtimestamp(left_ms / 1000 + 7, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    cost, tokens = f"${cents / 100:.2f}", 25 * cents
    return f'"{when}","{email}","{agent}","","{kind}","claude-4.5-opus-high","No","0","{tokens}","0","0","{tokens}","{cost}"\n'


def month(
    folder: Path, *, days: Iterable[int] = range(2, 9), calls: int = 4, estimated: int = 10, billed: int = 25,
    outside: Iterable[int] = (), name: str = "usage.csv",
) -> Path:  # fmt: skip
    """A ledger in `folder` and its export: on each day so many calls, and on those of `outside` one event more."""
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", TODAY_MS)
    rows = []
    try:
        for day in days:
            for number in range(calls):
                used(ledger, at(day, 30 * number), estimated)
                rows.append(event(at(day, 30 * number), billed))
            rows += [event(at(day, 400), 900) for each in outside if each == day]
    finally:
        ledger.close()
    file = folder / name
    file.write_text(HEAD + "".join(rows))
    return file
