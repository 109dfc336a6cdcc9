"""What deciding a call needs: the model that will answer is the one that the path names, and a bound that holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gate.world import MODEL, PRICES, ROUTE, budget, costing, end, house, intent, policy, replace
from spendgate.gate.asked import Asked
from spendgate.gate.interface import Intent
from spendgate.gate.model_prices import UNPRICED_SPEED
from spendgate.gate.terms import KnownTerms


def asked(call: Intent, now_ms: int = 1_000) -> Asked:
    """The call as a gate of one budget sees it."""
    return Asked(call, KnownTerms(policy(budget(1.0)), PRICES).of(call, now_ms))


def test_the_paths_model_is_priced_whatever_the_body_says() -> None:
    """A cheap model in the body beside a dear deployment in the path neither bounds nor names the call."""
    found = asked(replace(intent(model="claude-haiku-4-5"), route=replace(ROUTE, model=MODEL)))
    plain, cheap = asked(intent(model=MODEL)), asked(intent(model="claude-haiku-4-5"))

    assert (found.terms.model, found.terms.facts, found.terms.keys) == (MODEL, plain.terms.facts, plain.terms.keys)
    assert found.bound_rates == plain.bound_rates
    assert cheap.bound_rates != plain.bound_rates


@pytest.mark.parametrize(
    ("speed", "factor", "flags"),
    [(None, 1, ()), ("standard", 1, ()), ("fast", 2, ()), ("turbo", 1, (UNPRICED_SPEED,))],
)
def test_a_speed_is_in_the_bound(speed, factor, flags):
    """A call that asks for a dearer speed is bounded at that speed's price; a speed that has none is told."""
    found = asked(intent(model="claude-opus-5", speed=speed), 1_795_000_000_000)
    plain = asked(intent(model="claude-opus-5"), 1_795_000_000_000)

    assert found.bound_rates.output == plain.bound_rates.output * factor
    assert found.terms.flags == flags


def test_packed_input_is_bounded_by_the_longest_window() -> None:
    """A window asked for by a beta, or shown by a price for more input than fits, bounds what no byte shows."""
    plain, asking = asked(intent(model=MODEL)), asked(intent(model=MODEL, context_window=1_000_000))
    tiered = asked(intent(model="claude-sonnet-4-5"))

    assert (plain.bound_rates.context_window, plain.terms.rates.context_window) == (200_000, 200_000)
    assert (asking.bound_rates.context_window, asking.terms.rates.context_window) == (1_000_000, 1_000_000)
    assert dataclasses.replace(asking.bound_rates, context_window=200_000) == plain.bound_rates
    assert tiered.bound_rates.context_window == 1_000_000


def test_what_no_byte_shows_is_bounded_at_the_dearest_price_tier() -> None:
    """A little input is bounded by the price of a little; packed input by the price of the most."""
    small, packed = (
        asked(intent(model="claude-sonnet-4-5", **ask)) for ask in ({"text_bytes": 200_000}, {"opaque_input": True})
    )
    large = asked(intent(model="claude-sonnet-4-5", text_bytes=200_001))

    assert small.bound_rates.input < large.bound_rates.input
    assert packed.bound_rates == large.bound_rates


async def test_a_call_of_which_nothing_is_known_is_expected_to_cost_no_more_than_it_can(tmp_path: Path) -> None:
    """It holds more all the same: a provider may bill input that no request shows."""
    async with house(tmp_path, policy(budget(1_000.0))) as place:
        call = intent(text_bytes=20_000, output_max=100)
        await place.gate.hold(call)
        (row,) = place.rows.calls()
        assert row["estimate_nanos"] == row["ceiling_nanos"] == 20_000 * 5_000 + 100 * 25_000 < row["held_nanos"]
        place.gate.settle(call.call_id, costing(0.01), end())
