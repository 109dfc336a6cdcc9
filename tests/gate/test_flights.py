"""Calls in flight while the policy or the clock changes: new budgets count them by the model that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.test_moving_limits import set_clock
from gate.world import MODEL, House, asyncio, budget, costing, dollars, end, house, intent, policy, replace
from ledger.desk import at
from spendgate.fitting import scopes
from spendgate.gate import upkeep
from spendgate.gate.interface import Admitted, Intent
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.selector import Facts, Selector
from spendgate.standing import Hold, Standing
from spendgate.window import Unit, Window

HAIKU = "claude-haiku-4-5"
OPUS = Selector.of({"model": ["claude-opus-*"]})
COST = 0.5


def for_opus(**words: object) -> Policy:
    """A budget of opus alone."""
    return policy(budget(10, "opus", per=(), match=OPUS, **words))


async def leaves(place: House, *also: str, model: str = HAIKU, prefix: str = "call") -> Intent:
    """A call that is under way."""
    call = intent(model=model, also=also, prefix=prefix)
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    return call


def answered(place: House, call: Intent, model: str) -> None:
    """It ends, and `model` has answered."""
    place.gate.settle(call.call_id, replace(costing(COST), model=model), end())
    place.gate.backlog.write_out()


def opus(place: House) -> Standing:
    """The budget as it stands; the ledger agrees with itself."""
    place.gate.backlog.write_out()
    now_ms = place.time.now_ms()
    with Reader(place.rows.path) as reader:
        assert reader.check() == ()
        found = scopes(place.gate.policy, Facts.of(person="alice", model=MODEL), now_ms, True)
        return reader.standings(found, now_ms)[0]


async def test_another_model_that_a_running_call_names_is_held(tmp_path: Path) -> None:
    """The new budget holds it from its first moment, under `ceiling` by its bound, and is charged when that one answers."""
    async with house(tmp_path, policy()) as place:
        call = await leaves(place, MODEL)
        await place.gate.set_policy(for_opus(hold=Hold.CEILING))
        assert opus(place).held_nanos > 0
        answered(place, call, MODEL)
        assert (opus(place).settled_nanos, opus(place).held_nanos) == (dollars(COST), 0)


@pytest.mark.parametrize(
    ("asked", "also", "answers", "charged"),
    [
        pytest.param(HAIKU, (), MODEL, COST, id="one that nobody named"),
        pytest.param(HAIKU, (MODEL,), HAIKU, 0, id="the one asked for, not the one beside it"),
        pytest.param("auto", (), HAIKU, 0, id="a router took another"),
        pytest.param("auto", (), MODEL, COST, id="a router took it"),
        pytest.param(MODEL, (), HAIKU, 0, id="another than the one asked for"),
    ],
)  # fmt: skip
async def test_the_model_that_answers_decides(
    tmp_path: Path, asked: str, also: tuple[str, ...], answers: str, charged: float
) -> None:
    """A budget that took force while the call ran is charged by the answer, as one that was there before, and holds no rest."""
    async with house(tmp_path, policy()) as place:
        call = await leaves(place, *also, model=asked)
        await place.gate.set_policy(for_opus())
        answered(place, call, answers)
        assert (opus(place).settled_nanos, opus(place).held_nanos) == (dollars(charged), 0)
        await place.gate.set_policy(for_opus(wait_ms=1))
        assert (opus(place).settled_nanos, opus(place).held_nanos) == (dollars(charged), 0)


@pytest.mark.parametrize(
    "ends_first", [True, False], ids=["it ends, then its gate loads", "its gate loads, then it ends"]
)
async def test_a_call_of_another_gate_is_counted_when_that_one_has_the_policy(tmp_path: Path, ends_first: bool) -> None:
    """One gate has the new budget already when the other one ends its call: the budget has the charge once both have it."""
    async with house(tmp_path, policy()) as here, house(tmp_path, policy()) as there:
        call = await leaves(there, prefix="there")
        await here.gate.set_policy(for_opus())
        await leaves(here, prefix="here")
        if ends_first:
            answered(there, call, MODEL)
            await there.gate.set_policy(for_opus())
        else:
            await there.gate.set_policy(for_opus())
            answered(there, call, MODEL)
        assert opus(here).settled_nanos == dollars(COST)
        await here.gate.set_policy(for_opus(wait_ms=1))
        assert opus(here).settled_nanos == dollars(COST)


async def test_a_clock_that_comes_back_fills_what_it_had_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget that took force while the clock was a month ahead counts what its true window holds without being loaded again."""
    monkeypatch.setattr(upkeep, "LEARN_EVERY_S", 0.01)
    async with house(tmp_path, policy()) as place:
        set_clock(place.time, at("2026-11-20T12:00Z"))
        answered(place, await leaves(place, model=MODEL), MODEL)
        set_clock(place.time, at("2026-12-20T12:00Z"))
        await place.gate.set_policy(for_opus(window=Window(Unit.MONTH)))
        assert opus(place).settled_nanos == 0
        set_clock(place.time, at("2026-11-20T13:00Z"))
        while opus(place).settled_nanos == 0:
            await asyncio.sleep(0.01)
        assert opus(place).settled_nanos == dollars(COST)
