"""A gate in virtual time: a script of calls is played against the real gate and its real ledger in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.gate.world import PRICES, costing, intent

from spendgate.attribution import Attribution, Evidence
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, End, Intent
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.providers.unfinished import estimate_usage
from spendgate.replay.engine import Replay
from spendgate.replay.outcome import Outcome

START_MS = 1_790_000_000_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only when nobody has anything to do."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own, as its tests step it
            self._virtual = max(self._virtual, self._scheduled[0].when())  # type: ignore[attr-defined]  # as above
        super()._run_once()  # type: ignore[misc]  # as above


def run[T](work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work(loop))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@dataclass(frozen=True)
class Scripted:
    """One call: when it comes, whose it is, what it costs in dollars, how long it takes. Milliseconds from the start."""

    at_ms: int
    person: str
    cost: float
    lasts_ms: int
    tool: str = "claude-code"
    session: str | None = None
    model: str = "claude-opus-4-5"
    billing: str = "metered"
    also: tuple[str, ...] = ()
    """Other models that it names."""


def play(
    folder: Path, rules: Policy, script: Iterable[Scripted], *, wall_ms: Callable[[int], int] = lambda ms: ms,
    first: int = 0,
) -> None:  # fmt: skip
    """Let the real gate decide every call of the script, and write its ledger. `wall_ms` says what the wall clock has moved
    since the start, by what the boot clock has: a gate takes longer to live through a night than to have a clock set.
    `first`: the number of the first call, on a ledger that has some."""

    async def whole(loop: VirtualLoop) -> None:
        clock = Clock(
            now_ms=lambda: START_MS + wall_ms(round(loop.time() * 1000)),
            boot_ms=lambda: round(loop.time() * 1000),
            random=lambda: 0.5,
        )
        ledger = Ledger.open(folder / "ledger.db", folder / "gates", clock.now_ms())
        gate = Gate(ledger, PRICES, rules, estimate=estimate_usage, clock=clock)
        await gate.start()
        try:
            await asyncio.gather(*[_serve(gate, clock, call, number) for number, call in enumerate(script, first)])
        finally:
            await gate.stop()
            ledger.close()

    run(whole)


async def _serve(gate: Gate, clock: Clock, call: Scripted, number: int) -> None:
    await asyncio.sleep(call.at_ms / 1000)
    asked = replace(_intent(call), call_id=f"call-{number:05}", started_ms=clock.now_ms())
    if not isinstance(await gate.hold(asked), Admitted):
        return
    gate.sent(asked.call_id)
    await asyncio.sleep(call.lasts_ms / 1000)
    gate.settle(asked.call_id, costing(call.cost), End(clock.now_ms(), True, True, 200, 5, call.lasts_ms, 100))


def _intent(call: Scripted) -> Intent:
    made = intent(call.person, model=call.model, billing=call.billing, also=call.also)
    who = Attribution(
        person=call.person, machine="lt-1", tool=call.tool, account_os=call.person, session=call.session,
        person_evidence=Evidence.SOCKET_OWNER,
    )  # fmt: skip
    return replace(made, attribution=who)


def again(folder: Path, rules: Policy, since_ms: int = 0) -> tuple[Outcome, dict[str, tuple[Any, ...]]]:
    """The ledger's history under `rules`; and each refusal by call: rule, kind, settled, held, hold, limit."""
    found: dict[str, tuple[Any, ...]] = {}

    class Told(Outcome):
        def refuses(self, step: Any, person: Any, at_ms: Any, refuse: Any, cost_nanos: Any) -> None:
            found[step.id] = (
                refuse.rule, refuse.kind.value, refuse.settled_nanos, refuse.held_nanos, refuse.hold_nanos, refuse.limit_nanos,
            )  # fmt: skip
            super().refuses(step, person, at_ms, refuse, cost_nanos)

    with Reader(folder / "ledger.db") as reader:
        replay = Replay(rules, since_ms)
        replay.outcome = Told(since_ms=since_ms)
        return replay.run(reader.history(0)), found


def refused_live(folder: Path) -> dict[str, tuple[Any, ...]]:
    """What the ledger says was refused, in the same words."""
    with Reader(folder / "ledger.db") as reader:
        return {
            step.id: tuple(
                reader.call(step.id)[0][f"refused_{word}"]
                for word in ("by", "why", "settled_nanos", "held_nanos", "hold_nanos", "limit_nanos")
            )
            for step in reader.history(0)
            if step.refused_by is not None
        }
