"""A replay counts a call per model where the gate did: where it was held, and of several that it named where it was answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gate.world import MODEL, budget, costing, end, house, intent, policy, replace
from tests.replay.virtual import again, refused_live

from spendgate.gate.interface import Admitted
from spendgate.policy import Mode, Policy
from spendgate.rates import Quota, Rate
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.window import HOUR_MS

THE_DEAR = Selector.of({"model": ["claude-opus-*"]})

BESIDE = [("claude-haiku-4-5", (MODEL,))] * 3
CALLS = [("auto", ()), (MODEL, ()), ("opus", ()), ("our-deployment", ())] * 8


async def test_the_same_calls_are_refused(tmp_path: Path) -> None:
    """One after the other, until each allowance is used up, opus's in part by a fallback: nothing differs."""
    rules = policy(budget(0.3, "m", per=("model",), hold=Hold.CEILING, wait_ms=0))
    async with house(tmp_path, rules) as place:
        for model, also in (*BESIDE, *CALLS):
            call = intent(text_bytes=5_000, model=model, also=also)
            if isinstance(await place.gate.hold(call), Admitted):
                place.gate.sent(call.call_id)
                place.gate.settle(call.call_id, replace(costing(0.05), model=MODEL), end())
            place.gate.backlog.write_out()
    _, found = again(tmp_path, rules)
    live = refused_live(tmp_path)
    assert len(live) > len(CALLS) // 3
    assert found == live


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(
            policy(
                budget(0.2, "dear", match=THE_DEAR, hold=Hold.CEILING, wait_ms=0),
                mode=Mode(default="observe", enforce=(THE_DEAR,)),
            ),
            id="mode.enforce",
        ),
        pytest.param(
            policy(
                budget(1_000),
                rates=(
                    Rate(name="few", match=THE_DEAR, requests=Quota(most=9, length_ms=HOUR_MS), wait_ms=0, order=0),
                ),
            ),
            id="rate",
        ),
    ],
)
async def test_a_model_that_is_named_second_counts_as_it_did(tmp_path: Path, rules: Policy) -> None:
    """What is enforced for one model alone, and what counts its calls, is found by every name, then and again."""
    calls = [(MODEL, ()), ("claude-haiku-4-5", (MODEL,)), ("opus", ()), ("claude-haiku-4-5", ())] * 6
    asked = []
    async with house(tmp_path, rules) as place:
        for model, also in calls:
            call = intent(text_bytes=5_000, model=model, also=also)
            asked.append((call.call_id, model != "claude-haiku-4-5" or bool(also)))
            if isinstance(await place.gate.hold(call), Admitted):
                place.gate.sent(call.call_id)
                place.gate.settle(call.call_id, replace(costing(0.05), model=MODEL if also else model), end())
            place.gate.backlog.write_out()
    _, found = again(tmp_path, rules)
    live = refused_live(tmp_path)
    assert found == live
    assert len(live) >= 9
    assert {call_id for call_id, dear in asked if dear} >= live.keys()
