"""What gate tests stand on: a policy in a line, an intent in a line, a real ledger and a gate over it."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from spendgate.attribution import Attribution, Evidence
from spendgate.budget import Budget
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, End, Intent, Refused
from spendgate.ledger.ledger import Ledger
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Mode, OnFailure, Policy
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Part, Reading
from spendgate.providers.unfinished import estimate_usage
from spendgate.standing import Hold
from spendgate.usage import Usage

MODEL = "claude-opus-4-5"
"""$5 and $25 a million tokens, one price tier, no regional factor (genai-prices, bundled)."""
INPUT_NANOS = 5_000
OUTPUT_NANOS = 25_000
PRICES = PriceBook()
ROUTE = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
_ids = itertools.count()


def dollars(amount: float) -> int:
    """Nano-dollars of a test's amount."""
    return round(amount * NANOS_PER_DOLLAR)


def budget(limit: float, name: str = "person", **words: Any) -> Budget:
    """A budget for the life of its value, per person unless told otherwise."""
    return Budget(
        **{"name": name, "base_name": name, "per": ("person",), "limit_nanos": dollars(limit), "order": 0, **words}
    )


def policy(*budgets: Budget, **words: Any) -> Policy:
    """A policy of these budgets."""
    ordered = tuple(each.model_copy(update={"order": order}) for order, each in enumerate(budgets))
    return Policy(**{"owner": "admin@acme.example", "help": "Ask in #ai-budget.", "budgets": ordered, **words})


def intent(
    person: str = "alice", *, text_bytes: int = 2_000, output_max: int | None = 1_000, gone: Callable[[], bool] = lambda: False,
    may_wait: bool = True, repeats: int = 0, prefix: str = "call", **ask: Any,
) -> Intent:  # fmt: skip
    """A call of one person."""
    return Intent(
        f"{prefix}-{next(_ids)}",
        1_000,
        "api.anthropic.com",
        ROUTE,
        Ask(**{"model": MODEL, "text_bytes": text_bytes, "output_tokens_max": output_max, **ask}),
        Attribution(person=person, machine="lt-1", tool="claude-code", person_evidence=Evidence.SOCKET_OWNER),
        text_bytes,
        may_wait,
        gone,
        repeats,
    )


def stating(call: Intent) -> Intent:
    """The same call, to a provider whose own word on its cost counts."""
    return replace(call, route=replace(call.route, states_cost=True))


def costing(amount: float, *, output_share: float = 0.0) -> Reading:
    """A final reading that costs this many dollars, to the nano-dollar where tokens allow."""
    output = int(dollars(amount) * output_share) // OUTPUT_NANOS
    return used(input_tokens=(dollars(amount) - output * OUTPUT_NANOS) // INPUT_NANOS, output_tokens=output)


def used(*, final: bool = True, output_bytes: int = 0, **counts: int) -> Reading:
    """A reading of these counts."""
    return Reading((Part(Usage(**counts)),), MODEL, final=final, output_bytes=output_bytes)


def end(*, complete: bool = True, sent: bool = True, status: int | None = 200, error: str | None = None) -> End:
    """An end on the wire."""
    return End(2_000, sent, complete, status, 5, 40, 100, error)


@dataclass
class Time:
    """A clock that tests step; the boot clock follows the real one, so that waits pass."""

    wall_ms: int = 1_790_000_000_000
    step: int = 1

    def now_ms(self) -> int:
        self.wall_ms += self.step
        return self.wall_ms


@dataclass
class Rows:
    """The ledger's file, read beside the gate."""

    path: Path
    written: Callable[[], None] = lambda: None
    """Writes what a gate would write within milliseconds."""

    def calls(self, where: str = "1 = 1") -> list[dict[str, Any]]:
        self.written()
        with sqlite3.connect(self.path) as conn:
            conn.row_factory = sqlite3.Row
            rows = [dict(row) for row in conn.execute(f"SELECT * FROM calls WHERE {where} ORDER BY id")]  # noqa: S608 - tests' own words
        conn.close()
        return rows

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.calls():
            found[row["state"]] = found.get(row["state"], 0) + 1
        return found

    def spent(self) -> int:
        return sum(row["cost_nanos"] or 0 for row in self.calls())


@dataclass
class House:
    """A gate on a ledger of its own."""

    gate: Gate
    ledger: Ledger
    rows: Rows
    time: Time = field(default_factory=Time)


class Booting(Protocol):
    """A boot clock of a test's own."""

    def clock(self, time: Time) -> Clock: ...


@asynccontextmanager
async def house(
    folder: Path, rules: Policy, *, start: bool = True, boot: Booting | None = None, asks: str = ""
) -> AsyncIterator[House]:
    """A started gate over the ledger in `folder`; stopped and closed at the end, its ledger checked."""
    time = Time()
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", time.now_ms())
    clock = boot.clock(time) if boot else Clock(now_ms=time.now_ms)
    gate = Gate(ledger, PRICES, rules, estimate=estimate_usage, clock=clock, asks=asks)
    try:
        if start:
            await gate.start()
        yield House(gate, ledger, Rows(folder / "ledger.db", gate.backlog.write_out), time)
    finally:
        await gate.stop()
        ledger.close()


async def serve(gate: Gate, call: Intent, cost: float, *, seconds: float = 0.05) -> str:
    """Ask for one call and, if it may leave, let it run and settle; what became of it."""
    answer = await gate.hold(call)
    if isinstance(answer, Admitted):
        gate.sent(call.call_id)
        await asyncio.sleep(seconds)
        gate.settle(call.call_id, costing(cost), end())
        return "admitted"
    return answer.refuse.kind.value if isinstance(answer, Refused) else "gone"


def prove(row: dict[str, Any]) -> None:
    """Assert that a refused row's figures satisfy the inequality of its kind."""
    settled, hold = row["refused_settled_nanos"], row["refused_hold_nanos"]
    held = row["refused_held_nanos"] if row["refused_why"] == "held" else 0
    assert settled + held + hold > row["refused_limit_nanos"]


__all__ = [
    "Hold", "House", "Mode", "OnFailure", "asyncio", "budget", "costing", "dollars", "end", "house", "intent", "policy",
    "prove", "replace", "serve", "used",
]  # fmt: skip
