"""Rates in the running gate: never more than the limit in any stretch, never more at once, refusals that say the true wait."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from gate.world import Time, budget, costing, end, house, intent, policy, used
from spendgate.admission import RefusalKind
from spendgate.gate.clock import Clock
from spendgate.gate.interface import Admitted, Gone, Refused
from spendgate.ledger.check import check
from spendgate.policy import Mode, Policy
from spendgate.providers.reading import Reading
from spendgate.rates import Quota, Rate
from spendgate.standing import Hold

MINUTE = 60_000


def rate(name: str = "loop", **words: object) -> Rate:
    """A rate per person unless told otherwise."""
    return Rate(**{"name": name, "per": ("person",), "wait_ms": 60_000, "order": 0, **words})  # type: ignore[arg-type]


def rated(*rates: Rate, **words: object) -> Policy:
    """A policy of these rates, beside one ample budget."""
    ordered = tuple(each.model_copy(update={"order": order}) for order, each in enumerate(rates))
    return policy(budget(1_000_000, hold=Hold.CEILING), rates=ordered, **words)


class Boot:
    """A boot clock that stands still until a test steps it."""

    def __init__(self, at_ms: int = 5_000_000) -> None:
        self.at_ms, self.name = at_ms, "boot-1"

    def clock(self, time: Time) -> Clock:
        """The gate's clock."""
        return Clock(now_ms=time.now_ms, boot_ms=lambda: self.at_ms, boot=lambda: self.name)


async def test_500_at_once_are_never_more_than_the_limit(tmp_path):
    """Of 500 concurrent calls exactly as many leave as the rate allows; all others are refused at once, with the true wait."""
    boot = Boot()
    async with house(tmp_path, rated(rate(requests=Quota(most=100, length_ms=MINUTE))), boot=boot) as place:
        answers = await asyncio.gather(*(place.gate.hold(intent()) for _ in range(500)))
        refused = [each for each in answers if isinstance(each, Refused)]

        assert sum(isinstance(each, Admitted) for each in answers) == 100
        assert {(each.refuse.kind, each.refuse.rule) for each in refused} == {(RefusalKind.RULE, "loop")}
        assert {each.refuse.retry_after_ms for each in refused} == {MINUTE}
        assert "100 of 100 requests per minute are used" in refused[0].message
        assert "Try again in 60 seconds." in refused[0].message
        boot.at_ms += MINUTE - 1
        late = await place.gate.hold(intent())
        assert isinstance(late, Refused)
        assert late.refuse.retry_after_ms == 1
        boot.at_ms += 1
        assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_no_minute_has_more_than_the_limit(tmp_path):
    """Wave after wave of 500 calls over two gates on one ledger: no minute, wherever it begins, has more than 100 admitted ones,
    and none is refused that would fit."""
    boot, rules, admitted = Boot(), rated(rate(requests=Quota(most=100, length_ms=MINUTE))), []
    async with house(tmp_path, rules, boot=boot) as one, house(tmp_path, rules, boot=boot) as two:
        for wave in range(8):
            boot.at_ms += 17_321
            wanted = 500 if wave % 3 == 0 else 30
            answers = await asyncio.gather(*((one, two)[n % 2].gate.hold(intent()) for n in range(wanted)))
            went = sum(isinstance(each, Admitted) for each in answers)
            counted = sum(at > boot.at_ms - MINUTE for at in admitted)
            assert went == min(wanted, 100 - counted)
            admitted += [boot.at_ms] * went
    for since in admitted:
        assert sum(since <= at < since + MINUTE for at in admitted) <= 100


async def test_parallel_8_is_never_9(tmp_path):
    """500 calls at once wait in line for eight places: all are served in their order, at every moment at most eight run."""
    running, most, begun = 0, 0, []
    calls = [intent() for _ in range(500)]
    async with house(tmp_path, rated(rate(parallel=8, wait_ms=600_000))) as place:

        async def serve(call):
            nonlocal running, most
            assert isinstance(await place.gate.hold(call), Admitted)
            begun.append(call.call_id)
            running += 1
            most = max(most, running)
            place.gate.sent(call.call_id)
            await asyncio.sleep(0.001)
            running -= 1
            place.gate.settle(call.call_id, costing(0.001), end())

        await asyncio.gather(*(serve(call) for call in calls))

        assert most == 8
        assert begun == [call.call_id for call in calls]
        assert place.rows.states() == {"settled": 500}


async def test_parallel_refuses_after_its_wait(tmp_path):
    """Who has waited long enough is refused, in words that say why, and may try again; the others go on."""
    async with house(tmp_path, rated(rate(parallel=1, wait_ms=50))) as place:
        first = intent()
        await place.gate.hold(first)
        answer = await place.gate.hold(intent())

        assert isinstance(answer, Refused)
        assert answer.refuse.passes
        assert answer.refuse.retry_after_ms >= 1_000
        assert "rate loop (alice): on this machine 1 of 1 calls at once are running" in answer.message
        assert "Try again in a moment." in answer.message
        (row,) = place.rows.calls("state = 'refused'")
        assert (row["refused_why"], row["refused_by"]) == ("rule", "loop")
        assert row["waited_ms"] >= 50
        assert isinstance(await place.gate.hold(intent("bob")), Admitted)
        place.gate.settle(first.call_id, costing(0.001), end())
        assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_parallel_that_is_added_counts_what_runs(tmp_path):
    """A running rate that gets `parallel` counts the calls in flight: their number is none of its words."""
    quota = Quota(most=100, length_ms=MINUTE)
    async with house(tmp_path, rated(rate(requests=quota))) as place:
        running = [intent() for _ in range(3)]
        assert [isinstance(await place.gate.hold(each), Admitted) for each in running] == [True] * 3
        await place.gate.set_policy(rated(rate(requests=quota, parallel=3, wait_ms=0)))
        refused = await place.gate.hold(intent())
        assert isinstance(refused, Refused)
        assert refused.refuse.rule == "loop"
        place.gate.settle(running[0].call_id, costing(0.1), end())
        assert isinstance(await place.gate.hold(intent()), Admitted)
        with contextlib.closing(sqlite3.connect(place.rows.path, isolation_level=None)) as conn:
            assert check(conn) == ()


async def test_a_client_that_hangs_up_while_it_waits_takes_no_place(tmp_path):
    """Its row says that it left; nobody waits behind it, and it counts in no rate."""
    rules = rated(rate(parallel=1), rate("often", requests=Quota(most=2, length_ms=MINUTE)))
    async with house(tmp_path, rules) as place:
        first, gone = intent(), []
        await place.gate.hold(first)
        waiting = asyncio.create_task(place.gate.hold(intent(gone=lambda: bool(gone))))
        behind = asyncio.create_task(place.gate.hold(intent()))
        await asyncio.sleep(0.02)
        gone.append(True)
        assert isinstance(await waiting, Gone)
        place.gate.settle(first.call_id, costing(0.001), end())

        assert isinstance(await behind, Admitted)
        assert place.rows.states() == {"settled": 1, "failed": 1, "open": 1}


async def test_tokens_are_corrected_when_a_call_ends(tmp_path):
    """What a call is expected to use counts until it ends, then what it used; cache reads only where the rate says so."""
    boot = Boot()
    plain = rate("plain", tokens=Quota(most=20_000, length_ms=MINUTE))
    all_of_it = rate("all", tokens=Quota(most=1_000_000, length_ms=MINUTE), cache_reads=True)
    async with house(tmp_path, rated(plain, all_of_it), boot=boot) as place:
        # Cold: a token for four bytes, and the output that it may have.
        first = intent(text_bytes=40_000, output_max=5_000)
        assert isinstance(await place.gate.hold(first), Admitted)
        second = await place.gate.hold(intent(text_bytes=40_000, output_max=5_000))
        assert isinstance(second, Refused)
        assert "14,096 of 20,000 tokens per minute are used" in second.refuse.reason

        place.gate.sent(first.call_id)
        counts = {
            "input_tokens": 3_000,
            "cache_read_tokens": 990_000,
            "cache_write_5m_tokens": 500,
            "output_tokens": 500,
        }
        place.gate.settle(first.call_id, used(**counts), end())
        # Learned: the next one of this size is expected to use the same, 4,000 and 990,000 of cache reads.
        third = await place.gate.hold(intent(text_bytes=40_000, output_max=5_000))
        assert isinstance(third, Refused)
        assert third.refuse.rule == "all"
        assert "994,000 of 1,000,000 tokens per minute are used" in third.refuse.reason


async def test_a_call_that_never_left_is_taken_back(tmp_path):
    """Neither it nor a refused one counts: who retries too soon is not locked out for it."""
    boot = Boot()
    async with house(tmp_path, rated(rate(requests=Quota(most=2, length_ms=MINUTE))), boot=boot) as place:
        for _ in range(5):
            call = intent()
            assert isinstance(await place.gate.hold(call), Admitted)
            place.gate.settle(call.call_id, Reading(), end(sent=False, complete=False))
        assert isinstance(await place.gate.hold(intent()), Admitted)
        boot.at_ms += 1_000
        assert isinstance(await place.gate.hold(intent()), Admitted)
        for _ in range(20):
            boot.at_ms += 2_900
            answer = await place.gate.hold(intent())
            assert isinstance(answer, Refused)
        boot.at_ms += 1_000
        assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_a_wall_step_frees_nothing(tmp_path):
    """Only the boot clock moves a rate, however far the wall clock is stepped."""
    boot = Boot()
    async with house(tmp_path, rated(rate(requests=Quota(most=1, length_ms=MINUTE))), boot=boot) as place:
        await place.gate.hold(intent())
        for step in (7 * 86_400_000, -9 * 86_400_000):
            place.time.wall_ms += step
            answer = await place.gate.hold(intent())
            assert isinstance(answer, Refused)
            assert answer.refuse.retry_after_ms == MINUTE


async def test_observe_lets_through_and_says_so(tmp_path):
    """Under `observe` a rate neither refuses nor makes wait; the row says which rule would have."""
    boot = Boot()
    rules = rated(
        rate("often", requests=Quota(most=1, length_ms=MINUTE)), rate("many", parallel=1), mode=Mode(default="observe")
    )
    async with house(tmp_path, rules, boot=boot) as place:
        for _ in range(3):
            assert isinstance(await place.gate.hold(intent()), Admitted)
        assert [row["would_refuse_by"] for row in place.rows.calls()] == [None, "often", "often"]


async def test_subscription_traffic_counts_and_personal_does_not(tmp_path):
    """A loop is a loop whoever pays; a person's own account is nobody's business."""
    async with house(tmp_path, rated(rate(requests=Quota(most=1, length_ms=MINUTE)))) as place:
        assert isinstance(await place.gate.hold(intent(billing="subscription")), Admitted)
        assert isinstance(await place.gate.hold(intent(billing="subscription")), Refused)
        for _ in range(3):
            assert isinstance(await place.gate.hold(intent(billing="personal")), Admitted)


async def test_the_rule_that_lasts_longest_is_named(tmp_path):
    """A spent budget that resets after the rate has room again is named, and the rate counted; else the rate."""
    boot = Boot()
    short = rate("short", requests=Quota(most=1, length_ms=1_000))
    long = rate("long", requests=Quota(most=1, length_ms=MINUTE))
    async with house(tmp_path, rated(short, long, rate("many", parallel=1)), boot=boot) as place:
        await place.gate.hold(intent())
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.others) == ("long", 1)
        spent = policy(budget(0.0), rates=(long,))
        await place.gate.set_policy(spent)
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.others, answer.refuse.passes) == ("person", 1, False)


async def test_another_policy_keeps_what_a_rate_has_counted(tmp_path):
    """Another number is the same rate, with other words it is another one, which begins at nothing."""
    boot, two = Boot(), Quota(most=2, length_ms=MINUTE)
    async with house(tmp_path, rated(rate(requests=two, parallel=5)), boot=boot) as place:
        for _ in range(2):
            assert isinstance(await place.gate.hold(intent()), Admitted)
        await place.gate.set_policy(rated(rate(requests=Quota(most=3, length_ms=MINUTE), parallel=9)))
        assert isinstance(await place.gate.hold(intent()), Admitted)
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert "3 of 3" in answer.message
        await place.gate.set_policy(rated(rate(requests=Quota(most=2, length_ms=1_000), parallel=9)))
        assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_a_restarted_gate_goes_on(tmp_path):
    """What was admitted before the restart counts on."""
    boot, rules = Boot(), rated(rate(requests=Quota(most=1, length_ms=MINUTE)))
    async with house(tmp_path, rules, boot=boot) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.001), end())
    boot.at_ms += 20_000
    async with house(tmp_path, rules, boot=boot) as place:
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert answer.refuse.retry_after_ms == 40_000


async def test_a_call_without_a_value_is_refused_where_the_rate_says_so(tmp_path):
    """`missing: refuse` of a rate is a rule, and final."""
    rules = rated(rate(per=("project",), parallel=1, missing="refuse"))
    async with house(tmp_path, rules) as place:
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.passes) == ("loop", False)
        assert "this call has no project" in answer.message


_GATE = """
import asyncio, json, sys, time
from pathlib import Path
from gate.test_rates import rate, rated
from spendgate.gate.interface import Admitted
from gate.world import costing, end, house, intent
from spendgate.rates import Quota

async def main(folder, name, many, what, seconds):
    rules = rated(rate(requests=Quota(most=50, length_ms=3_600_000)) if what == "requests" else rate(parallel=8, wait_ms=600_000))
    async with house(Path(folder), rules) as place:
        async def serve(call):
            answer = await place.gate.hold(call)
            if not isinstance(answer, Admitted):
                return "refused"
            place.gate.sent(call.call_id)
            print(call.call_id, flush=True)
            since = time.monotonic_ns()
            await asyncio.sleep(float(seconds))
            until = time.monotonic_ns()
            place.gate.settle(call.call_id, costing(0.001), end())
            return [since, until]
        said = await asyncio.gather(*(serve(intent(prefix=name)) for _ in range(int(many))))
        print(json.dumps(said), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
_ROOT = Path(__file__).parents[2]


def _gate(folder: Path, name: str, many: int, what: str, *, seconds: float = 0.005) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": f"{_ROOT / 'addon'}:{_ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(
        [sys.executable, "-c", _GATE, str(folder), name, str(many), what, str(seconds)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _said(gates: list[subprocess.Popen[str]]) -> list[str | list[int]]:
    """Of each call `refused`, or from when to when it was under way."""
    return [word for gate in gates for word in json.loads(gate.communicate(timeout=240)[0].splitlines()[-1])]


def test_two_gates_admit_together_what_one_would(tmp_path):
    """500 calls over two processes on one ledger: as many leave as the rate allows, none more."""
    said = _said([_gate(tmp_path, name, 250, "requests") for name in ("one", "two")])
    assert said.count("refused") == 450


def test_two_gates_have_together_eight_at_once(tmp_path):
    """Of the calls of both processes at no instant more than eight are under way, and all are served."""
    said = _said([_gate(tmp_path, name, 100, "parallel") for name in ("one", "two")])
    assert "refused" not in said
    moments = sorted([(since, 1) for since, _ in said] + [(until, -1) for _, until in said])
    running = list(itertools.accumulate(step for _, step in moments))
    assert max(running) <= 8


async def test_a_dead_gates_places_come_free_for_who_waits(tmp_path):
    """A call that waits for a place need not wait for the minute's round: a gate that dies meanwhile is found."""
    gate = _gate(tmp_path, "killed", 20, "parallel", seconds=600)
    try:
        for _ in range(8):
            assert (await asyncio.to_thread(gate.stdout.readline)).startswith("killed")
        async with house(tmp_path, rated(rate(parallel=8, wait_ms=40_000))) as place:
            waiting = asyncio.create_task(place.gate.hold(intent()))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            gate.kill()
            assert isinstance(await waiting, Admitted)
    finally:
        gate.kill()
        gate.communicate()


def test_a_killed_gate_gives_its_places_back(tmp_path):
    """`kill -9` while eight are under way and others wait: another gate ends them and serves its own."""
    gate = _gate(tmp_path, "killed", 40, "parallel")
    assert gate.stdout is not None
    for _ in range(3):
        assert gate.stdout.readline().startswith("killed")
    gate.kill()
    gate.communicate()
    assert "refused" not in _said([_gate(tmp_path, "next", 40, "parallel")])
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert check(conn) == ()
        assert conn.execute("SELECT count(*) FROM call_rows WHERE state = 'open'").fetchone() == (0,)
        assert conn.execute("SELECT sum(open_calls) FROM balances WHERE budget = 'loop'").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM waiters").fetchone() == (0,)
