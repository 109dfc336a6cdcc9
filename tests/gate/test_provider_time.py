"""Windows follow the providers where the wall clock is far off, else the wall clock; one host alone never overrules others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.gate.clock import Clock
from spendgate.gate.provider_time import FAR_MS, ProviderTime
from spendgate.ledger.heads_file import SeenClock

TRUE_MS = 1_790_000_000_000
DAY_MS = 86_400_000
HOST = "api.anthropic.com"


@dataclass
class Machine:
    """A machine whose wall clock can be set; its boot clock cannot."""

    passed_ms: int = 50_000
    set_by_ms: int = 0
    name: str = "boot-1"

    @property
    def true_ms(self) -> int:
        return TRUE_MS + self.passed_ms

    def clock(self) -> Clock:
        return Clock(lambda: self.true_ms + self.set_by_ms, lambda: self.passed_ms, lambda: self.name, lambda: 0.5)

    def time(self) -> ProviderTime:
        return ProviderTime(self.clock())

    def answers(self, time: ProviderTime, count: int = 3, host: str = HOST, off_ms: int = 0) -> None:
        for _ in range(count):
            self.passed_ms += 1_700
            time.dated(host, (self.true_ms + off_ms) // 1000 * 1000)


@pytest.mark.parametrize("set_by_ms", [31 * DAY_MS, -31 * DAY_MS, FAR_MS + 2_000, -FAR_MS - 2_000])
def test_a_clock_that_is_set_under_a_gate_moves_nothing(set_by_ms: int) -> None:
    """Three answers have come before: not one look sees the other time, and how far off it is can be told."""
    machine = Machine()
    time = machine.time()
    machine.answers(time)
    machine.set_by_ms = set_by_ms
    assert abs(time.now_ms() - machine.true_ms) < 1_500
    off = time.off_ms()
    assert off is not None
    assert abs(off - set_by_ms) < 1_500
    machine.set_by_ms = 0
    assert (time.now_ms(), time.off_ms()) == (machine.true_ms, None)


@pytest.mark.parametrize("set_by_ms", [0, FAR_MS - 2_000, 2_000 - FAR_MS])
def test_a_clock_that_is_near_is_followed_to_the_millisecond(set_by_ms: int) -> None:
    """Dates have whole seconds; windows go by the wall clock as long as it is sane."""
    machine = Machine(set_by_ms=set_by_ms)
    time = machine.time()
    machine.answers(time)
    assert time.now_ms() == machine.true_ms + set_by_ms


def test_a_clock_that_was_wrong_at_the_start_is_left_at_the_third_answer() -> None:
    """Two are not believed: a machine may have been off for a month."""
    machine = Machine(set_by_ms=31 * DAY_MS)
    time = machine.time()
    machine.answers(time, 2)
    assert time.now_ms() == machine.true_ms + 31 * DAY_MS
    machine.answers(time, 1)
    assert abs(time.now_ms() - machine.true_ms) < 1_500


def test_one_host_that_contradicts_others_is_not_followed() -> None:
    """Nor are they, then: the wall clock holds until they agree."""
    machine = Machine()
    time = machine.time()
    machine.answers(time)
    machine.answers(time, host="gateway.acme.example", off_ms=40 * DAY_MS)
    assert time.now_ms() == machine.true_ms
    assert not time.witnessed


def test_answers_that_do_not_agree_are_no_word() -> None:
    """A host whose dates jump says nothing."""
    machine = Machine(set_by_ms=31 * DAY_MS)
    time = machine.time()
    for off in (0, DAY_MS, 0, DAY_MS, 0):
        machine.answers(time, 1, off_ms=off)
    assert time.now_ms() == machine.true_ms + 31 * DAY_MS


def test_a_gate_of_the_same_boot_goes_on() -> None:
    """The clock is set between two gates: the second knows at once, before any answer."""
    machine = Machine()
    before = machine.time()
    machine.answers(before)
    seen = before.seen()
    machine.passed_ms += 3_600_000
    machine.set_by_ms = 31 * DAY_MS
    time = machine.time()
    time.go_on(seen)
    assert abs(time.now_ms() - machine.true_ms) < 1_500


@pytest.mark.parametrize("boot", ["boot-2", ""])
def test_after_another_boot_the_last_look_is_a_floor(boot: str) -> None:
    """A boot clock of another boot, or of an unknown one, says nothing; but windows do not go back behind what was seen."""
    machine = Machine()
    before = machine.time()
    machine.answers(before)
    seen = before.seen()
    machine.name, machine.set_by_ms = boot, -31 * DAY_MS
    time = machine.time()
    time.go_on(SeenClock(seen.at_ms, "" if not boot else seen.boot, seen.ahead_ms))
    assert seen.at_ms <= time.now_ms() <= machine.true_ms
    assert time.off_ms() == machine.true_ms - 31 * DAY_MS - time.now_ms()
    machine.passed_ms += 10_000
    assert time.now_ms() == seen.at_ms + 10_000
    machine.set_by_ms = 9 * DAY_MS
    assert time.now_ms() == machine.true_ms + 9 * DAY_MS


def test_a_floor_from_a_wrong_future_falls_when_the_providers_speak() -> None:
    """A gate had once believed a clock that was ahead: three answers set it right."""
    machine = Machine()
    time = machine.time()
    time.go_on(SeenClock(machine.true_ms + 90 * DAY_MS, "boot-0"))
    assert time.now_ms() == machine.true_ms + 90 * DAY_MS
    machine.answers(time)
    assert time.now_ms() == machine.true_ms


def test_gates_that_live_for_one_answer_each_come_to_a_word_together() -> None:
    """`exec` of one call, again and again, under a clock that is a month ahead: from the fourth on it is not believed."""
    machine, seen = Machine(set_by_ms=31 * DAY_MS), None
    found = []
    for _ in range(4):
        time = machine.time()
        time.go_on(seen)
        found.append(time.off_ms() is not None)
        machine.answers(time, 1)
        seen = time.seen().after(seen)
    assert found == [False, False, False, True]


def test_a_gate_without_a_word_takes_over_anothers_and_keeps_it() -> None:
    """An idle gate must not make the file forget what a busy one was told."""
    machine = Machine()
    busy, idle = machine.time(), machine.time()
    machine.answers(busy)
    kept = idle.seen().after(busy.seen())
    assert kept.ahead_ms == busy.seen().ahead_ms
    idle.believe(kept)
    machine.set_by_ms = 31 * DAY_MS
    assert abs(idle.now_ms() - machine.true_ms) < 1_500


def test_nothing_is_taken_over_from_another_boot() -> None:
    """Nor kept for it: its clock is another one."""
    machine = Machine()
    time = machine.time()
    machine.answers(time)
    seen = time.seen()
    machine.name = "boot-2"
    later = machine.time()
    later.believe(seen)
    assert not later.witnessed
    assert later.seen().after(seen).ahead_ms is None
    assert later.seen().after(seen).samples == ()


steps = st.lists(
    st.tuples(st.sampled_from(["pass", "set", "answer"]), st.integers(-(10**11), 10**11)), min_size=1, max_size=60
)


@given(steps)
def test_whatever_is_done_to_a_witnessed_clock_time_stays_true(steps: list[tuple[str, int]]) -> None:
    """Within five minutes, however the wall clock is set; and it is the wall clock wherever that is right."""
    machine = Machine()
    time = machine.time()
    machine.answers(time)
    for what, amount in steps:
        if what == "pass":
            machine.passed_ms += abs(amount) % (30 * DAY_MS)
        elif what == "set":
            machine.set_by_ms = amount
        else:
            machine.answers(time, 1)
        assert abs(time.now_ms() - machine.true_ms) <= FAR_MS + 1_500
        if abs(machine.set_by_ms) <= FAR_MS - 1_500:
            assert time.now_ms() == machine.true_ms + machine.set_by_ms


def test_what_time_it_surely_is_goes_on_without_traffic_over_any_number_of_boots() -> None:
    """Late by the hours in which the machine was off, never early: whatever its wall clock says, and asleep or awake."""
    machine = Machine()
    time = machine.time()
    assert time.sure_ms() is None
    machine.answers(time)
    started_ms, off_ms, was_on_ms = machine.true_ms, 0, 0
    seen = time.seen()
    for day in range(1, 41):  # each day eight hours on, in which nobody calls anybody, and sixteen off
        off_ms += 16 * 3_600_000
        machine = Machine(passed_ms=0, set_by_ms=400 * DAY_MS, name=f"later-{day}")
        time = machine.time()
        time.go_on(seen)
        machine.passed_ms, was_on_ms = 8 * 3_600_000, was_on_ms + 8 * 3_600_000
        assert not time.witnessed
        sure_ms = time.sure_ms()
        assert sure_ms is not None
        assert abs(sure_ms - (started_ms + was_on_ms)) < 1_500
        seen = time.seen().after(seen)
    assert sure_ms < started_ms + was_on_ms + off_ms


def test_a_memory_from_before_sure_time_counts_where_the_providers_had_spoken() -> None:
    """One of a clock that nobody had confirmed does not."""
    machine = Machine()
    for seen, sure_ms in (
        (SeenClock(TRUE_MS, "boot-0", 5), TRUE_MS),
        (SeenClock(TRUE_MS, "boot-0"), None),
        (SeenClock(TRUE_MS + DAY_MS, "boot-0", sure_ms=TRUE_MS), TRUE_MS),
    ):
        time = machine.time()
        time.go_on(seen)
        assert time.sure_ms() == sure_ms


def test_the_later_of_two_gates_memories_is_kept() -> None:
    """A gate that knows less forgets nothing of what another has written."""
    before = SeenClock(TRUE_MS, "boot-0", 5, sure_ms=TRUE_MS)
    for now in (SeenClock(TRUE_MS, "boot-1"), SeenClock(TRUE_MS, "boot-1", 7, sure_ms=TRUE_MS - 9)):
        assert now.after(before).sure_ms == TRUE_MS
    assert SeenClock(TRUE_MS, "boot-1").after(None).sure_ms is None
