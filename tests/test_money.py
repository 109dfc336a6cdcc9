"""Money is exact, integer, and refuses what is not."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.money import NANOS_MAX, NANOS_PER_DOLLAR, Beside, Money, dollars, half_even, short_dollars


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        pytest.param("$20", 20 * NANOS_PER_DOLLAR, id="whole"),
        pytest.param("$1,000.50", 1_000_500_000_000, id="thousands"),
        pytest.param("$0.0001", 100_000, id="four decimals"),
        pytest.param(" $0 ", 0, id="zero"),
    ],
)
def test_amounts_are_read(text: str, nanos: int) -> None:
    """Thousands separators and up to four decimals, exactly."""
    assert Money.parse(text).nanos == nanos


@pytest.mark.parametrize(
    "text", ["20", "$", "$1,00", "$10,0000", "$1.00001", "$-1", "$1e3", "$1.", "€5", "$٣", "$1 000"]
)
def test_other_texts_are_refused(text: str) -> None:
    """One clear error that shows how to write it."""
    with pytest.raises(ValueError, match="write it as"):
        Money.parse(text)


@pytest.mark.parametrize("wrong", [1.0, True, "1", None, Decimal(1)])
def test_only_integers_are_money(wrong: object) -> None:
    """Floats, bools and decimals never become nano-dollars unnoticed."""
    with pytest.raises(TypeError):
        Money(wrong)  # type: ignore[arg-type]


def test_an_amount_that_no_row_holds_is_refused() -> None:
    """Beyond a signed 64-bit integer is an error, not a wrong number."""
    with pytest.raises(ValueError, match="does not fit"):
        Money(NANOS_MAX + 1)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**12))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    """The one rounding agrees with exact fractions, ties to even."""
    assert half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-NANOS_MAX, NANOS_MAX))
def test_printing_loses_nothing(nanos: int) -> None:
    """What is printed can be read back to the nano-dollar."""
    text = dollars(nanos)

    assert int(Decimal(text.replace("$", "").replace(",", "")) * NANOS_PER_DOLLAR) == nanos


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (1_234_567_890_123, "$1,234.57"),
        (12_345_678, "$0.01"),
        (1_234_567, "$0.001235"),
        (-5 * 10**9, "-$5.00"),
    ],
)
def test_people_see_few_digits(nanos: int, text: str) -> None:
    """Cents from a cent up, millionths below."""
    assert short_dollars(nanos) == text


_LIMIT = st.one_of(
    st.integers(0, 10**10).map(lambda hundredths: hundredths * 100_000),  # as a policy can write one
    st.integers(0, NANOS_MAX // 4),  # as a share of one may come out
)


@given(_LIMIT, st.integers(0, NANOS_MAX // 4), st.integers(0, NANOS_MAX // 4), st.integers(1, NANOS_MAX // 4))
def test_what_stands_beside_a_limit_adds_up(limit: int, spent: int, held: int, need: int) -> None:
    """As printed, spent, held and left are the limit, and nobody reads of more room than there is."""
    shown = Beside.of(limit, spent, held)
    read_back = [
        Decimal(dollars(nanos).replace("$", "").replace(",", "")) for nanos in (shown.spent, shown.held, shown.left)
    ]

    assert sum(read_back) * NANOS_PER_DOLLAR == shown.limit
    assert shown.left <= limit - spent - held
    assert shown.spent >= spent and shown.held >= held
    assert limit - shown.limit < shown.step and (limit % 100_000 or shown.limit == limit)
    assert shown.needed(need) > shown.left or need <= limit - spent - held


@pytest.mark.parametrize(
    ("limit", "spent", "held", "texts"),
    [
        pytest.param(2 * 10**10, 1_234_050_001, 7_500_000, "$1.2341 $0.0075 $20.00 $18.7584", id="a usual one"),
        pytest.param(10**9, 1_000_000_001, 0, "$1.0001 $0.00 $1.00 -$0.0001", id="passed by a nano-dollar"),
        pytest.param(100_000, 999, 0, "$0.000001 $0.00 $0.0001 $0.000099", id="a limit below a cent"),
        pytest.param(0, 0, 0, "$0.00 $0.00 $0.00 $0.00", id="none"),
    ],
)
def test_four_decimals_are_enough_beside_a_limit(limit: int, spent: int, held: int, texts: str) -> None:
    """As many as a limit is written with."""
    shown = Beside.of(limit, spent, held)

    assert [dollars(nanos) for nanos in (shown.spent, shown.held, shown.limit, shown.left)] == texts.split()


def test_a_float_never_becomes_dollars() -> None:
    """Dollars come as a finite Decimal or not at all."""
    for wrong in (0.1, Decimal("NaN"), Decimal("Infinity"), 1):
        with pytest.raises(TypeError):
            Money.from_decimal(wrong)  # type: ignore[arg-type]
