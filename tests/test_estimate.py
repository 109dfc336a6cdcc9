"""Bounds and learned sizes: a bound is never passed, equal calls are learned to the nano-dollar, wider kinds stand in."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from spendgate.call_bounds import HIDDEN_INPUT, OUTPUT_GUESSED, OUTPUT_UNPRICED, WINDOW_GUESSED, bound
from spendgate.cost_lines import sample_of
from spendgate.estimate import KindKeys, Sizes
from spendgate.price_cards import UNPRICED, Ladder, Rates
from spendgate.pricing import Charge, PriceBook, utc
from spendgate.providers.ask import Ask
from spendgate.usage import Usage

RATES = Rates(
    input=5_000_000_000, cache_read=500_000_000, cache_write_5m=6_250_000_000, cache_write_1h=10_000_000_000,
    cache_write=6_250_000_000, output=25_000_000_000, web_search=10_000_000_000_000, request=7, context_window=200_000,
    source="test",
)  # fmt: skip
UNKNOWN = {"context_window": None, "source": UNPRICED}
"""What rates have that are a policy's word."""
ASK = Ask(model="m", text_bytes=1_000, output_tokens_max=100)
KEYS = KindKeys.of("claude-code", "m", "anthropic-messages")
counts = st.integers(0, 300_000)


@pytest.mark.parametrize(
    ("ask", "nanos"),
    [
        pytest.param(ASK, 1_000 * 5_000 + 100 * 25_000 + 7, id="bytes as tokens, all output"),
        pytest.param(replace(ASK, choices=3), 1_000 * 5_000 + 300 * 25_000 + 7, id="each choice"),
        pytest.param(replace(ASK, cache_ttl="5m"), 1_000 * 6_250 + 100 * 25_000 + 7, id="cache writes"),
        pytest.param(replace(ASK, cache_ttl="1h"), 1_000 * 10_000 + 100 * 25_000 + 7, id="dear cache writes"),
        pytest.param(
            replace(ASK, opaque_input=True), 200_000 * 5_000 + 100 * 25_000 + 7, id="packed input: the window"
        ),
        pytest.param(replace(ASK, output_tokens_max=None), 1_000 * 5_000 + 200_000 * 25_000 + 7, id="uncapped output"),
        pytest.param(replace(ASK, searches_max=2), 1_000 * 5_000 + 100 * 25_000 + 7 + 2 * 10_000_000, id="searches"),
        pytest.param(replace(ASK, searches_max=None), None, id="uncapped searches"),
        pytest.param(replace(ASK, loops=True), None, id="input billed again and again"),
    ],
)
def test_the_bound_is_the_most_that_a_request_can_cost(ask, nanos):
    """Each thing that a provider may bill is in the bound; what nothing caps has none."""
    found = bound(ask, RATES)

    assert found.ceiling_nanos == nanos
    if ask.output_tokens_max is not None:
        assert found.guess_nanos >= (nanos or 0)


@pytest.mark.parametrize(
    ("ask", "rates", "tokens"),
    [
        pytest.param({"opaque_input": True}, {"context_window": None}, (WINDOW_GUESSED, 100), id="packed, no window"),
        pytest.param({"output_tokens_max": None}, {}, (5_000, OUTPUT_GUESSED), id="uncapped"),
        pytest.param({"output_tokens_max": None}, {"context_window": 4_000}, (4_000, 4_000), id="uncapped, small window"),
        pytest.param({"output_tokens_max": None}, UNKNOWN, (5_000, OUTPUT_UNPRICED), id="unpriced, uncapped"),
        pytest.param({"output_tokens_max": 32_000}, UNKNOWN, (5_000, OUTPUT_UNPRICED), id="unpriced"),
        pytest.param({"output_tokens_max": None, "text_bytes": 60_000}, UNKNOWN, (WINDOW_GUESSED, OUTPUT_UNPRICED), id="long"),
        pytest.param({"text_bytes": 200_000}, UNKNOWN, (200_000, 100), id="longer than the window that is guessed"),
    ],
)  # fmt: skip
def test_what_nothing_bounds_is_guessed_all_the_same(ask, rates, tokens):
    """A window and an output that an agent's first call stays below, at the call's own price: never all that is left."""
    found = bound(replace(ASK, **ask), dataclasses.replace(RATES, **rates))

    assert found.guess_nanos == tokens[0] * 5_000 + tokens[1] * 25_000 + 7
    assert found.output_guess_nanos == tokens[1] * 25_000 + 7


@pytest.mark.parametrize(("own", "most"), [(False, 160_000 * 10_000), (True, 10**7 * 5_000)])
def test_small_calls_of_others_do_not_make_a_large_one_dear(own, most):
    """Sixty-two tokens a byte were hidden input of a small request; a large one of another model has no such window."""
    other, sizes = KindKeys.of("claude-code", "another", "anthropic-messages"), Sizes()
    sizes.learn(KEYS if own else other, sample_of(40, Usage(input_tokens=2_500, output_tokens=0), 12_500_007, RATES))
    ask, unknown = replace(ASK, text_bytes=160_000), dataclasses.replace(RATES, **UNKNOWN)

    assert sizes.size(KEYS, ask, unknown).learned_nanos == most + 7


def test_a_guess_distrusts_the_bound():
    """A cold call is expected to bill up to HIDDEN_INPUT tokens a byte, within the context window."""
    assert bound(ASK, RATES).guess_nanos == 1_000 * HIDDEN_INPUT * 5_000 + 100 * 25_000 + 7
    assert bound(replace(ASK, text_bytes=190_000), RATES).guess_nanos == 200_000 * 5_000 + 100 * 25_000 + 7


@given(
    st.tuples(counts, counts, counts, st.integers(0, 32_000)).filter(any),
    st.integers(1, 2**31),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_equal_calls_are_learned_to_the_nano_dollar(tokens, text_bytes, times, discount):
    """However its price came about, a call like those that were seen is expected to cost exactly what they cost."""
    uncached, read, written, output = tokens
    usage = Usage(input_tokens=uncached, cache_read_tokens=read, cache_write_5m_tokens=written, output_tokens=output)
    dearest = uncached * 5_000 + read * 500 + written * 6_250 + output * 25_000 + 7
    cost, sizes = dearest // discount, Sizes()
    for _ in range(times):
        sizes.learn(KEYS, sample_of(text_bytes, usage, cost, RATES))
    size = sizes.size(KEYS, replace(ASK, text_bytes=text_bytes), dataclasses.replace(RATES, context_window=None))

    assert (size.learned_nanos, size.typical_nanos, size.largest_nanos) == (cost, cost, cost)
    assert (size.spread_nanos, size.seen) == (0, times)


@given(
    st.lists(
        st.tuples(st.integers(1, 10_000), st.integers(0, 5_000), st.integers(0, 5_000)).filter(
            lambda call: any(call[1:])
        ),
        min_size=1,
        max_size=80,
    )
)
def test_learned_figures_keep_their_order(calls):
    """Median and mean never pass the largest; the ring forgets all but the latest."""
    sizes = Sizes()
    for text_bytes, tokens_in, tokens_out in calls:
        usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
        sizes.learn(KEYS, sample_of(text_bytes, usage, tokens_in * 5_000 + tokens_out * 25_000 + 7, RATES))
    size = sizes.size(KEYS, ASK, RATES)

    assert 0 <= size.typical_nanos <= size.largest_nanos
    assert size.learned_nanos <= size.largest_nanos
    assert size.output_nanos <= size.largest_nanos
    assert size.seen == len(calls)


def plainly(sample, text_bytes, rates):
    """What one sample says that a call of so many bytes costs, by exact fractions."""
    use = sample.usage
    by_input = use.input_tokens * rates.input + use.cache_read_tokens * rates.cache_read
    share = Fraction(sample.cost_nanos, sample.dearest_nanos * 1_000_000)
    of_input = share * by_input * text_bytes / sample.text_bytes
    most = Fraction(rates.context_window * rates.input_dearest, 1_000_000)
    return ceil(min(of_input, most) + share * (use.output_tokens * rates.output + rates.request * 1_000_000))


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), counts, counts, counts, st.integers(1, 4)).filter(lambda call: any(call[1:4])),
        min_size=1,
        max_size=70,
    ),
    st.integers(1, 2**26),
    st.sampled_from([RATES, dataclasses.replace(RATES, input=3_000_000_000, output=15_000_000_000, request=0)]),
)
def test_learned_figures_are_those_of_exact_fractions(calls, text_bytes, rates):
    """Of the latest samples at this call's prices: largest and median to a nano-dollar, mean to two, spread to their rounding."""
    sizes, samples = Sizes(), []
    for number, (sample_bytes, uncached, read, output, discount) in enumerate(calls):
        usage = Usage(input_tokens=uncached, cache_read_tokens=read, output_tokens=output)
        cost = (uncached * 5_000 + read * 500 + output * 25_000 + 7) // discount
        samples.append(sample_of(sample_bytes, usage, cost, RATES))
        sizes.learn(KEYS, samples[-1])
        if number == len(calls) // 2:
            sizes.size(KEYS, ASK, rates)  # later samples join those that are priced already
    size = sizes.size(KEYS, replace(ASK, text_bytes=text_bytes), rates)
    costs = sorted(plainly(sample, text_bytes, rates) for sample in samples[-64:])

    assert size.largest_nanos in (costs[-1] - 1, costs[-1], costs[-1] + 1)
    assert abs(size.typical_nanos - costs[(len(costs) - 1) // 2]) <= 1
    assert abs(size.learned_nanos * len(costs) - sum(costs)) <= 2 * len(costs)
    variance = sum(cost * cost for cost in costs) // len(costs) - size.learned_nanos**2
    assert abs(size.spread_nanos**2 - max(0, variance)) <= 4 * costs[-1] + 4


@pytest.mark.parametrize(
    ("known", "seen", "own_seen"),
    [
        pytest.param(KindKeys.of("claude-code", "m", "anthropic-messages"), 9, 9, id="tool and model"),
        pytest.param(KindKeys.of("claude-code", "other", "x"), 4, 0, id="tool"),
        pytest.param(KindKeys.of("another", "other", "anthropic-messages"), 4, 0, id="dialect"),
        pytest.param(KindKeys.of("another", "other", "x"), 4, 0, id="all"),
    ],
)
def test_a_new_model_of_a_known_tool_is_not_cold(known, seen, own_seen):
    """What is not known of a kind is taken from the next wider one, in tokens, at this call's prices, as weaker evidence."""
    sizes, usage = Sizes(), Usage(input_tokens=100, output_tokens=10)
    for _ in range(9):
        sizes.learn(known, sample_of(1_000, usage, 100 * 5_000 + 10 * 25_000 + 7, RATES))
    dearer = dataclasses.replace(RATES, input=10_000_000_000, output=50_000_000_000, request=0)
    size = sizes.size(KEYS, ASK, dearer)

    assert (size.seen, size.own_seen) == (seen, own_seen)
    assert abs(size.learned_nanos - (100 * 10_000 + 10 * 50_000)) <= 10
    assert Sizes().size(KEYS, ASK, RATES).learned_nanos is None


NOTHING = Usage(input_tokens=0, cache_read_tokens=0, output_tokens=0)
"""What Codex's warm-ups are answered with: a report, and all of it zero."""


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 5_000), st.integers(0, 80)), max_size=5))
def test_calls_that_used_nothing_teach_nothing(calls):
    """However many stand between real calls, in whatever kind: each size is what the real ones alone teach, or cold."""
    sizes, real = Sizes(), Sizes()
    for text_bytes, tokens, warm_ups in [*calls, (1, 0, 80)]:
        for _ in range(warm_ups):
            sizes.learn(KEYS, sample_of(text_bytes, NOTHING, 0, RATES))
            sizes.learn(KEYS, sample_of(text_bytes, Usage(input_tokens=9, output_tokens=9), 0, RATES))
        if tokens:
            sample = sample_of(text_bytes, Usage(input_tokens=tokens, output_tokens=1), tokens * 5_000 + 25_007, RATES)
            sizes.learn(KEYS, sample)
            real.learn(KEYS, sample)

        for keys in (KEYS, KindKeys.of("claude-code", "other", "x")):
            assert sizes.size(keys, ASK, RATES) == real.size(keys, ASK, RATES)


def test_a_model_of_no_price_is_known_and_still_teaches_its_tokens():
    """At a price of nothing a call is expected to cost nothing; a dearer model of the tool costs what those tokens would."""
    sizes, gratis = Sizes(), Rates(0, 0, 0, 0, 0, 0, 0, 0, 200_000, "test")
    usage = Usage(input_tokens=100, output_tokens=10)
    sizes.learn(KindKeys.of("claude-code", "gratis", "x"), sample_of(1_000, usage, 0, gratis))

    assert sizes.size(KindKeys.of("claude-code", "gratis", "x"), ASK, gratis).learned_nanos == 0
    assert abs(sizes.size(KEYS, ASK, RATES).learned_nanos - (100 * 5_000 + 10 * 25_000 + 7)) <= 10


def test_counts_that_the_provider_did_not_give_teach_nothing():
    """A missing count is not a zero, and no sample."""
    sizes = Sizes()
    sizes.learn(KEYS, sample_of(1_000, Usage(input_tokens=5), 25_000, RATES))

    assert sizes.size(KEYS, ASK, RATES).learned_nanos is None


@given(st.integers(0, 30_000), st.integers(0, 190_000), st.integers(0, 190_000), st.integers(0, 190_000))
def test_no_real_price_passes_the_bound(output, uncached, read, written):
    """At the real price list, no usage within the request's reach costs more than its bound (promise 3)."""
    book, at = PriceBook(), utc(1_790_000_000_000)
    usage = Usage(input_tokens=uncached, cache_read_tokens=read, cache_write_5m_tokens=written, output_tokens=output)
    ask = Ask(model="claude-sonnet-4-5", text_bytes=usage.input_total, output_tokens_max=output, cache_ttl="5m")
    ladder = book.ladder("anthropic", ask.model, at=at)
    charge = book.price("anthropic", ask.model, usage, at=at)

    assert isinstance(ladder, Ladder)
    assert isinstance(charge, Charge)
    assert charge.nanos <= bound(ask, ladder.upto(ask.text_bytes)).ceiling_nanos


used = st.builds(
    lambda plain, read, written, output: Usage(
        input_tokens=plain, cache_read_tokens=read, cache_write_5m_tokens=written, output_tokens=output
    ),
    counts, counts, counts, counts,
)  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 100_000), used), min_size=1, max_size=100), st.integers(0, 100_000), st.booleans()
)
def test_learned_tokens_are_the_mean_of_the_latest_calls(calls, text_bytes, asked_before):
    """What a rate expects of a call is the mean of its kind's latest calls, input by the bytes; whoever asked before."""
    sizes, samples = Sizes(), []
    for number, (size_bytes, usage) in enumerate(calls):
        if usage.nothing:
            continue
        sizes.learn(KEYS, sample_of(size_bytes, usage, 1, RATES))
        samples.append((max(1, size_bytes), usage))
        if asked_before and number % 7 == 0:
            sizes.tokens(KEYS, ASK)
    latest, size = samples[-64:], max(1, text_bytes)
    if not latest:
        return
    found = sizes.tokens(KEYS, replace(ASK, text_bytes=text_bytes))
    counted = sum(Fraction(u.input_tokens + u.writes, b) * size + u.output_tokens for b, u in latest) / len(latest)
    reads = sum(Fraction(u.cache_read_tokens, b) * size for b, u in latest) / len(latest)
    for exact, tokens in ((counted, found.counted), (reads, found.reads)):
        assert -1 < tokens - exact < 2


@pytest.mark.parametrize(
    ("ask", "tokens"),
    [
        pytest.param(ASK, 250 + 100, id="a token for four bytes, the output it may have"),
        pytest.param(replace(ASK, text_bytes=1_001, choices=2), 251 + 200, id="each choice"),
        pytest.param(replace(ASK, output_tokens_max=32_000), 250 + 4_096, id="much output is seldom used"),
        pytest.param(replace(ASK, output_tokens_max=None), 250 + 4_096, id="uncapped output"),
    ],
)
def test_tokens_of_an_unknown_call_are_guessed(ask, tokens):
    """With nothing learned at all."""
    assert Sizes().tokens(KEYS, ask) == (tokens, 0)


def test_tokens_of_a_new_model_are_those_of_its_tool():
    """A wider kind stands in, as for money."""
    sizes = Sizes()
    sizes.learn(KEYS, sample_of(1_000, Usage(input_tokens=100, output_tokens=10), 1, RATES))

    assert sizes.tokens(KindKeys.of("claude-code", "other", "anthropic-messages"), ASK) == (110, 0)
