"""Estimates learn: a factor for each tool and model whose wire shows no counts, from user-days that a bill tells whole.

What one person used of one model on one closed UTC day is a user-day. It teaches only where the bill and the ledger are about the
same requests, one for one: as many on the bill as calls, and where the bill tells moments, each within minutes of a call of its
own. Usage outside the gate would else make every factor too large. The factor is the median of billed over estimated, so that no
single day decides; "after" is the error on days that the factor was not learned from. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from fractions import Fraction
from statistics import median
from typing import Final

from msgspec import Struct

from spendgate.calibration import LEAST_PPM, MOST_PPM, ONE_PPM, Factor, Factors, as_estimated
from spendgate.ledger.queries import Reader
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.captured import Call, read_singly
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.finality import is_young
from spendgate.reconcile.folding import raw_of
from spendgate.reconcile.identities import Identities
from spendgate.reconcile.moments import APART_MS
from spendgate.reconcile.naming import ELSEWHERE_PRODUCTS, day_of, model_of, product_of
from spendgate.reconcile.run import Options, imported
from spendgate.statement import Billed, Charge, Line
from spendgate.usage import NO_USAGE

USER_DAYS_LEAST: Final = 5
DAYS_LEAST: Final = 3
"""Of three days each can be left out and the rest still teach."""
CALLS_LEAST: Final = 20
SAME_PPM: Final = 20_000
"""A factor that moves by no more than 2% is no news."""
_MOMENT_MS: Final = 1_000
_CHAT: Final = frozenset({"chat", "cowork", "chat_cowork_unified"})
"""What a bill calls the traffic of `_CHAT_HOSTS`."""
_CHAT_HOSTS: Final = frozenset({"claude.ai"})


class Verdict(StrEnum):
    """What becomes of a tool and model."""

    LEARNED = "better"
    TOO_LITTLE = "too little to learn from"
    NO_BETTER = "no better on days that it was not learned from"
    SAME = "as it is"


class UserDay(Struct, frozen=True):
    """One person's use of one tool and model on one day, the same requests on both sides. Nano-dollars at list price."""

    day_ms: int
    person: str
    calls: int
    estimated: Fraction
    """Before any calibration."""
    billed: int


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


class _Cell:
    """Both sides of one user-day."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.calls: list[Call] = []


_Key = tuple[str, int, str, str, bool]
"""Provider, day, person, model, whether it is chat."""


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
    for key, cell in sorted(_cells(days, calls, facts, now_ms).items()):
        found = _user_day(key, cell)
        if isinstance(found, UserDay):
            samples[cell.calls[0].tool, key[3]].append(found)
        elif found:
            why[found] += 1
    learned = tuple(_learned(tool, model, tuple(each), factors) for (tool, model), each in sorted(samples.items()))
    return Lesson(learned, tuple(why.most_common()))


def _cells(days: Iterable[BilledDay], calls: Iterable[Call], facts: Facts, now_ms: int) -> dict[_Key, _Cell]:
    """Those with estimated calls; of the others nothing can be learned."""
    settled = {
        (day.provider, day.day_ms): day
        for day in days
        if not is_young(day.provider, day.day_ms, day.reaches_ms, now_ms)
    }
    cells: dict[_Key, _Cell] = defaultdict(_Cell)
    kept = [each for each in calls if (each.provider, day_of(each.started_ms)) in settled and each.state != "refused"]
    for call in kept:
        chat = call.host in _CHAT_HOSTS
        key = (call.provider, day_of(call.started_ms), call.person, model_of(call.model), chat)
        cells[key].calls.append(call)
    lines = {
        name: [line for day in settled.values() if day.provider == name for line in day.lines] for name, _ in settled
    }
    for provider, its in lines.items():
        names = Identities(provider, its, {raw_of(each) for each in kept if each.provider == provider}, facts, {})
        for line in its:
            product = product_of(line.product)
            chat = product in _CHAT
            if line.charge in (Charge.TOKENS, Charge.REQUESTS) and (chat or product not in ELSEWHERE_PRODUCTS):
                person = names.person_of(line.who.email) or names.person_of(line.who.user)
                key = (provider, day_of(line.starts_ms), person, model_of(line.model), chat)
                if key in cells:
                    cells[key].lines.append(line)
    return {key: cell for key, cell in cells.items() if any(map(_is_estimated, cell.calls))}


def _is_estimated(call: Call) -> bool:
    """Whether it was charged by its bytes, whole: not broken off, and not what its kind usually costs."""
    usage = call.usage
    return call.state == "settled" and call.basis == "estimated" and bool(usage.input_tokens or usage.output_tokens)


def _user_day(key: _Key, cell: _Cell) -> UserDay | str:
    """What it teaches, or why nothing."""
    _, day_ms, person, _, _ = key
    lines, calls = cell.lines, cell.calls
    why = _unlike(lines, calls)
    if why:
        return why
    billed = sum(_listed(line) for line in lines)
    estimated = sum((as_estimated(call.value_nanos, call.flags) for call in calls), Fraction(0))
    if not (billed > 0 and estimated > 0):
        return "the bill names no amount for them"
    return UserDay(day_ms, person, len(calls), estimated, billed)


def _unlike(lines: Sequence[Line], calls: Sequence[Call]) -> str:
    """Why the two sides are not known to be about the same requests; "": they are."""
    if not lines:
        return "nothing on the bill of this person and model: whose it is, is not known, or it was billed elsewhere"
    if not all(map(_is_estimated, calls)):
        return "some of its calls have counts, were broken off or are still open"
    if len({call.tool for call in calls}) > 1:
        return "several tools used the model"
    if any(day_of(line.starts_ms) < day_of(line.ends_ms - 1) for line in lines):
        return "a line of the bill is about more than the day"
    if any(line.billed in (Billed.ELSEWHERE, Billed.NOT_CHARGED) for line in lines):
        return "the bill has requests that failed, or that another provider bills"
    if any(_listed(line) < 0 for line in lines):
        return "the bill gives money back"
    # A source that tells counts and money apart may tell the same requests with both.
    counting = [line for line in lines if line.usage != NO_USAGE and line.requests is not None] or lines
    told = [line.requests for line in counting if line.requests is not None]
    moments = all(0 < line.ends_ms - line.starts_ms <= _MOMENT_MS for line in lines)
    if not told or (moments and len(told) != len(lines)):
        return "the bill tells no requests: whether all went through the gate is not known"
    paid = sum(line.requests or 0 for line in lines if _listed(line))  # also those that nothing counts
    if max(sum(told), paid) > len(calls):
        return "more requests on the bill than calls: usage outside the gate"
    if sum(told) < len(calls):
        return "fewer requests on the bill than calls"
    if moments and not _near(lines, calls):
        return "requests on the bill at times without a call"
    return ""


def _near(lines: Sequence[Line], calls: Sequence[Call]) -> bool:
    """Whether each request has a call of its own within minutes. In their order, which is the best that there is."""
    billed, ours = sorted(line.starts_ms for line in lines), sorted((call.started_ms, call.ended_ms) for call in calls)
    return len(billed) == len(ours) and all(
        began - APART_MS <= at <= (ended or began) + APART_MS for at, (began, ended) in zip(billed, ours, strict=True)
    )


def _listed(line: Line) -> int:
    """At list price, also of what a plan pays; where a source tells none, what is billed."""
    nanos = line.billed_nanos if line.list_nanos is None else line.list_nanos
    return nanos or 0


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
