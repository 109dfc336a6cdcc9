"""Money is an integer number of nano-dollars (1e-9 USD).

Asset scale 9: a list price of $0.015 per million tokens is 15 nano-dollars a token, and a signed 64-bit integer holds
$9.2 billion. Nothing here is a float and nothing accepts one. `half_even` is the only place in Spendgate that rounds money,
once for each call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

NANOS_PER_DOLLAR = 1_000_000_000
NANOS_MAX = 2**63 - 1
CENT = NANOS_PER_DOLLAR // 100
_HUNDREDTH_CENT = CENT // 100
_MILLIONTH = NANOS_PER_DOLLAR // 1_000_000
_SHOWN_MAX = 60
_DIGITS_MAX = len(str(NANOS_MAX // NANOS_PER_DOLLAR))
_AMOUNT = re.compile(r"\$(?P<whole>0|[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*)(?:\.(?P<cents>\d{1,4}))?", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Money:
    """An amount in nano-dollars; may be negative in differences, never in limits."""

    nanos: int

    def __post_init__(self) -> None:
        if type(self.nanos) is not int:
            raise TypeError(f"Money takes an integer number of nano-dollars, not {type(self.nanos).__name__}")
        if not -NANOS_MAX <= self.nanos <= NANOS_MAX:
            raise ValueError(f"an amount of {self.nanos} nano-dollars does not fit a ledger row")

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read `$20`, `$1,000.50`: thousands separators allowed, at most 4 decimals.

        Raises ValueError with what was found and what is allowed.
        """
        found = _AMOUNT.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text[:_SHOWN_MAX]!r} is not an amount; write it as $20, $1,000 or $0.25 (at most 4 decimals)"
            )
        digits = found["whole"].replace(",", "")
        if len(digits) > _DIGITS_MAX or int(digits) > NANOS_MAX // NANOS_PER_DOLLAR - 1:
            raise ValueError(
                f"{text[:_SHOWN_MAX]!r} is more than a ledger row holds; allowed: less than $9,223,372,036"
            )
        whole = int(digits) * NANOS_PER_DOLLAR
        part = int((found["cents"] or "").ljust(9, "0"))
        return cls(whole + part)

    @classmethod
    def from_decimal(cls, dollars: Decimal) -> Money:
        """Dollars to whole nano-dollars, half-even."""
        if type(dollars) is not Decimal or not dollars.is_finite():
            raise TypeError(f"dollars must be a finite Decimal, not {dollars!r}")
        numerator, denominator = dollars.as_integer_ratio()
        return cls(half_even(numerator * NANOS_PER_DOLLAR, denominator))

    def __add__(self, other: Money) -> Money:
        return Money(self.nanos + other.nanos)

    def __sub__(self, other: Money) -> Money:
        return Money(self.nanos - other.nanos)

    def __str__(self) -> str:
        return dollars(self.nanos)


def half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest whole, ties to even. The one place that rounds money."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))


def dollars(nanos: int, *, places_min: int = 2) -> str:
    """Print nano-dollars exactly: at least two decimals, and as many more as the amount really has. `$1,000.50`."""
    sign = "-" if nanos < 0 else ""
    whole, part = divmod(abs(nanos), NANOS_PER_DOLLAR)
    digits = f"{part:09d}".rstrip("0").ljust(places_min, "0")
    return f"{sign}${whole:,}.{digits}" if digits else f"{sign}${whole:,}"


def short_dollars(nanos: int) -> str:
    """Print for people: whole cents from one cent up, millionths of a dollar below. Never used for a computation."""
    step = CENT if abs(nanos) >= CENT else _MILLIONTH
    return dollars(half_even(nanos, step) * step)


@dataclass(frozen=True, slots=True)
class Beside:
    """Amounts that stand beside a limit, each a whole number of `step`, so that what is printed adds up, in nano-dollars:
    `spent + held + left == limit`.

    A limit is written with at most four decimals, and so are these (one below a cent to the millionth). Spent and held are
    rounded up and left is what remains, so that nobody reads of more room than there is.
    """

    limit: int
    spent: int
    held: int
    step: int

    @classmethod
    def of(cls, limit_nanos: int, spent_nanos: int, held_nanos: int = 0) -> Beside:
        """The amounts as they are printed."""
        step = _HUNDREDTH_CENT if limit_nanos >= CENT else _MILLIONTH
        return cls(limit_nanos // step * step, _up(spent_nanos, step), _up(held_nanos, step), step)

    @property
    def left(self) -> int:
        """What is neither spent nor held; below zero where the limit was passed."""
        return self.limit - self.spent - self.held

    def needed(self, nanos: int) -> int:
        """What a call needs of it: rounded up, so that it is more than what is left where it is refused."""
        return _up(nanos, self.step)


def _up(nanos: int, step: int) -> int:
    return -(-nanos // step) * step
