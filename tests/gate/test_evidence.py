"""What a gate leaves in the audit trail: start, stop, mode, failures, dead gates, clocks, and what became of its ledger."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gate.test_failure import broken, written
from gate.world import PRICES, Time, budget, dollars, end, intent, policy, serve, used
from ledger.kit import keeper_of, open_ledger
from spendgate import __version__
from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable
from spendgate.gate import evidence
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.heads_file import HeadsFile
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.policy import Mode, OnFailure, Policy
from spendgate.providers.unfinished import estimate_usage
from spendgate.selector import EVERY
from spendgate.window import Window

DAY_MS = 86_400_000


class Machine:
    """A wall clock and a boot clock, each of the test's own."""

    def __init__(self) -> None:
        self.wall, self.boot_ms, self.name = Time(), 1_000_000, "boot"

    def clock(self) -> Clock:
        return Clock(self.wall.now_ms, lambda: self.boot_ms, lambda: self.name, lambda: 0.5)

    def dates(self, gate: Gate, count: int = 3) -> None:
        """Answers whose date is what the wall clock shows now."""
        for _ in range(count):
            gate.dated("api.anthropic.com", self.wall.wall_ms // 1000 * 1000)


@asynccontextmanager
async def gate(folder: Path, rules: Policy, machine: Machine | None = None) -> AsyncIterator[tuple[Gate, Ledger]]:
    """A started gate that looks at its ledger from outside."""
    ledger = open_ledger(folder)
    clock = (machine or Machine()).clock()
    keeper = keeper_of(folder, ledger, used_before=False)
    made = Gate(ledger, PRICES, rules, estimate=estimate_usage, clock=clock, looks=keeper, account="alice")
    await made.start()
    try:
        yield made, ledger
    finally:
        await made.stop()
        ledger.close()


def trail(folder: Path, *words: AuditWord, holds: bool = True) -> list[tuple[str, str, str]]:
    """The lines of these words, or all: word, who, detail."""
    with Reader(folder / "ledger.db") as reader:
        assert (list(reader.verify(None)) == []) is holds
        lines = [(line["what"], line["who"], line["detail"]) for line in reader.audit()]
    return [line for line in lines if not words or line[0] in words]


async def test_a_gates_life(tmp_path):
    """Start, mode and stop, by whom, and which gate; a second start in the same mode says nothing of it."""
    for number in (1, 2):
        async with gate(tmp_path, policy(budget(1.0))):
            pass
        lines = trail(tmp_path)
        assert lines[-1] == ("gate stopped", "alice", f"gate {number}")
    started = [
        ("gate started", "alice", f"gate {number}, process {os.getpid()}, Spendgate {__version__}") for number in (1, 2)
    ]
    mode, stop = ("mode changed", "", "enforce"), [("gate stopped", "alice", f"gate {number}") for number in (1, 2)]
    assert lines == [started[0], mode, stop[0], started[1], stop[1]]


async def test_each_change_of_the_mode(tmp_path):
    """By another policy under a running gate, and between two gates."""
    observed = policy(budget(1.0), mode=Mode(default="observe"))
    async with gate(tmp_path, policy(budget(1.0))) as (running, _):
        await running.set_policy(observed)
        await running.set_policy(policy(budget(2.0), mode=Mode(default="observe")))
    async with gate(tmp_path, policy(budget(1.0), mode=Mode(default="observe", enforce=(EVERY,)))):
        pass
    assert [detail for _, _, detail in trail(tmp_path, AuditWord.MODE_CHANGED)] == [
        "enforce",
        "observe",
        "observe, but enforce for calls that fit one of 1",
    ]


async def test_a_failure_is_told_when_it_is_over(tmp_path, monkeypatch):
    """From when to when, why, and what `on_failure` decided; one line, also where it lasted."""
    machine = Machine()
    async with gate(tmp_path, policy(budget(1.0), on_failure=OnFailure(limit_nanos=dollars(0.2))), machine) as (
        made,
        ledger,
    ):
        since = machine.wall.wall_ms
        with broken(ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            answers = [
                await made.hold(call) for call in (intent(), intent(), intent(text_bytes=900_000, output_max=64_000))
            ]
            allowed = sum(isinstance(answer, Admitted) for answer in answers)
            made._evidence.watch()
            assert trail(tmp_path, AuditWord.GATE_FAILED) == []
            for answer in answers:
                if isinstance(answer, Admitted):
                    made.settle(answer.call_id, used(input_tokens=10), end())
        await written(made)
        made._evidence.watch()
        made._evidence.watch()
        ((_, _, told),) = trail(tmp_path, AuditWord.GATE_FAILED)
        assert f": the disk is full; on_failure allowed {allowed} calls, refused {3 - allowed}" in told
        assert told.startswith(f"from {evidence._iso(since)[:19]}")
        assert 0 < allowed < 3


async def test_calls_of_a_dead_gate(tmp_path):
    """Which gate, and how many had left."""
    dead = open_ledger(tmp_path)
    machine = Machine()
    made = Gate(dead, PRICES, policy(budget(1.0)), estimate=estimate_usage, clock=machine.clock())
    calls = [intent(), intent(), intent()]
    for call in calls:
        assert isinstance(await made.hold(call), Admitted)
    for call in calls[:2]:
        made.sent(call.call_id)
    made.backlog.write_out()
    dead._gates._lock.drop()
    async with gate(tmp_path, policy(budget(1.0))):
        ((_, _, told),) = trail(tmp_path, AuditWord.GATE_DIED)
        assert told == "gate 1: 2 of its calls had left and are charged, 1 had not"
    dead._store.close()


async def test_a_stepped_clock(tmp_path):
    """With its sign; a step that the boot clock has made too is none."""
    machine = Machine()
    async with gate(tmp_path, policy(budget(1.0)), machine) as (made, _):
        machine.wall.wall_ms += 60_000
        machine.boot_ms += 60_000
        made._evidence.watch()
        machine.wall.wall_ms -= 3_600_000
        made._evidence.watch()
        (line,) = trail(tmp_path, AuditWord.CLOCK_STEPPED)
        assert line[2].startswith("-35999") or line[2].startswith("-3600")


@pytest.mark.parametrize("days", [31, -31])
async def test_a_clock_far_off_refills_no_budget(tmp_path, days, caplog):
    """A spent day stays spent; the trail says so, once, and when the clock is right again; a restart changes nothing."""
    machine, rules = Machine(), policy(budget(0.05, window=Window.parse("day")))
    async with gate(tmp_path, rules, machine) as (made, _):
        machine.dates(made)
        assert await serve(made, intent(), 0.06, seconds=0) == "admitted"
        assert await serve(made, intent(), 0.01) == "spent"
        machine.wall.wall_ms += days * DAY_MS
        answer = await made.hold(intent())
        assert isinstance(answer, Refused)
        assert answer.refuse.settled_nanos == dollars(0.06)
        for _ in range(2):
            made._evidence.watch()
    async with gate(tmp_path, rules, machine) as (made, _):
        assert await serve(made, intent(), 0.01) == "spent"
        machine.wall.wall_ms -= days * DAY_MS
        made._evidence.watch()
    off, again, right = (line[2] for line in trail(tmp_path, AuditWord.CLOCK_OFF, AuditWord.CLOCK_RIGHT))
    side = "ahead of" if days > 0 else "behind"
    assert off == again
    assert side in off and "the providers' dates; windows do not follow it" in off
    assert right == "windows follow the wall clock"
    assert sum("windows do not follow it" in record.getMessage() for record in caplog.records) == 2


async def test_a_start_under_a_clock_that_nobody_confirms_says_so(tmp_path):
    """Another boot, a month later by the wall clock alone; within one boot the providers' word goes on, and nothing is said."""
    machine, rules = Machine(), policy(budget(0.05))
    async with gate(tmp_path, rules, machine) as (made, _):
        machine.dates(made)
    machine.wall.wall_ms += 31 * DAY_MS
    machine.boot_ms += 31 * DAY_MS
    async with gate(tmp_path, rules, machine):
        pass
    machine.wall.wall_ms += 31 * DAY_MS
    machine.name = "another boot"
    async with gate(tmp_path, rules, machine):
        pass
    said = [detail.partition("; ")[2] for _, _, detail in trail(tmp_path, AuditWord.GATE_STARTED)]
    assert said == ["", "", "31 d after the last look, by a clock that no provider has confirmed yet"]


async def test_a_ledger_that_vanishes_is_told_at_once(tmp_path, caplog):
    """By the next look after it, not in a minute; and the gate that starts then tells of a new one, on stderr too."""
    rules = policy(budget(0.05))
    async with gate(tmp_path, rules) as (made, _):
        assert await serve(made, intent(), 0.06, seconds=0) == "admitted"
        made.backlog.write_out()
        for path in tmp_path.glob("ledger.db*"):
            path.unlink()
        await made._evidence.look_when_due()
        assert await serve(made, intent(), 0.01) == "spent"
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("ledger gone: ") and "spendgate audit ack" in line for line in said)
    async with gate(tmp_path, rules):
        pass
    assert [what for what, _, _ in trail(tmp_path, AuditWord.LEDGER_NEW)] == ["ledger new"]
    assert any(line.startswith("ledger new: ") for line in (record.getMessage() for record in caplog.records))


async def test_looks_are_made_each_minute(tmp_path):
    """By the boot clock; what has settled since is remembered then."""
    machine = Machine()
    async with gate(tmp_path, policy(budget(9.0)), machine) as (made, _):
        await serve(made, intent(), 0.06, seconds=0)
        made.backlog.write_out()
        file = HeadsFile(tmp_path, lambda *_: None)
        for passed, calls in ((59_999, 0), (60_000, 1)):
            machine.boot_ms = 1_000_000 + passed
            await made._evidence.look_when_due()
            seen = file.read()
            assert seen is not None
            assert seen.heads is not None
            assert seen.heads.calls.position == calls


async def test_a_gate_that_cannot_look_goes_on(tmp_path, caplog):
    """No place for the memory: calls are decided, and the log says why it was not written."""
    (tmp_path / "heads.json").mkdir()
    async with gate(tmp_path, policy(budget(1.0))) as (made, _):
        assert await serve(made, intent(), 0.01, seconds=0) == "admitted"
    assert any("could not be looked at from outside" in record.getMessage() for record in caplog.records)


async def test_lines_wait_for_a_ledger_that_is_busy(tmp_path):
    """Whoever tells the trail something never waits and never fails; it is written in its order."""
    async with gate(tmp_path, policy(budget(1.0))) as (made, _):
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            made.audit(AuditWord.GRANT, f"{number}", "cto")
        other.execute("ROLLBACK")
        other.close()
        await written(made)
        assert trail(tmp_path, AuditWord.GRANT) == [("grant", "cto", str(number)) for number in range(3)]


async def test_a_sum_that_was_changed_is_found(tmp_path, caplog):
    """A minute after the start and each hour: whoever sets a balance back has not had its room unseen. Told once."""
    machine, rules = Machine(), policy(budget(0.05))
    async with gate(tmp_path, rules, machine) as (made, _):
        assert await serve(made, intent(), 0.06, seconds=0) == "admitted"
        made.backlog.write_out()
        for passed, lines in ((59_999, 0), (60_000, 1), (120_000, 1), (3_700_000, 1)):
            if passed == 60_000:
                with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
                    conn.execute("UPDATE sums SET settled = 0")
            machine.boot_ms = 1_000_000 + passed
            await made._evidence.look_when_due()
            if made._evidence._recomputing is not None:
                await made._evidence._recomputing
            assert len(trail(tmp_path, AuditWord.BALANCE_ALTERED, holds=not lines)) == lines, passed
            await serve(made, intent(), 0.01, seconds=0)
            made.backlog.write_out()
        ((_, _, told),) = trail(tmp_path, AuditWord.BALANCE_ALTERED, holds=False)
        assert told.startswith("balance 1 (person alice life) differs from its calls by -$0.06 settled, $0.00 held,")
    assert any(record.getMessage().startswith("balance altered: ") for record in caplog.records)


async def test_a_gate_that_stops_waits_for_no_recomputing(tmp_path):
    """It asks to be stopped, and is, wherever it is."""
    asked = []

    def recompute(_clock, stopped):
        while not stopped():
            time.sleep(0.001)
        asked.append(True)
        return ()

    machine = Machine()
    async with gate(tmp_path, policy(budget(1.0)), machine) as (made, _):
        made._evidence._looks.recompute = recompute
        machine.boot_ms += 60_000
        await made._evidence.look_when_due()
        assert not asked
    assert asked
