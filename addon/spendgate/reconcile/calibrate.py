"""Estimates learn: a factor for each tool and model whose wire shows no counts, from user-days that a bill tells whole.

The factor is the median of billed over estimated, so that no single day decides; "after" is the error on days that the factor
was not learned from. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from fractions import Fraction
from statistics import median
from typing import Final

from msgspec import Struct

from spendgate.calibration import LEAST_PPM, MOST_PPM, ONE_PPM, Factor, Factors
from spendgate.ledger.queries import Reader
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.captured import Call, read_singly
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.run import Options, imported
from spendgate.reconcile.user_days import UserDay, cells_of, user_day

USER_DAYS_LEAST: Final = 5
DAYS_LEAST: Final = 3
"""Of three days each can be left out and the rest still teach."""
CALLS_LEAST: Final = 20
SAME_PPM: Final = 20_000
"""A factor that moves by no more than 2% is no news."""


class Verdict(StrEnum):
    """What becomes of a tool and model."""

    LEARNED = "better"
    TOO_LITTLE = "too little to learn from"
    NO_BETTER = "no better on days that it was not learned from"
    SAME = "as it is"


class Learned(Struct, frozen=True):
    """What the user-days of one tool and model say. Ratios in millionths."""

    tool: str
    model: str
    verdict: Verdict
    days: tuple[UserDay, ...]
    now_ppm: int
    """The factor in force."""
    factor_ppm: int | None = None
    """What it would be; None: too little is known."""
    median_ppm: int | None = None
    """The median itself, where `factor_ppm` was kept within its bounds."""
    spread_ppm: tuple[int, int] | None = None
    """Between which ratios the middle half of the user-days lies."""
    before_ppm: int | None = None
    """The sum of what each user-day is off by with the factor in force, over all that is billed."""
    after_ppm: int | None = None
    """The same with the factor that the other days make of it."""

    @property
    def calls(self) -> int:
        """How many it rests on."""
        return sum(each.calls for each in self.days)

    @property
    def dates(self) -> tuple[int, ...]:
        """Its UTC days."""
        return tuple(sorted({each.day_ms for each in self.days}))


class Lesson(Struct, frozen=True):
    """A whole run."""

    learned: tuple[Learned, ...]
    left_out: tuple[tuple[str, int], ...]
    """User-days that teach nothing, by why."""


def learn(reader: Reader, options: Options, facts: Facts) -> tuple[Lesson, tuple[str, ...]]:
    """What a ledger's calls and the statements imported into it teach, and the names of these."""
    bill = imported(reader, options)
    factors = Factors(Factor(each.tool, each.model, each.factor_ppm, each.name) for each in reader.calibrations())
    calls = read_singly(reader, options.from_ms, options.until_ms)
    return lesson(bill.days, calls, facts, factors, options.now_ms), tuple(each.name for each in bill.inputs)


def lesson(days: Iterable[BilledDay], calls: Iterable[Call], facts: Facts, factors: Factors, now_ms: int) -> Lesson:
    """Learn from closed days. `calls` singly, those of a plan among them; `factors` are those in force."""
    samples: dict[tuple[str, str], list[UserDay]] = defaultdict(list)
    why: Counter[str] = Counter()
    for key, cell in sorted(cells_of(days, calls, facts, now_ms).items()):
        found = user_day(key, cell)
        if isinstance(found, UserDay):
            samples[cell.calls[0].tool, key[3]].append(found)
        elif found:
            why[found] += 1
    learned = tuple(_learned(tool, model, tuple(each), factors) for (tool, model), each in sorted(samples.items()))
    return Lesson(learned, tuple(why.most_common()))


def _learned(tool: str, model: str, days: tuple[UserDay, ...], factors: Factors) -> Learned:
    known = factors.of(tool, model)
    now_ppm = known.ppm if known is not None else ONE_PPM
    dates = {each.day_ms for each in days}
    calls = sum(each.calls for each in days)
    if len(days) < USER_DAYS_LEAST or len(dates) < DAYS_LEAST or calls < CALLS_LEAST:
        return Learned(tool, model, Verdict.TOO_LITTLE, days, now_ppm)
    middle = _median(days)
    factor = _bounded(middle)
    held_out = {at: _bounded(_median([each for each in days if each.day_ms != at])) for at in dates}
    before = _error(days, dict.fromkeys(dates, now_ppm))
    after = _error(days, held_out)
    verdict = Verdict.LEARNED if after < before else Verdict.NO_BETTER
    if abs(factor - now_ppm) * ONE_PPM <= SAME_PPM * now_ppm:
        verdict = Verdict.SAME
    ratios = sorted(_ratio(each) for each in days)
    spread = round(ratios[len(ratios) // 4] * ONE_PPM), round(ratios[-1 - len(ratios) // 4] * ONE_PPM)
    return Learned(tool, model, verdict, days, now_ppm, factor, middle, spread, before, after)


def _ratio(day: UserDay) -> Fraction:
    return Fraction(day.billed) / day.estimated


def _median(days: Sequence[UserDay]) -> int:
    return round(median(_ratio(each) for each in days) * ONE_PPM)


def _bounded(ppm: int) -> int:
    return min(MOST_PPM, max(LEAST_PPM, ppm))


def _error(days: Sequence[UserDay], ppm: dict[int, int]) -> int:
    """How far off all user-days are together, none made up for by another, in millionths of what is billed."""
    off = sum((abs(each.estimated * ppm[each.day_ms] / ONE_PPM - each.billed) for each in days), Fraction(0))
    return round(off / sum(each.billed for each in days) * ONE_PPM)
