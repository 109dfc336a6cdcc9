"""What deciding a call needs: the model that will answer is the one that the path names."""

from __future__ import annotations

import pytest

from gate.world import MODEL, PRICES, ROUTE, budget, intent, policy, replace
from spendgate.gate.asked import UNPRICED_SPEED, prepare


def test_the_paths_model_is_priced_whatever_the_body_says() -> None:
    """A cheap model in the body beside a dear deployment in the path neither bounds nor names the call."""
    asked = replace(intent(model="claude-haiku-4-5"), route=replace(ROUTE, model=MODEL))
    found = prepare(asked, policy(budget(1.0)), PRICES, 1_000)
    plain = prepare(intent(model=MODEL), policy(budget(1.0)), PRICES, 1_000)
    assert (found.model, found.facts, found.keys) == (MODEL, plain.facts, plain.keys)
    assert found.bound_rates == plain.bound_rates
    assert (
        prepare(intent(model="claude-haiku-4-5"), policy(budget(1.0)), PRICES, 1_000).bound_rates != plain.bound_rates
    )


@pytest.mark.parametrize(
    ("speed", "factor", "flags"),
    [(None, 1, ()), ("standard", 1, ()), ("fast", 2, ()), ("turbo", 1, (UNPRICED_SPEED,))],
)
def test_a_speed_is_in_the_bound(speed, factor, flags):
    """A call that asks for a dearer speed is bounded at that speed's price; a speed that has none is told."""
    found = prepare(intent(model="claude-opus-5", speed=speed), policy(budget(1.0)), PRICES, 1_795_000_000_000)
    plain = prepare(intent(model="claude-opus-5"), policy(budget(1.0)), PRICES, 1_795_000_000_000)

    assert found.bound_rates.output == plain.bound_rates.output * factor
    assert found.flags == flags


def test_packed_input_is_bounded_by_the_longest_window() -> None:
    """A window asked for by a beta, or shown by a price for more input than fits, bounds what no byte shows."""
    plain = prepare(intent(model=MODEL), policy(budget(1.0)), PRICES, 1_000)
    asking = prepare(intent(model=MODEL, context_window=1_000_000), policy(budget(1.0)), PRICES, 1_000)
    tiered = prepare(intent(model="claude-sonnet-4-5"), policy(budget(1.0)), PRICES, 1_000)

    assert (plain.bound_rates.context_window, plain.rates.context_window) == (200_000, 200_000)
    assert (asking.bound_rates.context_window, asking.rates.context_window) == (1_000_000, 1_000_000)
    assert replace(asking.bound_rates, context_window=200_000) == plain.bound_rates
    assert tiered.bound_rates.context_window == 1_000_000
