"""How much may stay unexplained, and whether it is more.

What is judged is the unexplained money of each day, key and model, added up without its sign: two days, or two keys of one day,
that are off in opposite ways do not make a good month. The gap itself is not judged: a gap whose causes are known is what a
report is for.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from spendgate.money import CENT, Money, dollars, half_even, short_dollars
from spendgate.reconcile.result import Day, Result, State

FINAL_SHARE: Final = 5_000
"""Millionths of what is billed in scope on final days: half a percent, by default …"""
SETTLING_SHARE: Final = 100_000
"""… and a tenth on days that the provider may still add to."""
_MILLION: Final = 1_000_000
_PERCENT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?\s*%", re.ASCII)


class Tolerance(Struct, frozen=True):
    """As it was asked for; neither: by how final the days are."""

    nanos: int | None = None
    millionths: int | None = None
    """Of what is billed in scope: seats, taxes and keys that are used elsewhere allow nothing."""

    @classmethod
    def parse(cls, text: str) -> Tolerance:
        """Read `2%`, `0.5%`, `$5`. Raises ValueError with what is allowed."""
        found = _PERCENT.fullmatch(text.strip())
        if found is not None:
            share = int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))
            if share <= 100 * 10_000:
                return cls(millionths=share)
        elif text.strip().startswith("$"):
            return cls(nanos=Money.parse(text).nanos)
        raise ValueError(f"{text[:60]!r} is no tolerance; write a share of the bill, as 0.5%, or an amount, as $5")


DEFAULT: Final = Tolerance()


class Judged(Struct, frozen=True):
    """A run beside its tolerance, in nano-dollars."""

    off_nanos: int
    """What is unexplained of each day, key and model, without signs."""
    allowed_nanos: int
    told: str
    """The tolerance and how it was made, for people."""
    compared: bool
    """Whether there was a closed day to compare calls with at all."""

    @property
    def over(self) -> bool:
        """Whether the run is no good answer. One that compared nothing is none."""
        return not self.compared or self.off_nanos > self.allowed_nanos


def judged(result: Result, tolerance: Tolerance = DEFAULT) -> Judged:
    """The unexplained against what is allowed."""
    off = sum(abs(day.unexplained_nanos) if day.off_nanos is None else day.off_nanos for day in result.days)
    allowed, told = _allowed(result, tolerance)
    return Judged(off, allowed, told, any(day.compared for day in result.days))


def _allowed(result: Result, tolerance: Tolerance) -> tuple[int, str]:
    if tolerance.nanos is not None:
        return tolerance.nanos, dollars(tolerance.nanos)
    if tolerance.millionths is not None:
        nanos = _share(abs(sum(map(_in_scope, result.days))), tolerance.millionths)
        return nanos, f"{short_dollars(nanos)} ({_percent(tolerance.millionths)} of what is billed in scope)"
    billed = {state: sum(abs(_in_scope(day)) for day in result.days if day.state is state) for state in State}
    nanos = _share(billed[State.FINAL], FINAL_SHARE) + _share(billed[State.SETTLING], SETTLING_SHARE)
    parts = [f"{_percent(FINAL_SHARE)} of what is billed in scope on final days"]
    if billed[State.SETTLING]:
        parts.append(f"{_percent(SETTLING_SHARE)} on settling ones")
    return max(nanos, CENT), f"{short_dollars(max(nanos, CENT))} ({', '.join(parts)}, at least {dollars(CENT)})"


def _in_scope(day: Day) -> int:
    return day.billed_nanos if day.in_scope_nanos is None else day.in_scope_nanos


def _share(nanos: int, millionths: int) -> int:
    return half_even(nanos * millionths, _MILLION)


def _percent(millionths: int) -> str:
    whole, part = divmod(millionths, 10_000)
    return f"{whole}.{part:04d}".rstrip("0").rstrip(".") + "%"
