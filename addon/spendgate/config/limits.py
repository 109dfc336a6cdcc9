"""Reads what a budget allows: its limits, those by the mean with their bounds, and what one machine may take alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from spendgate.adaptive import DAYS_MAX, SPENT_DAYS_LEAST, Mean
from spendgate.config import forms, words
from spendgate.config.faults import NotAmong, Place, shown
from spendgate.config.nodes import Text
from spendgate.config.sections import Section
from spendgate.money import Money
from spendgate.window import CALENDAR_UNITS, Window

_LIMIT = re.compile(r"(\S+)(?:\s+per\s+(.+))?")
_MEAN = re.compile(r"(\S+?)x\s+mean\s+of\s+(\S+?)d(?:\s+per\s+(.+))?")
_MEANT = re.compile(r"\S*x\s+mean\b")
_FACTOR = re.compile(r"(0|[1-9]\d{0,3})(?:\.(\d{1,3}))?", re.ASCII)
_DAYS = re.compile(r"0|[1-9]\d{0,3}", re.ASCII)
_SLASHED = re.compile(r"(\$[\d,.]{1,20})\s*(?:/|\b(?:an?|each|every)\s)\s*(hour|day|week|month|quarter|year)", re.ASCII)
_LENGTH = re.compile(
    r"(?:(?:rolling|sliding|last)\s*)?([1-9]\d{0,5})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)",
    re.ASCII | re.IGNORECASE,
)
_NONE = "none"
_UNLIMITED = re.compile(r"unlimited|infinit[ey]|[.+]*inf|no[ _-]?limit|off|no|never|∞", re.IGNORECASE)
"""What people write for none."""
_FORMS = "$20 per day, $20 (for the life of the value), 4x mean of 7d per day, none"


class Limit(NamedTuple):
    """One limit as it is written. Nano-dollars; of one by the mean, `at_most`."""

    nanos: int
    window: Window | None
    """None: for the life of the value."""
    mean: Mean | None = None


def read_limits(section: Section) -> list[Limit]:
    """Each limit of a budget once for each window; nothing for `none`."""
    if not section.has("limit"):
        section.fault("limit", "is missing; allowed: $20 per day, $20, none, or a list of limits")
    every = section.parsed_list("limit", _parsed) or ()
    nones = [place for place, found in every if isinstance(found, str)]
    if nones and len(every) > 1:
        section.faults.add(nones[0], f"{section.path}.limit", "none stands beside another limit; leave it out")
    return [_bounded(section, each) for each in _apart(section, every)]


def _apart(section: Section, every: tuple[tuple[Place, Limit | str], ...]) -> Iterator[Limit]:
    """The limits without a second one of the same window, or a second mean, which would share the bounds of the first."""
    seen: set[Window | None] = set()
    means, faults = 0, section.faults
    for place, found in every:
        if isinstance(found, str):
            continue
        means += found.mean is not None
        if found.window in seen:
            faults.add(
                place, f"{section.path}.limit", f"a second limit per {found.window.name if found.window else 'life'}"
            )
        elif found.mean is not None and means > 1:
            faults.add(place, f"{section.path}.limit", "a second limit by the mean; write it as a budget of its own")
        else:
            seen.add(found.window)
            yield found


def _bounded(section: Section, limit: Limit) -> Limit:
    """A limit by the mean with its bounds."""
    if limit.mean is None:
        return limit
    at_most = section.parsed("at_most", words.amount)
    at_least = section.parsed("at_least", words.amount)
    if not section.has("at_most"):
        few = f"holds while fewer than {SPENT_DAYS_LEAST} days had spend"
        section.fault("at_most", f"is missing; a limit by the mean needs it, since it {few}: at_most: $200")
    most, least = at_most.nanos if at_most else 0, at_least.nanos if at_least else 0
    if at_most and least > most:
        section.fault("at_least", f"{at_least} is more than at_most, {at_most}")
    mean = Mean(limit.mean.thousandths, limit.mean.days, least, most)
    return Limit(most, limit.window, mean)


def read_bounds(section: Section, limits: list[Limit]) -> None:
    """Ask for the bounds of a mean also where there is none: they would then say nothing."""
    for key in ("at_least", "at_most"):
        found = section.parsed(key, words.amount)
        fixed = all(each.mean is None for each in limits) if limits else _unlimited(section)
        if found is not None and fixed:
            section.fault(key, "bounds a limit by the mean, and this budget has none: limit: 4x mean of 7d per day")


def _unlimited(section: Section) -> bool:
    """Whether the limit is `none`; one that could not be read is another fault."""
    node = section.node("limit")
    return isinstance(node, Text) and node.value.strip() == _NONE


def read_per_machine(section: Section, limits: list[Limit], per: tuple[str, ...]) -> int | None:
    """What one machine may take alone, in nano-dollars. A fault where it is more than a limit, or says nothing."""
    found = section.parsed("per_machine", words.amount)
    if found is None:
        return None
    if "machine" in per:
        section.fault("per_machine", "changes nothing: this budget is kept per machine")
    elif _unlimited(section):
        section.fault("per_machine", "changes nothing: this budget has no limit")
    for limit in limits:
        if limit.nanos and found.nanos > limit.nanos:
            section.fault("per_machine", f"{found} is more than the limit itself, {Money(limit.nanos)}")
            break
    return found.nanos


@forms.written(forms.LIMIT, "$20 per day", "$60 per rolling 24h", "$20", "4x mean of 7d per day", "none")
def _parsed(text: str) -> Limit | str:
    """`$60 per rolling 24h`, `4x mean of 7d per day`, `$5` for life; the text itself for `none`."""
    if text == _NONE:
        return text
    if _UNLIMITED.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a limit; allowed: {_FORMS}; did you mean {_NONE}?")
    by_mean = _MEAN.fullmatch(text)
    if by_mean is not None:
        return _by_mean(text, *by_mean.groups())
    found = _LIMIT.fullmatch(text)
    if found is None or "/" in found[1] or _MEANT.match(text):
        slashed = _SLASHED.fullmatch(text)
        near = f"; did you mean {slashed[1]} per {slashed[2]}?" if slashed else ""
        raise ValueError(f"{shown(text)} is not a limit; allowed: {_FORMS}{near}")
    return Limit(words.amount(found[1]).nanos, _window(found[2]) if found[2] else None)


def _window(text: str) -> Window:
    try:
        return Window.parse(text)
    except ValueError as fault:
        slides = _sliding(text)
        if slides:
            raise ValueError(f"{fault}; did you mean {slides}?") from fault
        raise NotAmong(str(fault), text, CALENDAR_UNITS) from fault


def _sliding(text: str) -> str:
    """`rolling 30d`, for `30d`, `30 days`, `last 30d`; empty where no window is meant by it."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return ""
    letter = found[2][0].lower()
    meant = f"rolling {int(found[1]) * 7}d" if letter == "w" else f"rolling {found[1]}{letter}"
    try:
        Window.parse(meant)
    except ValueError:
        return ""
    return meant


def _by_mean(text: str, factor: str, days: str, window: str | None) -> Limit:
    """Its bounds are still to be read."""
    number = _FACTOR.fullmatch(factor)
    thousandths = int(number[1]) * 1000 + int((number[2] or "").ljust(3, "0")) if number else 0
    if not thousandths:
        raise ValueError(f"{shown(text)}: {factor}x is not a factor; allowed: 4x, 1.5x, … above 0x, at most 3 decimals")
    count = int(days) if _DAYS.fullmatch(days) else 0
    if not SPENT_DAYS_LEAST <= count <= DAYS_MAX:
        raise ValueError(f"{shown(text)}: {days}d is not a number of days; allowed: {SPENT_DAYS_LEAST}d to {DAYS_MAX}d")
    if window is None:
        raise ValueError(f"{shown(text)}: a limit by the mean needs a window: {factor}x mean of {days}d per day")
    return Limit(0, _window(window), Mean(thousandths, count, 0, 0))
