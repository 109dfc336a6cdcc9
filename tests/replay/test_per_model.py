"""A replay counts a call per model where the gate did: where it was held, and of several that it named where it was answered."""

from __future__ import annotations

from pathlib import Path

from tests.gate.world import MODEL, budget, costing, end, house, intent, policy, replace
from tests.replay.virtual import again, refused_live

from spendgate.gate.interface import Admitted
from spendgate.standing import Hold

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
