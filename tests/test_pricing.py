"""Prices equal genai-prices' own, to the nano-dollar."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from spendgate.money import Money
from spendgate.price_cards import Ladder
from spendgate.pricing import Charge, PriceBook, UnknownPrice, unknown_price, utc
from spendgate.usage import Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = PriceBook()
PRICED = [(p.id, m.id) for p in get_snapshot().providers if p.id in {"anthropic", "openai"} for m in p.models]
counts = st.integers(0, 400_000)


def listed(provider: str, model: str, usage: Usage, context: dict[str, str] | None = None, at: datetime = NOW) -> int:
    """genai-prices' answer, asked the long way and rounded to nano-dollars."""
    given_counts = {
        "input_tokens": usage.input_total,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.writes,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "web_searches": usage.web_searches,
    }
    asked = ListedUsage(**{name: count for name, count in given_counts.items() if count})
    price = calc_price(asked, model, provider_id=provider, genai_request_timestamp=at, price_context=context)
    return Money.from_decimal(price.total_price).nanos


@given(
    st.sampled_from(PRICED),
    st.builds(
        Usage,
        input_tokens=counts,
        cache_read_tokens=counts,
        cache_write_5m_tokens=counts,
        cache_write_1h_tokens=counts,
        cache_write_tokens=counts,
        output_tokens=counts,
        web_searches=st.integers(0, 9),
    ),
)
def test_a_price_equals_genai_prices(priced: tuple[str, str], usage: Usage) -> None:
    """Every model, every mix of counts, every tier: the same nano-dollars as the library's own answer."""
    got = BOOK.price(*priced, usage, at=NOW)

    if isinstance(
        got, UnknownPrice
    ):  # a few ids of the data do not match themselves; the library knows none then either
        try:
            assert listed(*priced, usage) == 0  # a model without a price for tokens costs nothing there
        except LookupError:
            pass
    else:
        assert got.nanos == listed(*priced, usage)


@pytest.mark.parametrize(
    ("provider", "model", "context"),
    [
        pytest.param("openai", "gpt-5.1", {"service_tier": "flex"}, id="flex"),
        pytest.param("openai", "gpt-5.1", {"service_tier": "priority"}, id="priority"),
        pytest.param("openai", "gpt-5.1", {"service_tier": "default"}, id="default"),
        pytest.param("anthropic", "claude-sonnet-4-5", {"processing": "batch"}, id="batch"),
        pytest.param("anthropic", "claude-opus-5", {"speed": "fast", "service_tier": "standard"}, id="fast"),
    ],
)
def test_a_context_changes_the_price_as_genai_prices_does(provider: str, model: str, context: dict[str, str]) -> None:
    """Service tier, batch and speed come from the library's own variants."""
    usage = Usage(input_tokens=1234, cache_read_tokens=77, output_tokens=99)

    got = BOOK.price(provider, model, usage, at=NOW, context=context)

    assert isinstance(got, Charge)
    assert got.nanos == listed(provider, model, usage, context)


def test_us_inference_costs_a_tenth_more() -> None:
    """`inference_geo: us` multiplies by exactly 1.1 on Claude 4.6 and later, and by nothing before."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)

    plain, us = (BOOK.price("anthropic", "claude-opus-5", usage, at=NOW, geo=geo) for geo in (None, "us"))
    old, old_us = (BOOK.price("anthropic", "claude-opus-4-1", usage, at=NOW, geo=geo) for geo in (None, "us"))

    assert isinstance(plain, Charge) and isinstance(us, Charge) and us.nanos * 10 == plain.nanos * 11
    assert "geo=us" in us.source
    assert isinstance(old, Charge) and isinstance(old_us, Charge) and old.nanos == old_us.nanos


@pytest.mark.parametrize("units", [None, {"storage_searches": 0}])
def test_us_inference_makes_no_search_dearer(units: dict[str, int] | None) -> None:
    """100 searches are $1 wherever Claude runs, beside tokens that cost a tenth more."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0, web_searches=100)
    us = BOOK.price("anthropic", "claude-opus-5", usage, at=NOW, geo="us", units=units)
    assert isinstance(us, Charge) and us.nanos == 6_500_000_000
    each = [BOOK.units("anthropic", "claude-opus-5", 0, at=NOW, geo=geo) for geo in (None, "us")]
    assert isinstance(each[0], dict) and isinstance(each[1], dict)
    assert each[0]["web_searches"] == each[1]["web_searches"] == 10_000_000
    assert each[1]["output_tokens"] * 10 == each[0]["output_tokens"] * 11


@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", "no-such-model"), ("no-such-provider", "claude-opus-5"), ("openai", None)]
)
def test_an_unknown_price_is_a_value(provider: str, model: str | None) -> None:
    """A model or provider that nobody prices is never free and never an exception."""
    assert BOOK.price(provider, model, Usage(input_tokens=1), at=NOW) == UnknownPrice(provider, model)
    assert BOOK.ladder(provider, model, at=NOW) == UnknownPrice(provider, model)


REGIONS = ["in", "ap", "eusc", "il", "mx", "kr", "uk", "us-iso", "us-iso-b", "eu-isoe"]


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_that_no_list_knows_has_its_models_price(region: str) -> None:
    """Also behind an ARN."""
    usage, name = Usage(input_tokens=1_000, output_tokens=10), "anthropic.claude-opus-4-5-20251101-v1:0"
    listed = BOOK.price("aws", name, usage, at=NOW)
    assert isinstance(listed, Charge) and listed.nanos > 0
    assert BOOK.price("aws", f"{region}.{name}", usage, at=NOW) == listed
    arn = f"arn:aws:bedrock:ap-south-1:123456789012:inference-profile/{region}.{name}"
    assert BOOK.price("aws", arn, usage, at=NOW) == listed


@pytest.mark.parametrize(
    ("provider", "name", "model"),
    [
        ("anthropic", "Claude Opus 4.5", "claude-opus-4-5"),
        ("anthropic", "claude-opus4.5", "claude-opus-4-5"),
        ("anthropic", "claude%2Dopus-4.5", "claude-opus-4-5"),
        ("openai", "GPT\u20105 Pro", "gpt-5-pro"),
    ],
)
def test_a_spelling_has_its_models_price(provider: str, name: str, model: str) -> None:
    """What only writing adds changes no price."""
    usage = Usage(input_tokens=1_000, output_tokens=10)
    assert (
        BOOK.price(provider, name, usage, at=NOW)
        == BOOK.price(provider, model, usage, at=NOW)
        != UnknownPrice(provider, name)
    )


def test_the_policys_price_for_an_unknown_model() -> None:
    """$15 and $75 for a million tokens: all input, cached or not, at the one price."""
    usage = Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=10)

    assert unknown_price(usage, input_per_million=15 * 10**9, output_per_million=75 * 10**9) == 30_750_000


@given(st.sampled_from(PRICED), counts, counts, counts)
def test_rates_bound_every_price(priced: tuple[str, str], text: int, read: int, out: int) -> None:
    """No call of these sizes costs more than the dearest rates say, whatever its tier."""
    ladder = BOOK.ladder(*priced, at=NOW)
    got = BOOK.price(*priced, Usage(input_tokens=text, cache_write_1h_tokens=read, output_tokens=out), at=NOW, geo="us")

    if not isinstance(ladder, UnknownPrice) and isinstance(got, Charge):
        rates = ladder.upto(None)
        bound = rates.request * 1_000_000 + (text + read) * rates.input_dearest + out * rates.output
        assert got.nanos * 1_000_000 <= bound + 1_000_000


@pytest.mark.parametrize("model", ["gpt-audio", "gpt-audio-mini", "gpt-realtime", "gpt-4o-transcribe"])
def test_rates_bound_a_call_of_audio_alone(model: str) -> None:
    """Audio costs up to 16 times as much as text: the bound is that of audio where a model takes or gives it."""
    usage = Usage(input_tokens=700, input_audio_tokens=700, output_tokens=900, output_audio_tokens=900)
    ladder, got = BOOK.ladder("openai", model, at=NOW), BOOK.price("openai", model, usage, at=NOW)
    assert isinstance(ladder, Ladder)
    assert isinstance(got, Charge)
    rates = ladder.upto(None)
    assert got.nanos * 1_000_000 <= 700 * rates.input + 900 * rates.output + rates.request * 1_000_000


def test_what_a_request_costs_is_in_no_token_of_its_bound() -> None:
    """Perplexity's Sonar costs $0.012 a request and $1 for a million tokens: a bound has the first once, not for each token."""
    ladder = BOOK.ladder("perplexity", "sonar", at=NOW)
    assert isinstance(ladder, Ladder)
    rates = ladder.upto(None)
    assert (rates.request, rates.input, rates.output) == (12_000_000, 10**9, 10**9)
    assert not BOOK.has_unit("perplexity", "sonar", "storage_searches", at=NOW)


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("openai/gpt-oss-120b", "huggingface_novita/openai/gpt-oss-120b"),
        ("openai/gpt-oss-120b:groq", "huggingface_groq/openai/gpt-oss-120b"),
        ("openai/gpt-oss-120b:cheapest", "huggingface_novita/openai/gpt-oss-120b"),
    ],
)
def test_hugging_faces_partner_stands_behind_the_model(model: str, source: str) -> None:
    """The partner's own list prices it; a word on how the router is to choose leaves the host's."""
    got = BOOK.price("huggingface_novita", model, Usage(input_tokens=10), at=NOW)

    assert isinstance(got, Charge)
    assert got.source == f"bundled:{source}"
    assert BOOK.price("openai", "gpt-5.4:groq", Usage(input_tokens=10), at=NOW) == UnknownPrice(
        "openai", "gpt-5.4:groq"
    )


def test_prices_have_dates() -> None:
    """A model whose price changed costs what it cost at the call's own instant."""
    usage = Usage(input_tokens=250_000, output_tokens=1)
    before, after = (
        BOOK.price("anthropic", "claude-opus-4-6", usage, at=utc(ms)) for ms in (1_772_000_000_000, 1_790_000_000_000)
    )

    assert isinstance(before, Charge) and isinstance(after, Charge)
    assert before.nanos > after.nanos  # the tier above 200,000 tokens was retired in between
    assert Money.from_decimal(Decimal("0.000000001")).nanos == 1


HOURLY = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if isinstance(model.prices, list)
    if any(isinstance(price.constraint, TimeOfDateConstraint) for price in model.prices)
]
instants = st.one_of(
    st.integers(1_750_000_000_000, 1_810_000_000_000).map(utc),
    # Where dates and hours change, to the millisecond.
    st.builds(
        lambda day, minute, ms: utc(1_750_032_000_000 + day * 86_400_000 + minute * 1_800_000 + ms),
        st.integers(0, 600), st.integers(0, 48), st.sampled_from([-1, 0, 1]),
    ),
)  # fmt: skip


@given(st.sampled_from(HOURLY + PRICED), st.lists(instants, min_size=1, max_size=6))
def test_a_remembered_price_is_that_of_its_own_instant(priced: tuple[str, str], moments: list[datetime]) -> None:
    """Whatever was asked before, each instant's price is genai-prices' own: by date, by hour of the day, back and forth."""
    usage = Usage(input_tokens=250_000, cache_read_tokens=1_000, output_tokens=77)
    for at in moments:
        got = BOOK.price(*priced, usage, at=at)
        if isinstance(got, Charge):
            assert got.nanos == listed(*priced, usage, at=at)


@given(instants, instants)
def test_prices_hold_from_one_change_to_the_next(one: datetime, other: datetime) -> None:
    """Instants that share their `since` share every model's prices, in whatever zone they are written."""
    since = BOOK.since(one)

    assert since <= one < since + timedelta(days=1)
    assert BOOK.since(since) == since
    assert BOOK.since(one.astimezone(timezone(timedelta(hours=-7)))) == since
    if BOOK.since(other) == since:
        for provider in get_snapshot().providers:
            for model in provider.models:
                assert model.get_prices(one) is model.get_prices(other)


def test_an_hour_written_in_another_zone_is_that_instant() -> None:
    """genai-prices reads the hours of a price in their own zone; they are compared in UTC."""
    east = timezone(timedelta(hours=2))
    night = TimeOfDateConstraint(start_time=time(1, tzinfo=east), end_time=time(3, 30))
    model = ModelInfo(
        id="m", match=ClauseEquals(equals="m"),
        prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(2))),
            ConditionalPrice(constraint=night, prices=ModelPrice(input_mtok=Decimal(1))),
        ],
    )  # fmt: skip
    provider = Provider(id="p", name="P", api_pattern="p", models=[model])
    book = PriceBook(DataSnapshot(providers=[provider], from_auto_update=False))
    paid = {}
    for hour in range(24):
        charge = book.price("p", "m", Usage(input_tokens=1_000_000), at=datetime(2026, 5, 1, hour, 15, tzinfo=UTC))
        assert isinstance(charge, Charge)
        paid[hour] = charge.nanos // 10**9

    assert [hour for hour, price in paid.items() if price == 1] == [0, 1, 2, 3, 23]
