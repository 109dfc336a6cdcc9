"""Plays the week and the weekend of `weekend_loop` to a real gate that refuses nothing, and replays its ledger under each policy.

The gate, its ledger, the replay and the alerts are the product's own; only the clock is another: time passes when nobody has
anything to do. Nothing here is random, so the table is the same each time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace
from parts import weekend_loop, weekend_told
from parts.weekend_loop import ANSWER_MS, BETWEEN_MS, FRIDAY, LOOP, ZONE, Run, Turn
from tests.gate.world import PRICES, end, intent, used
from tests.replay.virtual import VirtualLoop, run

from spendgate.admission import Refuse
from spendgate.alert_rules import Severity
from spendgate.alerts.interface import Alert
from spendgate.attribution import Attribution, Evidence
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.gate import upkeep
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted
from spendgate.ledger.history import Step
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.providers.unfinished import estimate_usage
from spendgate.replay.engine import Replay
from spendgate.replay.outcome import Outcome

POLICIES: Final = Path(__file__).parents[2] / "policies"
NOTHING: Final = POLICIES / "examples" / "observe-only.yaml"
"""What the week is played under: all is recorded, nothing is refused."""
TRIPWIRES: Final = (
    NOTHING,
    POLICIES / "default.yaml",
    *(
        POLICIES / "examples" / f"{name}.yaml"
        for name in ("tripwires", "adaptive-tripwire", "session-cap", "off-hours-page")
    ),
)
PERSON: Final = "dana"
LOOP_MS: Final = int(FRIDAY.timestamp()) * 1_000
"""When the loop begins."""
_COLUMNS: Final = ("policy", "the loop cost", "stopped after", "by", "asking on", "told", "paged", "the week before")


@dataclass(slots=True)
class Weekend(Outcome):
    """What a policy makes of the week and of the loop. Nano-dollars, epoch milliseconds."""

    loop_nanos: int = 0
    """What the loop cost until it was refused first: the clients that were measured end there."""
    asked_on_nanos: int = 0
    """What it cost until Monday, where something starts it anew after each refusal."""
    dearest_nanos: int = 0
    """Its dearest call until it was refused."""
    stopped: tuple[int, Refuse] | None = None
    working: int = 0
    """Calls of the working days that are refused."""
    told: list[tuple[Alert, tuple[str, ...]]] = field(default_factory=list)
    """Alerts of the weekend and whom they reach."""

    def admitted(self, step: Step, person: str, at_ms: int, cost_nanos: int, would: Refuse | None) -> None:
        """One that leaves."""
        super(Weekend, self).admitted(step, person, at_ms, cost_nanos, would)
        if step.session == LOOP:
            self.asked_on_nanos += cost_nanos
            if self.stopped is None:
                self.loop_nanos += cost_nanos
                self.dearest_nanos = max(self.dearest_nanos, cost_nanos)

    def refuses(self, step: Step, person: str, at_ms: int, refuse: Refuse, cost_nanos: int) -> None:
        """One that does not."""
        super(Weekend, self).refuses(step, person, at_ms, refuse, cost_nanos)
        if step.session != LOOP:
            self.working += 1
        elif self.stopped is None:
            self.stopped = at_ms, refuse

    def alerted(self, alert: Alert, told: tuple[str, ...]) -> None:
        """What is told of the loop."""
        super(Weekend, self).alerted(alert, told)
        if alert.at_ms >= LOOP_MS:
            self.told.append((alert, told))

    def heard(self, *, pages: bool) -> list[tuple[Alert, tuple[str, ...]]]:
        """The first alert of each rule until the loop is stopped; pages wake somebody."""
        until_ms = self.stopped[0] if self.stopped else LOOP_MS * 2
        firsts: dict[str, tuple[Alert, tuple[str, ...]]] = {}
        for alert, told in self.told:
            if alert.at_ms <= until_ms and (alert.severity is Severity.PAGE) is pages:
                firsts.setdefault(alert.rule, (alert, told))
        return list(firsts.values())


Beside = Callable[[Clock], Coroutine[None, None, None]]
"""What goes on beside the gate until its last run has ended."""


def play(folder: Path, policy: Policy, made: Iterable[Run], beside: Beside | None = None) -> None:
    """Let a gate under `policy` decide every call of these runs, and write its ledger; a run ends where it is refused."""
    runs = list(made)
    starts_ms = min(each.begins_ms for each in runs) - BETWEEN_MS

    async def whole(loop: VirtualLoop) -> None:
        clock = Clock(
            now_ms=lambda: starts_ms + round(loop.time() * 1000),
            boot_ms=lambda: round(loop.time() * 1000),
            random=lambda: 0.5,
        )
        ledger = Ledger.open(folder / "ledger.db", folder / "gates", clock.now_ms())
        gate = Gate(ledger, PRICES, policy, estimate=estimate_usage, clock=clock)
        # What other gates' calls cost is read every two seconds, of which a week has many; here is no other gate.
        every_s, upkeep.LEARN_EVERY_S = upkeep.LEARN_EVERY_S, 3_600.0
        await gate.start()
        other = asyncio.ensure_future(beside(clock)) if beside is not None else None
        try:
            await asyncio.gather(*(_agent(gate, clock, each, starts_ms, loop) for each in runs))
        finally:
            upkeep.LEARN_EVERY_S = every_s
            if other is not None:
                other.cancel()
                await asyncio.wait({other})
            await gate.stop()
            ledger.close()

    run(whole)


async def _agent(gate: Gate, clock: Clock, run: Run, starts_ms: int, loop: VirtualLoop) -> None:
    for number, turn in enumerate(run.turns):
        at_ms = run.begins_ms + number * BETWEEN_MS
        await asyncio.sleep((at_ms - starts_ms) / 1000 - loop.time())
        if not await _call(gate, clock, run.session, f"{run.session}-{number:05}", turn):
            return


async def _call(gate: Gate, clock: Clock, session: str, name: str, turn: Turn) -> bool:
    """One turn: whether it was admitted."""
    who = Attribution(
        person=PERSON, account_os=PERSON, machine="laptop", tool="claude-code", session=session,
        person_evidence=Evidence.SOCKET_OWNER,
    )  # fmt: skip
    asked = intent(model=weekend_loop.model(), text_bytes=turn.request_bytes, output_max=turn.output_max)
    asked = replace(asked, call_id=name, started_ms=clock.now_ms(), attribution=who)
    if not isinstance(await gate.hold(asked), Admitted):
        return False
    gate.sent(name)
    await asyncio.sleep(ANSWER_MS / 1000)
    reading = replace(
        used(input_tokens=turn.input_tokens, output_tokens=turn.output_tokens), model=weekend_loop.model()
    )
    gate.settle(name, reading, replace(end(), ended_ms=clock.now_ms()))
    return True


def replayed(ledger: Path, policy: Policy) -> Weekend:
    """The ledger's week under a policy."""
    found = Weekend()
    with Reader(ledger) as reader:
        replay = Replay(policy, 0)
        replay.outcome = found
        replay.run(reader.history(0))
    return found


def row(name: str, found: Weekend) -> tuple[str, ...]:
    """A line of the table."""
    return (
        name,
        short_dollars(found.loop_nanos),
        f"{_after(found.stopped[0])} ({_clock(found.stopped[0])})" if found.stopped else "never",
        found.stopped[1].rule if found.stopped else "",
        short_dollars(found.asked_on_nanos) if found.stopped else "",
        _heard(found.heard(pages=False)),
        _heard(found.heard(pages=True)),
        f"{found.working} refused",
    )


def _after(at_ms: int) -> str:
    hours, minutes = divmod((at_ms - LOOP_MS) // 60_000, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZONE):%a %H:%M}"


def _heard(heard: Sequence[tuple[Alert, Sequence[str]]]) -> str:
    if not heard:
        return "nobody"
    who = dict.fromkeys(name for _, told in heard for name in told)
    return f"{', '.join(who)}: {', '.join(f'{alert.rule} after {_after(alert.at_ms)}' for alert, _ in heard)}"


def table(files: Sequence[Path], folder: Path) -> list[str]:
    """The table in Markdown, by the ledger that is written into `folder`."""
    play(folder, load(NOTHING, KNOWN), weekend_loop.runs())
    rows = [_COLUMNS, *(row(file.stem, replayed(folder / "ledger.db", load(file, KNOWN))) for file in files)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(each, wide, strict=True)) + " |" for each in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in wide) + "|", *lines[1:]]


def main() -> int:
    """Print it."""
    parser = argparse.ArgumentParser(prog="scripts/weekend", description=__doc__)
    parser.add_argument("policies", nargs="*", type=Path, metavar="POLICY.yaml", help="default: those to start from")
    files = parser.parse_args().policies or TRIPWIRES
    with tempfile.TemporaryDirectory(prefix="spendgate-weekend-") as name:
        for line in table(files, Path(name)):
            print(line, flush=True)
        for file in files:
            if (policy := load(file, KNOWN)).notify:
                lines = weekend_told.story(file.stem, policy, Path(name, file.stem), play)
                print("\n".join(["", *lines]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
