"""A provider that reports what no call can use spends nobody's budget for long, and breaks no ledger row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gate.world import MODEL, PRICES, budget, dollars, end, house, intent, policy, stating, used
from spendgate.gate import plausible
from spendgate.gate.asked import Asked
from spendgate.gate.interface import Admitted
from spendgate.gate.plausible import CUT
from spendgate.gate.terms import KnownTerms
from spendgate.providers.reading import Part, Reading
from spendgate.standing import Hold
from spendgate.usage import Usage

HUGE = 10**12
NANOS_OF_A_ROW = 2**63 - 1


def lie(**counts: int) -> Reading:
    """A final reading of these counts."""
    return used(**{"input_tokens": 10, "output_tokens": 5, **counts})


LIES = [
    pytest.param(lie(input_tokens=HUGE), id="input"),
    pytest.param(lie(output_tokens=HUGE), id="output"),
    pytest.param(lie(output_tokens=10**30, reasoning_tokens=10**30), id="more than a row holds"),
    pytest.param(lie(cache_read_tokens=HUGE), id="cache"),
    pytest.param(lie(web_searches=HUGE), id="searches"),
    pytest.param(
        replace(lie(), parts=(Part(Usage(input_tokens=10**7, output_tokens=1)),) * 1_000), id="many samplings"
    ),
    pytest.param(replace(lie(), stated_cost_nanos=10**20), id="a price of its own"),
]


@pytest.mark.parametrize("reading", LIES)
async def test_what_no_call_can_use_is_cut_and_estimated(tmp_path, reading):
    """The charge is bounded and flagged, not reported, and teaches nothing about the next call."""
    async with house(tmp_path, policy(budget(10**6, hold=Hold.EXPECTED))) as place:
        call = stating(intent()) if reading.stated_cost_nanos is not None else intent()
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.settle(call.call_id, reading, end())
        await place.gate.stop()
        (row,) = place.rows.calls()
        assert (row["state"], row["basis"]) == ("settled", "estimated")
        assert CUT in row["flags"]
        assert row["cost_nanos"] <= dollars(1_000)
        assert isinstance(await place.gate.hold(intent()), Admitted)


@pytest.mark.parametrize(
    ("counts", "seen", "basis", "output"),
    [
        pytest.param({"input_tokens": 0, "output_tokens": 0}, 3_000, "estimated", 1_000, id="all zero"),
        pytest.param({"input_tokens": 700, "output_tokens": 0}, 3_000, "estimated", 1_000, id="output zero"),
        pytest.param({"input_tokens": 700, "output_tokens": 1}, 3_000, "reported", 1, id="counted"),
        pytest.param({"input_tokens": 0, "output_tokens": 0}, 0, "reported", 0, id="nothing came"),
    ],
)
async def test_text_that_came_was_not_nothing(tmp_path, counts, seen, basis, output):
    """Hosts that report zeros in streams are estimated: a count that cannot be is a missing one, and no zero."""
    async with house(tmp_path, policy(budget(10**6, hold=Hold.EXPECTED))) as place:
        call = intent()
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.settle(call.call_id, used(output_bytes=seen, **counts), end())
        await place.gate.stop()
        (row,) = place.rows.calls()
        assert (row["basis"], row["output_tokens"]) == (basis, output)
        assert (plausible.ZERO in (row["flags"] or "")) is (basis == "estimated")
        assert row["input_tokens"] == (counts["input_tokens"] or (500 if seen else 0))


def test_a_stated_cost_stands_beside_counts_of_zero():
    """Who bills and says what it costs need not count."""
    call = intent()
    call = stating(call)
    asked = Asked(call, KnownTerms(policy(), PRICES).of(call, 1_000))
    reading = replace(used(input_tokens=0, output_tokens=0, output_bytes=900), stated_cost_nanos=5)
    assert plausible.believed(asked, reading) == reading


async def test_hundreds_of_lies_do_not_overflow_a_balance(tmp_path):
    """Sums stay within what the ledger stores, whatever a provider says how often."""
    async with house(tmp_path, policy(budget(9 * 10**9, hold=Hold.EXPECTED))) as place:
        for _ in range(300):
            call = intent(loops=True)
            assert isinstance(await place.gate.hold(call), Admitted)
            place.gate.settle(call.call_id, lie(output_tokens=10**18), end())
        await place.gate.stop()
        assert 0 < place.rows.spent() < NANOS_OF_A_ROW // 1_000


async def test_a_running_lie_is_cut_too(tmp_path):
    """A hold is corrected by believable counts only."""
    async with house(tmp_path, policy(budget(10**6, hold=Hold.EXPECTED))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.progress(call.call_id, replace(lie(output_tokens=HUGE), final=False))
        assert max(nanos for _, nanos in place.gate.open_calls[call.call_id].holds) <= dollars(1_000)
        place.gate.settle(call.call_id, lie(), end())


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(lie(input_tokens=1_000_000, output_tokens=128_000), id="a million tokens of input"),
        pytest.param(lie(cache_read_tokens=5_000_000), id="more than the price list's window"),
        pytest.param(replace(lie(), stated_cost_nanos=dollars(900)), id="a dear call"),
    ],
)
async def test_what_a_call_can_use_is_reported(tmp_path, reading):
    """Large counts that can be true are the provider's own, to the nano-dollar."""
    async with house(tmp_path, policy(budget(10**6, hold=Hold.EXPECTED))) as place:
        call = intent(model=MODEL)
        await place.gate.hold(call)
        place.gate.settle(call.call_id, reading, end())
        await place.gate.stop()
        (row,) = place.rows.calls()
        assert (row["basis"], row["flags"]) == ("reported", "")


@given(
    st.builds(
        Usage,
        **dict.fromkeys(("input_tokens", "cache_read_tokens", "output_tokens"), st.none() | st.integers(0, 2 * 10**8)),
        web_searches=st.none() | st.integers(0, 20_000),
    ),
    st.none() | st.integers(0, 2 * plausible.STATED_MAX_NANOS),
    st.booleans(),
)
def test_what_is_believed_at_a_glance_is_believed_after_a_look(usage, stated, loops):
    """The quick look at a call of one sampling lets nothing pass that counting would cut."""
    call = intent(loops=loops)
    asked = Asked(call, KnownTerms(policy(), PRICES).of(call, 1_000))
    reading = replace(used(), parts=(Part(usage),), stated_cost_nanos=stated)
    quick = plausible.believed(asked, reading)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plausible, "can_be", lambda *_: False)
        assert plausible.believed(asked, reading) == quick


def test_a_price_counts_only_from_who_bills():
    """A host that is not known to state what it bills may say anything: its counts are priced as any others."""
    call = intent()
    asked = Asked(call, KnownTerms(policy(), PRICES).of(call, 1_000))
    reading = replace(used(), stated_cost_nanos=1)
    assert plausible.believed(asked, reading) == replace(reading, stated_cost_nanos=None)
