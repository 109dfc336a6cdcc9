"""Who is admitted over a real ledger: budgets are used and not passed, and every refusal can be proved."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gate.world import budget, costing, dollars, end, house, intent, policy, prove, replace, serve, stating, used
from spendgate.admission import RefusalKind
from spendgate.config.policy_file import parse_policy
from spendgate.gate.interface import Admitted, Refused
from spendgate.providers.reading import Reading
from spendgate.standing import Hold


async def test_equal_calls_use_a_budget_exactly(tmp_path):
    """A hundred concurrent calls of $0.05, cold, against $1: twenty are admitted, nothing is over, each refusal is proved."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=60_000))) as place:
        said = Counter(await asyncio.gather(*(serve(place.gate, intent(), 0.05) for _ in range(100))))

        assert said == {"admitted": 20, "spent": 80}
        assert place.rows.spent() == dollars(1)
        for row in place.rows.calls("state = 'refused'"):
            prove(row)


async def test_ceiling_admits_exactly_what_fits(tmp_path):
    """A thousand concurrent calls with a bound of $0.10 against $5: exactly fifty, and not one nano-dollar over."""
    async with house(tmp_path, policy(budget(5.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        calls = [intent(text_bytes=15_000, output_max=1_000) for _ in range(1_000)]
        said = Counter(await asyncio.gather(*(serve(place.gate, call, 0.1, seconds=0.5) for call in calls)))

        assert said == {"admitted": 50, "spent": 950}
        assert place.rows.spent() == dollars(5)


@pytest.mark.parametrize("name", ["person", "another"], ids=["the same budget", "a new budget"])
async def test_a_ceiling_that_comes_while_calls_run_is_not_passed(tmp_path, name):
    """Calls that left on small holds run as the policy becomes `ceiling`: it counts what they can cost, and is not passed."""
    async with house(tmp_path, policy(budget(6.0))) as place:
        calls = [intent(output_max=32_000, may_wait=False) for _ in range(65)]
        for call in calls[:40]:
            assert await serve(place.gate, call, 0.002, seconds=0) == "admitted"
        before = [isinstance(await place.gate.hold(call), Admitted) for call in calls[40:45]]
        await place.gate.set_policy(policy(budget(6.0, name, hold=Hold.CEILING)))
        after = [isinstance(await place.gate.hold(call), Admitted) for call in calls[45:]]
        for call in calls[40:]:
            place.gate.sent(call.call_id)
            place.gate.settle(call.call_id, used(input_tokens=100, output_tokens=32_000), end())

        assert all(before)
        assert 0 < after.count(True) < len(after)
        assert place.rows.spent() <= dollars(6)
        for row in place.rows.calls("state = 'refused'"):
            prove(row)


async def test_hidden_input_does_not_pass_the_budget(tmp_path):
    """Calls that cost twenty times what their request shows, cold: at most 5% over."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=60_000))) as place:
        calls = [intent(text_bytes=200, output_max=10) for _ in range(100)]
        said = Counter(await asyncio.gather(*(serve(place.gate, call, 0.05) for call in calls)))

        assert said["admitted"] == 20
        assert place.rows.spent() <= dollars(1.05)


async def test_holding_nothing_would_overshoot(tmp_path, monkeypatch):
    """The mutation: with the hold forced to nothing the same calls pass the budget."""
    monkeypatch.setattr("spendgate.admission.wanted", lambda *_: 0)
    async with house(tmp_path, policy(budget(1.0))) as place:
        said = Counter(await asyncio.gather(*(serve(place.gate, intent(), 0.05) for _ in range(100))))

        assert said["admitted"] > 21


async def test_a_newcomer_is_not_refused_for_what_another_model_costs(tmp_path):
    """A little budget with most of it left admits a first call of a model, whatever calls of other models needed."""
    async with house(tmp_path, policy()) as place:
        for _ in range(4):
            other = intent("bob", model="claude-sonnet-4-5")
            await place.gate.hold(other)
            place.gate.sent(other.call_id)
            place.gate.settle(other.call_id, replace(costing(0.3), model="claude-sonnet-4-5"), end())
        await place.gate.set_policy(policy(budget(0.04)))
        spent = stating(intent())
        await place.gate.hold(spent)
        place.gate.sent(spent.call_id)
        place.gate.settle(spent.call_id, Reading(stated_cost_nanos=dollars(0.0057), final=True), end())
        newcomer = intent()
        answer = await place.gate.hold(newcomer)

        assert isinstance(answer, Admitted)
        assert place.rows.calls(f"id = '{newcomer.call_id}'")[0]["held_nanos"] == dollars(0.04) - dollars(0.0057)


@pytest.mark.parametrize(
    ("model", "output_max"), [("gpt-6.2-sol", None), ("claude-of-tomorrow", 32_000), ("gpt-5.2", None)]
)
async def test_six_agents_of_a_first_morning_go_at_once(tmp_path, model, output_max):
    """The built-in policy, an empty ledger, requests of 60 kB that nobody caps or prices: all leave, and no budget is drawn in
    whole."""
    rules = parse_policy((Path(__file__).parents[2] / "policies" / "default.yaml").read_bytes())
    async with house(tmp_path, rules) as place:
        for _ in range(6):
            call = intent(model=model, text_bytes=60_000, output_max=output_max, may_wait=False)
            call = replace(call, route=replace(call.route, provider="openai" if "gpt" in model else "anthropic"))
            assert isinstance(await place.gate.hold(call), Admitted)
        assert max(row["held_nanos"] for row in place.rows.calls()) == dollars(600) // 12


async def test_people_do_not_wait_for_each_other(tmp_path):
    """While one person's budget is held, another's call leaves at once."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        assert isinstance(await place.gate.hold(intent("alice", text_bytes=150_000)), Admitted)
        waiting = asyncio.create_task(place.gate.hold(intent("alice", text_bytes=150_000)))
        await asyncio.sleep(0.01)

        assert isinstance(await place.gate.hold(intent("bob", text_bytes=150_000)), Admitted)
        assert not waiting.done()
        waiting.cancel()


async def test_subscription_traffic_costs_no_budget(tmp_path):
    """A subscription call has cost 0, its value at list price, and passes where the budget is spent."""
    async with house(tmp_path, policy(budget(0.0001))) as place:
        call = intent(billing="subscription")
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.05), end())

        (row,) = place.rows.calls()
        assert (row["cost_nanos"], row["value_nanos"]) == (0, dollars(0.05))


async def test_clock_steps_free_nothing_and_end_no_wait(tmp_path):
    """The wall clock set back an hour frees no money, and a wait lasts as long as the boot clock says."""
    async with house(tmp_path, policy(budget(0.1, wait_ms=50))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.1), end())
        place.time.wall_ms -= 3_600_000
        answer = await place.gate.hold(intent())

        assert isinstance(answer, Refused)
        assert answer.refuse.kind is RefusalKind.SPENT
