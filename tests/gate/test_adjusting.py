"""`pricing.adjust` in the gate: what is held, charged and learned follows it, on the days that it holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from gate.world import (
    MODEL,
    PRICES,
    House,
    Time,
    asyncio,
    budget,
    costing,
    dollars,
    end,
    house,
    intent,
    policy,
    replace,
    stating,
    used,
)
from spendgate.contracts import Adjustment
from spendgate.gate.asked import Asked
from spendgate.gate.interface import Admitted, Intent, Refused
from spendgate.gate.terms import KnownTerms
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.window import DAY_MS, day_starts_ms

NOW = Time().wall_ms
"""2026-09-21, in every zone's morning to evening."""
TODAY = date(2026, 9, 21)


def adjust(factor: str | None = None, match: dict[str, list[str]] | None = None, **words: Any) -> Adjustment:
    """An entry of `pricing.adjust`."""
    rates = tuple((name, round(float(each) * NANOS_PER_DOLLAR)) for name, each in words.pop("rates", {}).items())
    millionths = None if factor is None else round(float(factor) * 1_000_000)
    return Adjustment(
        match=Selector.of(match or {"provider": ["anthropic"]}), factor_millionths=millionths, rates=rates, **words
    )


def unstating(**ask: Any) -> Intent:
    """A call of a provider that does not state what it bills."""
    return intent(**ask)


def inside(folder: Path, name: str) -> Path:
    """A folder of a case of its own."""
    made = folder / name
    made.mkdir()
    return made


async def served(place: House, call: Intent, reading: Any) -> dict[str, Any]:
    """The row of a call that used this."""
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, reading, end())
    return next(row for row in place.rows.calls() if row["id"] == call.call_id)


def asked(call: Intent, rules: Policy, now_ms: int = NOW) -> Asked:
    """The call under a policy, whose terms are found anew."""
    return Asked(call, KnownTerms(rules, PRICES).of(call, now_ms))


async def test_a_call_costs_the_adjusted_price_and_has_the_value_of_the_list(tmp_path: Path) -> None:
    """Budgets count what the contract makes of it; value stays at list price; the row says by which entry."""
    async with house(tmp_path, policy(budget(10), adjust=(adjust("0.85"),))) as place:
        row = await served(place, unstating(), costing(0.1))
        (standing,) = place.ledger.standings(asked(unstating(), place.gate.policy).terms.scopes(NOW), NOW, {})
    assert (row["cost_nanos"], row["value_nanos"]) == (dollars(0.085), dollars(0.1))
    assert row["prices"].endswith(f"anthropic/{MODEL};pricing.adjust[1]=x 0.85")
    assert standing.settled_nanos == dollars(0.085)


async def test_set_rates_are_charged_class_by_class(tmp_path: Path) -> None:
    """Input at $1 and output at $8; what is not named keeps its list price."""
    rules = policy(budget(10), adjust=(adjust(rates={"input": 1, "output": 8}),))
    async with house(tmp_path, rules) as place:
        row = await served(place, unstating(), used(input_tokens=1_000, cache_read_tokens=2_000, output_tokens=10))
    assert row["cost_nanos"] == 1_000 * 1_000 + 2_000 * 500 + 10 * 8_000
    assert row["value_nanos"] == 1_000 * 5_000 + 2_000 * 500 + 10 * 25_000


async def test_a_dearer_price_is_held_and_refused_by(tmp_path: Path) -> None:
    """A bound stays a bound: a call that fits at list price does not where the policy doubles it."""
    tight = budget(0.035, hold=Hold.CEILING)  # 2,000 bytes and 1,000 tokens: $0.035 at the list's $5 and $25
    for factor, admitted in (("1", True), ("1.000001", False), ("2", False), ("0.5", True)):
        async with house(inside(tmp_path, factor), policy(tight, adjust=(adjust(factor),))) as place:
            answer = await place.gate.hold(unstating())
        assert isinstance(answer, Admitted) is admitted, factor
        if isinstance(answer, Refused):
            assert answer.refuse.hold_nanos == round(dollars(0.035) * float(factor))


async def test_learned_sizes_follow_a_new_price(tmp_path: Path) -> None:
    """Tokens are learned: the policy that takes force at half the price holds half, without a call of its own."""
    async with house(tmp_path, policy(budget(10))) as place:
        for _ in range(4):
            await served(place, unstating(), costing(0.1))
        before = asked(unstating(), place.gate.policy).size(place.gate.sizes)
        for changed, learned in (
            (adjust("0.5"), dollars(0.05)),
            (adjust(rates={"input": 10}), dollars(0.2)),
        ):
            rules = policy(budget(10), adjust=(changed,))
            assert asked(unstating(), rules).size(place.gate.sizes).learned_nanos == learned
    assert before.learned_nanos == dollars(0.1)


async def test_what_was_learned_from_the_ledger_follows_too(tmp_path: Path) -> None:
    """A gate that starts anew on a ledger of adjusted calls expects what they cost at its own policy's price."""
    for number, changed in enumerate([(), (adjust("0.5"),), (adjust(rates={"input": 10}),)]):
        async with house(tmp_path, policy(budget(10), adjust=changed)) as place:
            sizes = place.gate.sizes
            expected = asked(unstating(), place.gate.policy).size(sizes).learned_nanos
            assert expected == (None, dollars(0.05), dollars(0.2))[number]
            if not number:
                await served(place, unstating(), costing(0.1))


async def test_the_last_entry_that_fits_holds_alone(tmp_path: Path) -> None:
    """General first, then particular: the particular one is not a discount on the discount."""
    general, particular = adjust("0.5"), adjust("0.8", {"model": ["claude-opus-*"]})
    for entries, cost in (((general, particular), 0.08), ((particular, general), 0.05)):
        async with house(inside(tmp_path, str(cost)), policy(budget(10), adjust=entries)) as place:
            row = await served(place, unstating(), costing(0.1))
        assert row["cost_nanos"] == dollars(cost)


async def test_other_calls_keep_the_list_price(tmp_path: Path) -> None:
    """Another provider's, another person's, another model's."""
    for match in ({"provider": ["openai"]}, {"person": ["bob"]}, {"model": ["gpt-5*"]}, {"tool": ["codex"]}):
        async with house(
            inside(tmp_path, next(iter(match))), policy(budget(10), adjust=(adjust("0.5", match),))
        ) as place:
            row = await served(place, unstating(), costing(0.1))
        assert row["cost_nanos"] == row["value_nanos"] == dollars(0.1)
        assert "adjust" not in row["prices"]


async def test_days_begin_and_end_in_the_policys_zone(tmp_path: Path) -> None:
    """From the first instant of its first day to the last of its last one, while terms are kept all along."""
    del tmp_path
    zone = "America/Los_Angeles"
    rules = policy(budget(10), timezone=zone, adjust=(adjust("0.5", starts=TODAY, ends=TODAY),))
    known, starts = KnownTerms(rules, PRICES), day_starts_ms(zone, TODAY)
    factors = []
    for at_ms in (starts - 1, starts, starts + DAY_MS - 1, starts + DAY_MS, starts + 1):
        change = known.of(unstating(), at_ms).changes.asked
        factors.append(None if change is None else change.factor_millionths)
    assert factors == [None, 500_000, 500_000, None, 500_000]


async def test_a_call_over_midnight_keeps_the_price_of_the_day_on_which_it_asked(tmp_path: Path) -> None:
    """What was bounded at one price is charged at it."""
    tomorrow = date(2026, 9, 22)
    rules = policy(budget(0.035, hold=Hold.CEILING), adjust=(adjust("100", starts=tomorrow),))
    async with house(tmp_path, rules) as place:
        place.time.wall_ms = day_starts_ms("UTC", tomorrow) - 2
        call = unstating()
        assert isinstance(await place.gate.hold(call), Admitted)
        place.time.wall_ms += 1_000
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.03), end())
        (row,) = place.rows.calls()
        late = await place.gate.hold(unstating())
    assert row["cost_nanos"] == dollars(0.03)
    assert isinstance(late, Refused)


async def test_the_answering_model_of_another_family_has_its_own_price(tmp_path: Path) -> None:
    """One of the same family, as dated as it likes, costs what was asked for; another one what it is itself."""
    rules = policy(budget(10), adjust=(adjust("0.5", {"model": [MODEL]}), adjust("2", {"model": ["*-20251101"]})))
    async with house(tmp_path, rules) as place:
        dated = await served(place, unstating(), replace(costing(0.1), model=f"{MODEL}-20251101"))
        other = await served(place, unstating(), replace(costing(0.1), model="claude-sonnet-4-5"))
    assert dated["cost_nanos"] == dollars(0.05)
    assert other["cost_nanos"] == other["value_nanos"] == dollars(0.06)


async def test_what_a_provider_states_is_charged_as_stated(tmp_path: Path) -> None:
    """A bill that is known needs no contract: and its bound is no lower than the list's."""
    rules = policy(budget(10), adjust=(adjust("0.5"),))
    async with house(tmp_path, rules) as place:
        row = await served(place, stating(intent()), replace(costing(0.1), stated_cost_nanos=dollars(0.09)))
        unsaid = await served(place, stating(intent()), costing(0.1))
    assert (row["cost_nanos"], row["value_nanos"]) == (dollars(0.09), dollars(0.1))
    assert unsaid["cost_nanos"] == dollars(0.05)
    assert asked(stating(intent()), rules).bound_rates.input == asked(intent(), policy()).bound_rates.input
    assert 2 * asked(unstating(), rules).bound_rates.input == asked(intent(), policy()).bound_rates.input


async def test_subscription_traffic_costs_nothing_and_has_its_list_price(tmp_path: Path) -> None:
    """A contract is about what is billed by the token."""
    async with house(tmp_path, policy(budget(0.01), adjust=(adjust("0.5"),))) as place:
        row = await served(place, unstating(billing="subscription"), costing(0.1))
    assert (row["cost_nanos"], row["value_nanos"]) == (0, dollars(0.1))


async def test_a_guessed_price_is_left_alone_and_set_rates_end_the_guess(tmp_path: Path) -> None:
    """A factor of nobody's price is nobody's price; a contract's input and output are one."""
    reading = replace(used(input_tokens=1_000, output_tokens=10), model="acme-large")
    found = {}
    for name, entry in (("factor", adjust("0.5")), ("rates", adjust(rates={"input": 1, "output": 8}))):
        async with house(inside(tmp_path, name), policy(budget(10), adjust=(entry,))) as place:
            found[name] = await served(place, unstating(model="acme-large"), reading)
    assert found["factor"]["cost_nanos"] == 1_000 * 15_000 + 10 * 75_000
    assert "unknown price" in found["factor"]["flags"]
    assert found["rates"]["cost_nanos"] == 1_000 * 1_000 + 10 * 8_000
    assert not found["rates"]["flags"]


async def test_a_call_without_counts_costs_what_its_kind_does_at_the_adjusted_price(tmp_path: Path) -> None:
    """The median follows; and nobody knows a list price of it, so its value is what it was charged."""
    async with house(tmp_path, policy(budget(10), adjust=(adjust("0.5"),))) as place:
        for _ in range(3):
            await served(place, unstating(), costing(0.1))
        row = await served(place, unstating(), used(final=False))
    assert row["cost_nanos"] == row["value_nanos"] == dollars(0.05)


async def test_no_ceiling_is_passed_at_adjusted_prices(tmp_path: Path) -> None:
    """Forty at once, each costing its whole bound at 1.7 times the list price: as many leave as fit, to the nano-dollar."""
    rules = policy(budget(1, hold=Hold.CEILING, wait_ms=60_000), adjust=(adjust("1.7"),))
    each = (2_000 * 5_000 + 1_000 * 25_000) * 17 // 10

    async def one(place: House) -> bool:
        call = unstating()
        if not isinstance(await place.gate.hold(call), Admitted):
            return False
        place.gate.sent(call.call_id)
        await asyncio.sleep(0.01)
        place.gate.settle(call.call_id, used(input_tokens=2_000, output_tokens=1_000), end())
        return True

    async with house(tmp_path, rules) as place:
        left = sum(await asyncio.gather(*(one(place) for _ in range(40))))
        rows = place.rows.calls("state = 'settled'")
    assert left == dollars(1) // each
    assert sum(row["cost_nanos"] for row in rows) == left * each <= dollars(1)
    assert not [row for row in rows if "overrun" in row["flags"]]


async def test_a_plan_counts_at_list_price_where_a_budget_goes_by_value(tmp_path: Path) -> None:
    """`counts: value` is about what calls are worth: a contract's price is for what is billed."""
    rules = policy(budget(0.15, counts="value"), adjust=(adjust("0.5"),))
    async with house(tmp_path, rules) as place:
        plan = await served(place, unstating(billing="subscription"), costing(0.1))
        key = await served(place, unstating(), costing(0.1))
        refused = await place.gate.hold(unstating(output_max=1))
    assert (plan["cost_nanos"], plan["value_nanos"]) == (0, dollars(0.1))
    assert (key["cost_nanos"], key["value_nanos"]) == (dollars(0.05), dollars(0.1))
    assert isinstance(refused, Refused)
    assert refused.refuse.settled_nanos == dollars(0.15)
