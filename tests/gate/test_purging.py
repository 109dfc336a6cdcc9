"""When a running gate purges: once a day, by a time that providers have confirmed, with all gates on one policy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ledger.kit import DAY, NOW, admit, open_ledger, row, scope, settled
from spendgate.config.policy_file import parse_policy
from spendgate.errors import LedgerBusy
from spendgate.gate import purging
from spendgate.gate.clock import Clock
from spendgate.gate.provider_time import ProviderTime
from spendgate.gate.purging import Purging
from spendgate.ledger.purge_lock import locked
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.policy import Policy


def keeping(days: int | None) -> Policy:
    """A policy that keeps rows for so long."""
    return parse_policy(
        f"version: 1\nowner: o@acme.example\n{f'privacy: {{keep: {days} days}}' if days else ''}\n".encode()
    )


class World:
    """A ledger with a call a day for fifty days, and one gate's purging with a clock that is set by hand."""

    def __init__(self, folder: Path, *, days: int = 50) -> None:
        self.path, self.gates = folder / "ledger.db", folder / "gates"
        ledger = open_ledger(folder)
        for number in range(days):
            when = NOW - (days - 1 - number) * DAY
            drawn = scope(starts_ms=when, ends_ms=when + DAY, window=f"w{number}")
            ledger.hold(row(f"c{number}"), (drawn,), admit(5), when)
            ledger.settle(f"c{number}", settled(5, drawn, ended_ms=when + 1))
        ledger.close()
        self.now_ms: int | None = NOW
        self.agreed = True
        self.purging = Purging(self.path, self.gates, keeping(30), lambda: self.now_ms, lambda: self.agreed)

    def rows(self) -> int:
        """How many calls have their rows."""
        with Reader(self.path) as reader:
            assert reader.check() == ()
            return len(reader.calls(Span()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Fifty days."""
    return World(tmp_path)


def test_all_that_is_due_goes_once_a_day(world: World) -> None:
    """At the first look all of it; then nothing until the next day."""
    assert (world.purging.look(), world.rows()) == (19, 31)
    assert world.purging.look() == 0
    assert world.now_ms is not None
    world.now_ms += DAY
    assert (world.purging.look(), world.rows()) == (1, 30)


def test_nothing_goes_by_a_clock_that_nobody_confirmed(world: World) -> None:
    """Set ahead by years or right: until a provider has said so, nothing is old."""
    world.now_ms = None
    assert (world.purging.look(), world.rows()) == (0, 50)


def test_it_waits_until_all_gates_have_one_policy(world: World) -> None:
    """Another's windows may be longer."""
    world.agreed = False
    assert (world.purging.look(), world.rows()) == (0, 50)
    world.agreed = True
    assert world.purging.look() == 19


def test_it_follows_the_policy_in_force(world: World) -> None:
    """One without `keep` keeps; one that keeps less lets more go at once."""
    world.purging.follow(keeping(None))
    assert world.purging.look() == 0
    world.purging.follow(keeping(10))
    assert (world.purging.look(), world.rows()) == (39, 11)


def test_another_purger_is_left_alone(world: World) -> None:
    """Its lock is asked for at each transaction; the next look goes on."""
    with locked(world.gates), pytest.raises(LedgerBusy, match="another process is purging"):
        world.purging.look()
    assert world.purging.look() == 19


def test_the_thread_purges_and_ends_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins by itself a little after the start; a stop waits for one transaction, not for the rest."""
    monkeypatch.setattr(purging, "FIRST_S", 0.01)
    world.purging.start()
    until = time.monotonic() + 30
    while world.rows() > 31 and time.monotonic() < until:
        time.sleep(0.02)
    world.purging.stop()
    assert world.rows() == 31
    never = Purging(world.path, world.gates, keeping(1), lambda: NOW, lambda: True)
    never.stop()  # was not started


def test_a_gate_that_stops_leaves_the_rest_for_the_next(world: World) -> None:
    """Not more than the transaction that runs."""
    world.purging.stop()
    assert world.purging.look() > 0
    assert world.rows() > 31, "one day a transaction"
    later = Purging(world.path, world.gates, keeping(30), lambda: NOW, lambda: True)
    later.look()
    assert world.rows() == 31


def test_an_idle_gate_keeps_the_promise_over_boots_and_sleep(world: World) -> None:
    """No call for a week: the machine sleeps over midnight and over days, is off, starts with a wall clock years ahead; each
    day's rows go once that day is over by the clock that nobody sets."""
    boot = Boot(0, "one")
    time = ProviderTime(boot.clock())
    for _ in range(3):
        time.dated("api.anthropic.com", NOW)
    world.purging = Purging(world.path, world.gates, keeping(30), time.sure_ms, lambda: True)
    assert (world.purging.look(), world.rows()) == (19, 31)
    boot.passed_ms += DAY + DAY // 2  # asleep, over a midnight
    assert world.purging.look() == 1
    boot.passed_ms += 5 * DAY  # the lid was shut for a week's work
    assert world.purging.look() == 5
    seen = time.seen()
    boot = Boot(600_000, "two", wall_ms=NOW + 4_000 * DAY)
    time = ProviderTime(boot.clock())
    time.go_on(seen)
    world.purging = Purging(world.path, world.gates, keeping(30), time.sure_ms, lambda: True)
    assert (world.purging.look(), world.rows()) == (0, 25)
    boot.passed_ms += 2 * DAY
    assert (world.purging.look(), world.rows()) == (2, 23)


class Boot:
    """What one boot's clocks say."""

    def __init__(self, passed_ms: int, name: str, wall_ms: int = NOW) -> None:
        self.passed_ms, self.name, self.wall_ms = passed_ms, name, wall_ms

    def clock(self) -> Clock:
        """As a gate reads them."""
        return Clock(lambda: self.wall_ms, lambda: self.passed_ms, lambda: self.name, lambda: 0.5)


def test_the_timer_rests_until_there_is_something_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once all of a day is done it looks each minute, another `keep` too; while nobody has said what day it is, in seconds."""
    waits: list[float] = []
    world.now_ms = None

    class Ends:
        def wait(self, wait_s: float) -> bool:
            if wait_s in (purging.FIRST_S, purging.LOOKS_EVERY_S, purging.RESTS_S):
                waits.append(wait_s)
                world.now_ms = NOW if len(waits) > 1 else None
                if len(waits) == 4:
                    world.purging.follow(keeping(10))
            return len(waits) > 4

    monkeypatch.setattr(world.purging, "_stopping", Ends())
    world.purging._run()
    assert waits == [purging.FIRST_S, purging.LOOKS_EVERY_S, *[purging.RESTS_S] * 3]
    assert world.rows() == 11
