"""What deciding a call needs: the model that will answer is the one that the path names."""

from __future__ import annotations

from gate.world import MODEL, PRICES, ROUTE, budget, intent, policy, replace
from spendgate.gate.asked import prepare


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
