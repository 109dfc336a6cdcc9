"""A gateway with several vendors' models: one function prices what is held, bounded, charged and learned."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gate.world import budget, end, house, intent, policy, used
from spendgate.gate.learning import Learning
from spendgate.ledger.interface import CallRow
from spendgate.ledger.rows import PastCall
from spendgate.price_lists import Lists
from spendgate.pricing import PriceBook, utc
from spendgate.providers.reading import Reading
from spendgate.standing import Hold
from spendgate.usage import Usage

COUNTS = used(input_tokens=1_000, output_tokens=100).parts


def gateways(model):
    """A call of this model through the gateway."""
    call = intent(model=model)
    route = replace(call.route, provider="openai", own=True, prices=Lists(("openai",)))
    return replace(call, host="llm.acme.example", route=route)


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"])
async def test_it_costs_and_holds_what_it_does_at_its_maker(tmp_path, name):
    """Held by the ceiling, whose price is the charge's; the row says whose list that is."""
    async with house(tmp_path, policy(budget(10.0, hold=Hold.CEILING))) as place:
        for call in (intent(model="claude-sonnet-4-5"), gateways(name)):
            await place.gate.hold(call)
            place.gate.sent(call.call_id)
            place.gate.settle(call.call_id, Reading(COUNTS, "claude-sonnet-4-5", final=True), end())
        at_home, beyond = place.rows.calls()
    same = ("cost_nanos", "value_nanos", "ceiling_nanos", "held_nanos", "prices")
    assert [beyond[name] for name in same] == [at_home[name] for name in same]
    assert beyond["cost_nanos"] == 1_000 * 3_000 + 100 * 15_000
    assert (at_home["flags"] or "", beyond["flags"]) == ("", "priced by anthropic's list")


async def test_its_own_list_needs_no_flag_and_an_alias_is_unknown(tmp_path):
    """An alias of the gateway's own is priced by the policy."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        for name in ("gpt-5", "acme-smart"):
            call = gateways(name)
            await place.gate.hold(call)
            place.gate.sent(call.call_id)
            place.gate.settle(call.call_id, Reading(COUNTS, name, final=True), end())
        listed, alias = place.rows.calls()
    assert (listed["flags"] or "", listed["prices"].startswith("bundled:openai/gpt-5")) == ("", True)
    assert (alias["flags"], alias["cost_nanos"]) == ("unknown price", 1_000 * 15_000 + 100 * 75_000)


class _Ledger:
    """One call that another gate has written, at the price of its maker's list."""

    def __init__(self, past):
        self.past = past

    def recent(self, limit, *, after_seq=0):
        return (self.past,)


class _Sizes(list):
    def learn(self, keys, sample):
        self.append(sample)


@pytest.mark.parametrize("flags", [("priced by anthropic's list",), ()], ids=["told by its flag", "its own list"])
def test_another_gates_call_teaches_by_the_list_that_priced_it(flags):
    """By a row's flag: at any other price the same tokens would count as a part of themselves."""
    model = "claude-sonnet-4-5" if flags else "gpt-5"
    row = CallRow("x", 1_000, "alice", "m", "openai", "llm.acme.example", "/v1", tool="codex", model_requested=model)
    value = 1_000 * (3_000 if flags else 1_250)
    usage = Usage(input_tokens=1_000)
    past = PastCall(1, row, "settled", 1_790_000_000_000, model, value, value, "reported", usage, flags)
    sizes = _Sizes()
    Learning(_Ledger(past), PriceBook(), sizes, calibrated=lambda _: None).learn()
    (sample,) = sizes
    dearest = PriceBook().ladder(
        "anthropic" if flags else "openai", model, at=utc(past.booked_ms), context={"service_tier": "priority"}
    )
    assert sample.dearest_nanos == 1_000 * dearest.upto(None).input // 1_000_000
