"""What is charged: once, by what is known, and nothing that was sent is free."""

from __future__ import annotations

import pytest

from gate.world import budget, costing, dollars, end, house, intent, policy, stating, used
from spendgate.exchange import State
from spendgate.gate.interface import End, Seen
from spendgate.providers.reading import Reading
from spendgate.standing import Hold


@pytest.mark.parametrize(
    ("reading", "how", "expected"),
    [
        pytest.param(costing(0.05), end(), ("settled", "reported", dollars(0.05)), id="reported"),
        pytest.param(Reading(), end(sent=False), ("failed", None, 0), id="nothing was sent"),
        pytest.param(Reading(free=True), end(status=529), ("settled", "reported", 0), id="the provider says free"),
        pytest.param(
            Reading(free=True, final=True, output_bytes=300), end(), ("settled", "estimated", 500 * 5_000 + 100 * 25_000),
            id="said to be free, with output",
        ),
        pytest.param(
            used(final=False, input_tokens=1_000, output_tokens=1, output_bytes=300),
            end(complete=False, error="client"), ("interrupted", "estimated", 1_000 * 5_000 + 100 * 25_000),
            id="broken off: counted input, estimated output",
        ),
        pytest.param(
            used(final=False, input_tokens=1_000, output_tokens=1), end(complete=False, error="client"),
            ("interrupted", "estimated", 1_000 * 5_000 + 25_000), id="broken off after the first counts",
        ),
        pytest.param(
            Reading(output_bytes=300), end(), ("settled", "estimated", 500 * 5_000 + 100 * 25_000),
            id="a whole answer of a provider that never counts",
        ),
        pytest.param(
            Reading(stated_cost_nanos=123, final=True), end(), ("settled", "reported", 123), id="the provider's own price"
        ),
    ],
)  # fmt: skip
async def test_a_call_is_charged_once_by_what_is_known(tmp_path, reading, how, expected):
    """From `sent` on a call is never free; what the provider counted is charged, what it did not is estimated and says so."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = stating(intent()) if reading.stated_cost_nanos is not None else intent()
        await place.gate.hold(call)
        if how.sent:
            place.gate.sent(call.call_id)
        for _ in range(2):
            place.gate.settle(call.call_id, reading, how)

        (row,) = place.rows.calls()
        assert (row["state"], row["basis"], row["cost_nanos"]) == expected
        assert not place.gate.open_calls


@pytest.mark.parametrize(
    ("reading", "how"),
    [
        pytest.param(Reading(), end(complete=False, status=None), id="broken off"),
        pytest.param(Reading(free=True, ended=True, output_bytes=300), end(), id="said to be free, with output"),
    ],
)
async def test_a_blind_end_under_ceiling_is_charged_the_ceiling(tmp_path, reading, how):
    """A call held by its ceiling, of whose use nothing was counted, is charged that ceiling."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, reading, how)

        (row,) = place.rows.calls()
        assert (row["basis"], row["cost_nanos"]) == ("ceiling", row["ceiling_nanos"])


async def test_an_unknown_model_is_never_free(tmp_path):
    """A model without a price is charged at the policy's `pricing.unknown_model`, and flagged."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent(model="nobody-knows-1")
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        reading = Reading(used(input_tokens=1_000, output_tokens=100).parts, "nobody-knows-1", final=True)
        place.gate.settle(call.call_id, reading, end())

        (row,) = place.rows.calls()
        assert row["cost_nanos"] == 1_000 * 15_000 + 100 * 75_000
        assert "unknown price" in row["flags"]


async def test_what_is_free_has_a_row(tmp_path):
    """An exchange that held nothing is recorded with its state."""
    async with house(tmp_path, policy()) as place:
        call = intent()
        seen = Seen(
            call.call_id, call.started_ms, call.host, call.route, call.ask, call.attribution, State.FREE, 10, end()
        )
        place.gate.record(seen)

        assert place.rows.states() == {"free": 1}


def test_an_end_is_all_that_settling_needs():
    """`End` has no field that could hold content."""
    assert End.__struct_fields__ == (
        "ended_ms", "sent", "complete", "http_status", "first_byte_ms", "duration_ms", "response_bytes", "error",
        "counts_later",
    )  # fmt: skip
