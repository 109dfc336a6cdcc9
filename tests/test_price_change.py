"""What a policy makes of a list price is exact, rounded once, and bounded by what is held for it."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from spendgate.call_bounds import bound
from spendgate.money import NANOS_PER_DOLLAR, half_even
from spendgate.price_change import RATES, PriceChange
from spendgate.pricing import Charge, PriceBook, UnknownPrice
from spendgate.providers.ask import Ask
from spendgate.usage import Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = PriceBook()
MODELS = [(p.id, m.id) for p in get_snapshot().providers if p.id in {"anthropic", "openai", "google"} for m in p.models]
OPUS = ("anthropic", "claude-opus-4-5")
GPT = ("openai", "gpt-5")
factors = st.integers(1, 100_000_000)
rates = st.dictionaries(st.sampled_from(RATES), st.integers(0, 100 * NANOS_PER_DOLLAR), min_size=1).map(
    lambda found: tuple(found.items())
)
counts = st.integers(0, 400_000)
usages = st.builds(
    Usage, input_tokens=counts, cache_read_tokens=counts, cache_write_5m_tokens=counts, cache_write_1h_tokens=counts,
    cache_write_tokens=counts, output_tokens=counts, web_searches=st.integers(0, 20),
)  # fmt: skip


def times(factor: str, where: str = "pricing.adjust[1]") -> PriceChange:
    """A change by a factor."""
    return PriceChange(where, int(Fraction(factor) * 1_000_000))


def setting(**dollars: str) -> PriceChange:
    """A change by rates of its own, in dollars for a million tokens."""
    return PriceChange(
        "pricing.adjust[2]",
        None,
        tuple((name, int(Fraction(each) * NANOS_PER_DOLLAR)) for name, each in dollars.items()),
    )


def priced(model: tuple[str, str], usage: Usage, change: PriceChange | None, geo: str | None = None) -> Charge:
    """The charge of a listed model."""
    found = BOOK.price(*model, usage, at=NOW, change=change, geo=geo)
    assert isinstance(found, Charge)
    return found


def exact(model: tuple[str, str], usage: Usage) -> Fraction:
    """The list price, not rounded, from the units that the list gives."""
    units = BOOK.units(*model, usage.input_total, at=NOW)
    assert not isinstance(units, UnknownPrice)
    given_counts = {name: getattr(usage, name) or 0 for name in Usage.__struct_fields__}
    return sum((units[name] * count for name, count in given_counts.items()), units["request"])


@given(st.sampled_from(MODELS), usages, factors)
def test_a_factor_is_exact_and_rounded_once(model: tuple[str, str], usage: Usage, millionths: int) -> None:
    """What is charged is the exact list price times the factor, to the nearest nano-dollar, ties to even."""
    change = PriceChange("pricing.adjust[1]", millionths)
    if isinstance(BOOK.price(*model, usage, at=NOW), UnknownPrice):
        return
    wanted = exact(model, usage) * Fraction(millionths, 1_000_000)
    assert priced(model, usage, change).nanos == half_even(wanted.numerator, wanted.denominator)


@given(
    st.sampled_from(MODELS),
    st.tuples(st.integers(0, 500_000), st.integers(0, 100_000), st.sampled_from([None, "5m", "1h"])),
    st.one_of(factors.map(lambda each: PriceChange("x", each)), rates.map(lambda each: PriceChange("x", None, each))),
    st.data(),
)
def test_no_charge_passes_its_bound(
    model: tuple[str, str], asked: tuple[int, int, str | None], change: PriceChange, data: st.DataObject
) -> None:
    """Whatever a policy makes of the price: a call that uses no more than its request shows costs no more than its bound."""
    text_bytes, output, ttl = asked
    ladder = BOOK.ladder(*model, at=NOW, change=change)
    if isinstance(ladder, UnknownPrice):
        return
    ask = Ask(text_bytes=text_bytes, output_tokens_max=output, cache_ttl=ttl)
    most = bound(ask, ladder.upto(text_bytes)).ceiling_nanos
    assert most is not None
    left, used = text_bytes, {}
    written = {"5m": ["cache_write_5m_tokens"], "1h": ["cache_write_5m_tokens", "cache_write_1h_tokens"], None: []}[ttl]
    for name in ["cache_read_tokens", *written, "input_tokens"]:
        used[name] = data.draw(st.integers(0, left))
        left -= used[name]
    shown = data.draw(st.integers(0, output))
    usage = Usage(**used, output_tokens=shown, reasoning_tokens=data.draw(st.integers(0, shown)))
    if isinstance(BOOK.price(*model, usage, at=NOW, change=change), UnknownPrice):
        return  # speech is priced by characters: tokens have no price there, and no charge

    assert priced(model, usage, change).nanos <= most


@given(usages)
def test_set_rates_are_the_whole_price_of_what_they_name(usage: Usage) -> None:
    """Input, output and cache reads at the contract's price, the rest at list price; each million at its rate exactly."""
    change = setting(input="1", output="8", cache_read="0.10")
    rest = Usage(
        cache_write_5m_tokens=usage.cache_write_5m_tokens, cache_write_1h_tokens=usage.cache_write_1h_tokens,
        web_searches=usage.web_searches,
    )  # fmt: skip
    plain = Usage(
        input_tokens=usage.input_tokens, cache_read_tokens=usage.cache_read_tokens, output_tokens=usage.output_tokens
    )
    contract = (
        1_000 * (usage.input_tokens or 0) + 8_000 * (usage.output_tokens or 0) + 100 * (usage.cache_read_tokens or 0)
    )

    assert priced(OPUS, plain, change).nanos == contract
    assert priced(OPUS, rest, change).nanos == priced(OPUS, rest, None).nanos


def test_set_input_carries_what_the_list_prices_as_input() -> None:
    """OpenAI's list has no price of its own for audio or cache writes of text models: they go with the input's new price."""
    change = setting(input="1", output="8")

    assert priced(GPT, Usage(input_tokens=1_000_000), change).nanos == NANOS_PER_DOLLAR
    assert priced(GPT, Usage(input_tokens=0, cache_write_tokens=1_000_000), change).nanos == NANOS_PER_DOLLAR
    reasoning = Usage(input_tokens=0, output_tokens=1_000_000, reasoning_tokens=600_000)
    assert priced(GPT, reasoning, change).nanos == 8 * NANOS_PER_DOLLAR


def test_rates_hold_in_every_tier_of_input() -> None:
    """A contract's price does not rise with the input: the list's tiers are the list's."""
    change = setting(input="2")
    model = ("anthropic", "claude-sonnet-4-5")
    small, large = Usage(input_tokens=1_000), Usage(input_tokens=400_000)

    assert priced(model, small, change).nanos == 2_000 * 1_000
    assert priced(model, large, change).nanos == 2_000 * 400_000
    assert priced(model, large, None).nanos > 400 * priced(model, small, None).nanos


def test_a_regional_premium_comes_on_top() -> None:
    """Anthropic's US region costs a tenth more, of a contract's price, too."""
    model, usage = ("anthropic", "claude-opus-4-6"), Usage(input_tokens=1_000)

    assert priced(model, usage, setting(input="2"), geo="us").nanos == 2_200_000
    assert priced(model, usage, times("0.5"), geo="us").nanos == priced(model, usage, None, geo="us").nanos // 2


def test_rates_of_input_and_output_price_a_model_that_no_list_has() -> None:
    """A model of the company's own: with both rates it has a price, with one or a factor it has none."""
    usage = Usage(input_tokens=1_000, cache_read_tokens=1_000, output_tokens=100)
    own = ("acme", "acme-large")

    found = BOOK.price(*own, usage, at=NOW, change=setting(input="1", output="8"))
    assert found == Charge(2_000 * 1_000 + 100 * 8_000, "policy:acme/acme-large;pricing.adjust[2]=input $1 output $8")
    for change in (setting(input="1"), times("0.5"), None):
        assert isinstance(BOOK.price(*own, usage, at=NOW, change=change), UnknownPrice)
        assert isinstance(BOOK.ladder(*own, at=NOW, change=change), UnknownPrice)


def test_units_beside_tokens_follow_a_factor_and_keep_list_price_beside_rates() -> None:
    """An image's tokens: a factor is on all of it; rates move the tokens, and what an image costs more stays."""
    model, units = ("openai", "gpt-image-1"), {"output_image_tokens": 1_000}
    usage = Usage(input_tokens=100, output_tokens=1_000)

    def cost(change: PriceChange | None) -> int:
        found = BOOK.price(*model, usage, at=NOW, units=units, change=change)
        assert isinstance(found, Charge)
        return found.nanos

    assert cost(None) > 0
    assert cost(times("0.5")) * 2 == cost(None)
    assert cost(setting(input="1")) == cost(None) - 100 * (5_000 - 1_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (times("0.85"), "x 0.85"),
        (times("1"), "x 1"),
        (times("0.000001"), "x 0.000001"),
        (setting(input="1000", cache_read="0.1"), "input $1000 cache_read $0.1"),
    ],
)
def test_a_source_tells_the_change(change: PriceChange, words: str) -> None:
    """A row's `prices` says by which entry and how, without the signs that separate its parts."""
    source = priced(OPUS, Usage(input_tokens=1), change).source

    assert source.endswith(f":anthropic/claude-opus-4-5;{change.where}={words}")
    assert "," not in source
