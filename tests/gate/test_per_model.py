"""`per: model`: a call counts in the allowance that held it, also where its name may become several models."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gate.world import MODEL, PRICES, House, asyncio, budget, costing, dollars, end, house, intent, policy, replace
from spendgate.allowances import ALIAS
from spendgate.fitting import enforces, scopes
from spendgate.gate.interface import Admitted, End, Intent, Refused
from spendgate.gate.terms import KnownTerms
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.providers.reading import Part, Reading
from spendgate.selector import Facts
from spendgate.standing import Hold, Standing
from spendgate.usage import Usage

HAIKU = "claude-haiku-4-5"
ROUTERS = ("auto", "opus", "openrouter/auto:online", "claude-opus-latest")
COST = 0.05
"""Dollars: less than the ceiling of the call that `asking` makes."""
NOW = 1_790_000_000_000


def rules(limit: float, hold: Hold = Hold.CEILING, per: tuple[str, ...] = ("model",)) -> Policy:
    """One budget per model."""
    return policy(budget(limit, "m", per=per, hold=hold, wait_ms=0))


def asking(model: str | None, *also: str, prefix: str = "call") -> Intent:
    """A call of at most $0.0525 at what opus costs; a router's has no price but the unknown model's."""
    return intent(text_bytes=5_000, output_max=1_000, model=model, also=also, prefix=prefix)


async def made(place: House, call: Intent, answers: str, amount: float = COST) -> bool:
    """Whether it was let through; then `answers` is charged so many dollars."""
    if not isinstance(await place.gate.hold(call), Admitted):
        return False
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, replace(costing(amount), model=answers), end())
    place.gate.backlog.write_out()
    return True


def stands(place: House, facts: Facts) -> tuple[Standing, ...]:
    """The balances that such a call draws on."""
    place.gate.backlog.write_out()
    found = scopes(place.gate.policy, facts, NOW, enforces(place.gate.policy, facts))
    with Reader(place.rows.path) as reader:
        assert reader.check() == ()
        return reader.standings(found, NOW)


def test_every_name_that_may_become_several_is_one_allowance() -> None:
    """However many names for a router somebody thinks of, they share one; a model's own is its family's."""
    found = {
        name: [
            scope.value
            for scope in scopes(rules(1, per=("person", "model")), Facts.of(person="a", model=name), NOW, True)
        ]
        for name in (*ROUTERS, None, MODEL, f"{MODEL}-20251101")
    }
    assert found == {
        **{name: [f"a|{ALIAS}"] for name in (*ROUTERS, None)}, MODEL: [f"a|{MODEL}"], f"{MODEL}-20251101": [f"a|{MODEL}"],
    }  # fmt: skip


async def test_a_router_is_bound_by_its_allowance(tmp_path: Path) -> None:
    """Under `ceiling`: its calls are charged where they were held, so that one after the other they come to an end."""
    async with house(tmp_path, rules(1)) as place:
        done = [await made(place, asking(ROUTERS[number % len(ROUTERS)]), MODEL) for number in range(40)]
        assert 0 < done.count(True) < 21
        (alias,), (opus,) = stands(place, Facts.of(model="auto")), stands(place, Facts.of(model=MODEL))
        assert alias.settled_nanos == dollars(COST) * done.count(True) <= dollars(1)
        assert opus.settled_nanos == 0
        assert await made(place, asking(MODEL), MODEL)
        refused = await place.gate.hold(asking("auto"))
        assert isinstance(refused, Refused)
        assert refused.refuse.value == ALIAS


async def test_a_deployment_is_bound_by_its_own(tmp_path: Path) -> None:
    """A name that says nothing of the model that answers is no way around it either."""
    async with house(tmp_path, rules(1)) as place:
        done = [await made(place, asking("our-deployment"), MODEL) for _ in range(40)]
        assert 0 < done.count(True) < 21
        (own,) = stands(place, Facts.of(model="our-deployment"))
        assert own.settled_nanos == dollars(COST) * done.count(True)


async def test_a_fallback_that_the_request_names_is_charged_its_own(tmp_path: Path) -> None:
    """It was held there, too. The row says so, and filling under another roster counts it no second time elsewhere."""
    async with house(tmp_path, rules(1)) as place:
        assert await made(place, asking(HAIKU, MODEL), MODEL)
        assert "another model that it names" in place.rows.calls()[0]["flags"]
        again = rules(1)
        await place.gate.set_policy(
            again.model_copy(update={"roster": again.roster.model_copy(update={"unknown_people": "each"})})
        )
        (opus,), (haiku,) = stands(place, Facts.of(model=MODEL)), stands(place, Facts.of(model=HAIKU))
        assert (opus.settled_nanos, haiku.settled_nanos) == (dollars(COST), 0)


async def test_a_new_budget_counts_as_the_gate_would_have(tmp_path: Path) -> None:
    """Filled from the ledger, each allowance has what it would have been charged; haiku costs a fifth."""
    async with house(tmp_path, policy()) as place:
        for model, answers in ((None, MODEL), ("auto", HAIKU), (MODEL, MODEL), (HAIKU, MODEL)):
            assert await made(place, asking(model), answers)
        running = asking("opus")
        assert isinstance(await place.gate.hold(running), Admitted)
        await place.gate.set_policy(rules(10))
        (alias,) = stands(place, Facts.of(model="auto"))
        assert alias.settled_nanos == dollars(COST + COST / 5)
        assert alias.held_nanos > 0
        place.gate.sent(running.call_id)
        place.gate.settle(running.call_id, replace(costing(COST), model=MODEL), end())
        found = [stands(place, Facts.of(model=model))[0] for model in ("auto", MODEL, HAIKU)]
        assert [each.settled_nanos for each in found] == [dollars(2 * COST + COST / 5), dollars(COST), dollars(COST)]
        assert [each.held_nanos for each in found] == [0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per", [("model",), ("person", "model")])
async def test_no_allowance_is_passed(tmp_path: Path, seed: int, per: tuple[str, ...]) -> None:
    """Two gates on one ledger, calls at once, names and answers at random, the policy loaded anew in between: under `ceiling`
    no allowance ever holds more than its limit, whoever answers."""
    rng, limit = random.Random(seed), 0.4
    names = (*ROUTERS, None, MODEL, HAIKU, "our-deployment")
    async with AsyncExitStack() as open_houses:
        places = [await open_houses.enter_async_context(house(tmp_path, rules(limit, per=per))) for _ in range(2)]

        async def one(number: int) -> bool:
            place, model, wait_s = places[number % 2], rng.choice(names), rng.random() / 20
            also = rng.choice(((), (), (MODEL,), (HAIKU, "auto")))
            call = asking(model, *also, prefix=f"gate-{number % 2}")
            await asyncio.sleep(wait_s)
            if not isinstance(await place.gate.hold(call), Admitted):
                return False
            place.gate.sent(call.call_id)
            await asyncio.sleep(wait_s)
            answers = rng.choice((MODEL, HAIKU, "claude-sonnet-4-5"))
            most = place.gate.open_calls[call.call_id].size.ceiling_nanos or 0
            counts = Usage(input_tokens=min(most, dollars(COST)) // 5_000)
            place.gate.settle(call.call_id, Reading((Part(counts, answers),), answers, final=True), ended())
            return True

        async def load() -> None:
            for number in range(4):
                await asyncio.sleep(0.02)
                place = places[number % 2]
                changed = place.gate.policy.model_copy(update={"owner": f"{number}@acme.example"})
                await place.gate.set_policy(changed)

        done, _ = await asyncio.gather(asyncio.gather(*[one(number) for number in range(120)]), load())
        for place in places:
            place.gate.backlog.write_out()
            assert await place.gate.backlog.caught_up(30), "the other gate may have had the ledger for an instant"
        found = [stands(places[0], Facts.of(person="alice", model=name))[0] for name in (*names, "claude-sonnet-4-5")]
        assert [each.held_nanos for each in found] == [0] * len(found)
        assert all(each.settled_nanos <= dollars(limit) for each in found), found
        assert done.count(True) > 10
        assert done.count(False) > 10


def ended() -> End:
    """A complete end."""
    return end()


def test_a_connection_is_not_refused_for_an_alias_alone() -> None:
    """Before a call says its model, only what refuses every model's calls counts: no allowance of some."""
    found = KnownTerms(rules(1), PRICES).of(asking(None), NOW)
    assert [scope.value for scope in found.scopes(NOW)] == [ALIAS]
    assert ALIAS not in [scope.value for scope in found.without_model(NOW)]
