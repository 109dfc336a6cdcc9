"""Fees and tiers as rows show them: priced where the list has the price, else flagged, never left out in silence."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gate.world import budget, dollars, end, house, intent, policy
from spendgate.gate.interface import Admitted
from spendgate.providers.interface import Route
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

USED = Usage(input_tokens=1_000, output_tokens=100)


async def row_of(folder, part: Part, provider: str = "openai", model: str = "gpt-5.1"):
    """The row of a call whose answer is this part."""
    folder.mkdir(exist_ok=True)
    async with house(folder, policy(budget(100.0))) as place:
        place.time.wall_ms = 1_796_000_000_000  # in November: tiers have prices from a date on
        call = intent(model=model)
        call = replace(call, route=replace(call.route, provider=provider))
        assert isinstance(call.route, Route)
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, Reading((part,), model, final=True), end())
        return place.rows.calls()[0]


async def test_a_fee_with_a_price_is_charged(tmp_path):
    """Two file searches at $2.50 a thousand, beside the tokens."""
    plain = await row_of(tmp_path / "a", Part(USED))
    row = await row_of(tmp_path / "b", Part(USED, units={"storage_searches": 2}))
    assert row["cost_nanos"] - plain["cost_nanos"] == dollars(0.005)
    assert (row["basis"], row["flags"]) == ("reported", "")


async def test_a_fee_without_a_price_is_flagged(tmp_path):
    """A model whose list has no such fee: its tokens are charged, and the row says what is missing."""
    plain = await row_of(tmp_path / "a", Part(USED), model="gpt-4")
    row = await row_of(tmp_path / "b", Part(USED, units={"storage_searches": 2}), model="gpt-4")
    assert row["cost_nanos"] == plain["cost_nanos"] > 0
    assert row["flags"] == "fee not priced: 2 file_search"


@pytest.mark.parametrize(
    ("provider", "model", "context", "flags"),
    [
        ("openai", "gpt-5.5", {"service_tier": "flex"}, ""),
        ("openai", "gpt-5.1", {"service_tier": "scale"}, "at the plain price: service_tier=scale"),
        ("openai", "gpt-5.1", {"service_tier": "a, secret"}, "at the plain price: service_tier=other"),
        ("anthropic", "claude-sonnet-4-6", {"service_tier": "priority"}, "at the plain price: service_tier=priority"),
        ("anthropic", "claude-sonnet-4-6", {"processing": "batch"}, ""),
        ("aws", "us.amazon.nova-pro-v1:0", {"speed": "optimized"}, "at the plain price: speed=optimized"),
        ("anthropic", "claude-opus-4-1", {"processing": "batch"}, "at the plain price: processing=batch"),
    ],
)
async def test_tiers_reach_the_price_or_are_flagged(tmp_path, provider, model, context, flags):
    """What the answer says it was served at, in the words that genai-prices has; committed tiers have no list price."""
    row = await row_of(tmp_path, Part(USED, context=context), provider, model)
    assert (row["basis"], row["flags"]) == ("reported", flags)
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("units", [{"audio_ms": 60_000}, {"input_characters": 900}])
async def test_units_without_a_price_are_not_free(tmp_path, units):
    """A model that the list prices by tokens alone, billed by something else: an estimate, or what such a call usually costs."""
    row = await row_of(tmp_path, Part(Usage(), units=units))
    assert row["basis"] != "reported"
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize(
    ("model", "usage", "units", "dollars_listed"),
    [
        ("gemini-2.5-flash-image", Usage(10, output_tokens=1290), {"output_image_tokens": 1290}, 0.038703),
        ("gemini-3-pro-image", Usage(10, output_tokens=1120), {"output_image_tokens": 1120}, 0.13442),
        # What was shown contradicts the input: what was drawn is priced all the same.
        ("gemini-2.5-flash-image", Usage(10, output_tokens=1290),
         {"output_image_tokens": 1290, "input_image_tokens": 7, "input_video_tokens": 7}, 0.038703),
        ("gemini-2.5-flash", Usage(0, 100_000, output_tokens=0), {"cache_audio_read_tokens": 100_000}, 0.01),
        ("gemini-2.5-flash", Usage(2_000, 1_000, output_tokens=0, input_audio_tokens=1_000),
         {"input_image_tokens": 500, "cache_image_read_tokens": 0}, 0.00133),
    ],
)  # fmt: skip
async def test_googles_media_have_prices_of_their_own(tmp_path, model, usage, units, dollars_listed):
    """As genai-prices reads such an answer: images that were made, and audio that was cached."""
    row = await row_of(tmp_path, Part(usage, units=units), "google", model)
    assert (row["basis"], row["cost_nanos"], row["flags"]) == ("reported", dollars(dollars_listed), "")
