"""What a gate does beside calls: a new budget finds what was spent, a new gate what calls of its kind need."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter

import pytest

from gate.world import budget, costing, dollars, end, house, intent, policy, serve
from spendgate.gate.interface import Refused
from spendgate.ledger.orphans import Resolved
from spendgate.pricing import PriceBook


async def test_a_new_budget_counts_what_its_window_holds(tmp_path):
    """A policy that brings a new budget finds in it what was spent before it took force."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(2), end())
        await place.gate.set_policy(policy(budget(10.0), budget(1.0, "tool", per=("tool",))))
        answer = await place.gate.hold(intent())

        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.settled_nanos) == ("tool", dollars(2))


@pytest.mark.parametrize(("ended", "says"), [(1, "ended 1 call of"), (2, "ended 2 calls of")])
async def test_calls_of_a_dead_gate_are_told_with_where_to_look(tmp_path, monkeypatch, caplog, ended, says):
    """One is one call."""
    async with house(tmp_path, policy(budget(1.0)), start=False) as place:
        monkeypatch.setattr(place.ledger, "resolve_orphans", lambda _now: Resolved(1, 0, ended))
        place.gate._upkeep._resolve()
    assert f"{says} a gate that died: `spendgate calls` lists them" in caplog.text


async def test_a_second_gate_learns_from_the_first(tmp_path):
    """A gate that starts on a ledger with settled calls knows their sizes."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        for _ in range(3):
            await serve(place.gate, intent(), 0.05, seconds=0)
    async with house(tmp_path, policy(budget(100.0))) as place:
        call = intent()
        await place.gate.hold(call)

        assert place.rows.calls(f"id = '{call.call_id}'")[0]["estimate_nanos"] == dollars(0.05)


@pytest.mark.parametrize(
    ("warm_ups", "restarts"),
    [
        pytest.param(0, 0, id="cold"),
        pytest.param(40, 0, id="warm-ups"),
        pytest.param(40, 1, id="warm-ups and a restart"),
    ],
)
async def test_calls_that_used_nothing_do_not_teach_that_calls_cost_nothing(tmp_path, warm_ups, restarts):
    """Thirty calls of $0.15 at once against $1: six are admitted, cold and after warm-ups answered with zeros."""
    rules = policy(budget(1.0, wait_ms=60_000))
    for _ in range(restarts):
        async with house(tmp_path, rules) as place:
            await warm_up(place.gate, warm_ups)
    async with house(tmp_path, rules) as place:
        await warm_up(place.gate, 0 if restarts else warm_ups)
        said = Counter(await asyncio.gather(*(serve(place.gate, intent(text_bytes=30_000), 0.15) for _ in range(30))))

        assert said == {"admitted": 6, "spent": 24}
        assert place.rows.spent() == dollars(0.9)


async def warm_up(gate, times):
    """Calls that are counted, with all counts zero."""
    for _ in range(times):
        assert await serve(gate, intent(), 0, seconds=0) == "admitted"


async def test_what_a_subscription_used_is_learned(tmp_path):
    """Its calls cost no budget, and their value says what calls of their kind need, also after a restart."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        for _ in range(3):
            await serve(place.gate, intent(billing="subscription"), 0.05, seconds=0)
    async with house(tmp_path, policy(budget(100.0))) as place:
        call = intent()
        await place.gate.hold(call)

        assert place.rows.calls(f"id = '{call.call_id}'")[0]["estimate_nanos"] == dollars(0.05)


async def test_a_new_policy_waits_for_another_gate_without_stopping_the_loop(tmp_path, monkeypatch):
    """Another process that writes just before the swap delays it; meanwhile the loop goes on, and here ends that write."""
    async with house(tmp_path, policy()) as place:
        other, prepare = sqlite3.connect(place.rows.path, isolation_level=None), place.ledger.prepare
        passes = []

        def prepared(*words, **more):
            passes.append(more)
            if len(passes) == 2:
                other.execute("BEGIN IMMEDIATE")
            return prepare(*words, **more)

        monkeypatch.setattr(place.ledger, "prepare", prepared)
        changing = asyncio.create_task(place.gate.set_policy(policy(budget(1.0))))
        while len(passes) < 5:
            await asyncio.sleep(0.001)
        assert not changing.done()
        assert place.gate.policy.budgets == ()
        other.execute("ROLLBACK")
        other.close()
        await changing

        assert [budget.name for budget in place.gate.policy.budgets] == ["person"]


async def test_other_gates_calls_are_learned_at_the_prices_in_force(tmp_path):
    """A new price list prices what is learned from the ledger from then on, too."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        dearer = PriceBook(origin="another")
        place.gate.set_prices(dearer)

        assert place.gate._learning.prices is dearer
