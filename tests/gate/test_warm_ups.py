"""What asks for no work costs nothing and says so, as long as the provider says it too."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from gate.world import budget, end, house, intent, policy, used
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span


@pytest.mark.parametrize(
    ("generates", "tokens", "state"),
    [
        pytest.param(False, 0, "free", id="a warm-up"),
        pytest.param(False, 7, "settled", id="a warm-up that the provider counted"),
        pytest.param(True, 0, "settled", id="a call that used nothing"),
    ],
)
async def test_a_warm_up_is_free_unless_the_provider_counts_it(tmp_path, generates, tokens, state):
    """Only what asks for no work and used none is `free`: it gives its hold back, and the ledger's own check agrees."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent(generates=generates)
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, used(input_tokens=tokens, output_tokens=0), end())

        (row,) = place.rows.calls()
        assert (row["state"], row["cost_nanos"]) == (state, tokens * 5_000)
        with Reader(place.rows.path) as reader:
            (line,) = reader.spend((), Span(), ZoneInfo("UTC"))
            assert (line.calls, line.held_nanos, reader.check()) == (int(state == "settled"), 0, ())


@pytest.mark.parametrize(("generates", "state"), [(False, "free"), (True, "settled")])
async def test_text_that_came_makes_no_warm_up_dear(tmp_path, generates, state):
    """A warm-up may be answered whole and counted as nothing; a call that asked for work was not answered for nothing."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent(generates=generates)
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, used(input_tokens=0, output_tokens=0, output_bytes=900), end())

        (row,) = place.rows.calls()
        assert (row["state"], row["cost_nanos"] > 0) == (state, generates)
