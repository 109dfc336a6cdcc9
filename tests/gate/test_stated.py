"""A provider that states what it bills: no list price is a bound of that, so `hold: ceiling` has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.world import MODEL, budget, costing, dollars, end, house, intent, policy, replace, stating
from spendgate.admission import RefusalKind
from spendgate.gate.interface import Admitted, Refused
from spendgate.standing import Hold


@pytest.mark.parametrize("billing", ["metered", "overage"])
async def test_a_ceiling_refuses_what_its_provider_prices(tmp_path: Path, billing: str) -> None:
    """Whatever the request bounds; the same request to a vendor leaves, and is charged by the list."""
    async with house(tmp_path, policy(budget(1, hold=Hold.CEILING))) as place:
        refused = await place.gate.hold(stating(intent(billing=billing)))
        assert isinstance(refused, Refused)
        assert refused.refuse.kind is RefusalKind.UNBOUNDED
        assert isinstance(await place.gate.hold(intent(billing=billing)), Admitted)


async def test_an_expectation_admits_it_and_tells_no_bound(tmp_path: Path) -> None:
    """Its row has no ceiling: what was stated beyond the list's was no surprise."""
    async with house(tmp_path, policy(budget(1))) as place:
        call = stating(intent())
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, replace(costing(0.01), stated_cost_nanos=dollars(1.5)), end())
        (row,) = place.rows.calls()
        assert (row["ceiling_nanos"], row["cost_nanos"]) == (None, dollars(1.5))


@pytest.mark.parametrize(("model", "admitted"), [(MODEL, True), ("nobody-knows", False)])
async def test_a_plans_calls_count_by_the_list(tmp_path: Path, model: str, admitted: bool) -> None:
    """In a budget with `counts: value` the list price bounds them, whatever is stated; without one nothing does."""
    async with house(tmp_path, policy(budget(1, hold=Hold.CEILING, counts="value"))) as place:
        call = stating(intent(model=model, billing="subscription"))
        answer = await place.gate.hold(call)
        assert isinstance(answer, Admitted) is admitted
        if admitted:
            place.gate.sent(call.call_id)
            place.gate.settle(call.call_id, replace(costing(0.01), stated_cost_nanos=dollars(1.5)), end())
            (row,) = place.rows.calls()
            assert row["value_nanos"] == dollars(0.01) <= row["ceiling_nanos"]
