"""The small languages of alerts: `3x over 7d`, `$15 in 1h`, `60% by week 6`, `$50 outside mon-fri 07:00-20:00`.

As in `words`: each function takes the text of one value; ValueError says what was found and what is allowed.
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.alert_rules import HUNDRED, Burn, Outside, Pace, Share, Spike
from spendgate.config import forms, words
from spendgate.config.faults import shown
from spendgate.config.sections import known_word
from spendgate.hours import DAY_MINUTES, WeekHours
from spendgate.window import DAY_MS, HOUR_MS, MINUTE_MS, WEEKDAYS

THRESHOLD_MAX: Final = 1000
"""Percent: spend can pass a budget that only warns."""
TIMES_MAX: Final = 1000
MEAN_DAYS_MAX: Final = 366
BURN_DAYS_MAX: Final = 7
COUNT_MAX: Final = 1_000_000
_SPIKE = re.compile(r"(\d{1,5})(?:\.(\d{1,2}))?x over (0|[1-9]\d{0,3})d", re.ASCII)
_BURN = re.compile(r"(\S+) in (0|[1-9]\d{0,4})([mhd])", re.ASCII)
_PERCENT = re.compile(r"(\d{1,5})%", re.ASCII)
_PACE = re.compile(r"(\S+) by (week|day) (\d{1,3})", re.ASCII)
_OUTSIDE = re.compile(r"(\S+) outside ((\S+) (\d{2}):(\d{2})-(\d{2}):(\d{2}))", re.ASCII)
_CALLS = rf"{forms.padded(COUNT_MAX, 7)}|(?=[0-9]{{1,3}}(?:,[0-9]{{3}})+\s*$)[0,]*(?:[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})?|1,000,000)"
_SHORT = tuple(day[:3] for day in WEEKDAYS)
_DAYS_OF = {"day": 1, "week": 7}
_MS_OF = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


@forms.written(f"{forms.padded(HUNDRED, 5)}%", "80%")
def percent(text: str) -> int:
    """`80%`: a share, from 1% to 100%."""
    return _percent(text, HUNDRED)


@forms.written(f"{forms.padded(THRESHOLD_MAX, 5)}%", "50%", "80%", "100%")
def threshold(text: str) -> int:
    """`80%` of a budget's limit; more than 100% where spend may pass it."""
    return _percent(text, THRESHOLD_MAX)


def _percent(text: str, most: int) -> int:
    found = _PERCENT.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= most:
        raise ValueError(f"{shown(text)} is not a share; allowed: whole percent from 1% to {most}%, such as 80%")
    return int(found[1])


@forms.written(forms.SPIKE, "3x over 7d")
def spike(text: str) -> Spike:
    """`3x over 7d`, `2.5x over 28d`."""
    found = _SPIKE.fullmatch(_spaced(text))
    if found is None:
        raise ValueError(f"{shown(text)} is not a spike; allowed: 3x over 7d, 2.5x over 28d, …")
    times, days = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")), int(found[3])
    if not 100 <= times <= TIMES_MAX * 100 or not 1 <= days <= MEAN_DAYS_MAX:
        raise ValueError(f"{shown(text)}: allowed: from 1x to {TIMES_MAX}x, over 1 to {MEAN_DAYS_MAX} days")
    return Spike(times_hundredths=times, days=days)


@forms.written(forms.BURN, "$15 in 1h")
def burn(text: str) -> Burn:
    """`$15 in 1h`, `$5 in 10m`."""
    found = _BURN.fullmatch(_spaced(text))
    if found is None:
        raise ValueError(f"{shown(text)} is not a burn; allowed: $15 in 1h, $5 in 10m, …")
    within_ms = int(found[2]) * _MS_OF[found[3]]
    if not 0 < within_ms <= BURN_DAYS_MAX * DAY_MS:
        raise ValueError(f"{shown(text)}: allowed: from 1m to {BURN_DAYS_MAX}d; a longer time is a budget's window")
    return Burn(nanos=_amount(found[1]), within_ms=within_ms)


@forms.written(f"{forms.padded(HUNDRED, 5)}%", "80%")
def share(text: str) -> Share:
    """`80%`."""
    return Share(percent=percent(text))


@forms.written(forms.PACE, "60% by week 6")
def pace(text: str) -> Pace:
    """`60% by week 6`, `50% by day 10`; the budget is named beside it."""
    found = _PACE.fullmatch(_spaced(text))
    if found is None:
        raise ValueError(f"{shown(text)} is not a pace; allowed: 60% by week 6, 50% by day 10, …")
    days = int(found[3]) * _DAYS_OF[found[2]]
    if not days:
        raise ValueError(f"{shown(text)}: the first is {found[2]} 1")
    return Pace(percent=percent(found[1]), budget="", days=days, by=f"{found[2]} {int(found[3])}")


@forms.written(forms.OUTSIDE, "$50 outside mon-fri 07:00-20:00")
def outside(text: str) -> Outside:
    """`$50 outside mon-fri 07:00-20:00`, `$5 outside mon,wed,fri 08:00-18:00`; the whole day is `00:00-24:00`."""
    found = _OUTSIDE.fullmatch(_spaced(text))
    if found is None:
        raise ValueError(
            f"{shown(text)} is not spend outside hours; allowed: $50 outside mon-fri 07:00-20:00, with days such as "
            "mon-fri or mon,wed,fri"
        )
    nanos, days = _amount(found[1]), _days(found[3])
    first, last = _minute(found[4], found[5]), _minute(found[6], found[7])
    if first >= last:
        raise ValueError(f"{shown(text)}: the hours end before they start; name those of one day, within 00:00-24:00")
    if len(days) == len(_SHORT) and last - first == DAY_MINUTES:
        raise ValueError(f"{shown(text)}: nothing is outside every hour of every day")
    return Outside(nanos=nanos, hours=WeekHours(days=days, from_minute=first, until_minute=last), text=found[2])


@forms.number(_CALLS, "integer", COUNT_MAX, least=1)
def count(text: str) -> int:
    """How many calls: `50`, `1,000`."""
    found = re.fullmatch(r"\d{1,3}(?:,\d{3})+|\d{1,7}", text, re.ASCII)
    number = int(text.replace(",", "")) if found else 0
    if not 1 <= number <= COUNT_MAX:
        raise ValueError(f"{shown(text)} is not a number of calls; allowed: whole numbers from 1 to {COUNT_MAX:,}")
    return number


@forms.written(forms.POSITIVE, "$20", "$1,000", "$0.25")
def positive(text: str) -> int:
    """An amount in nano-dollars, more than nothing."""
    return _amount(text)


def _amount(text: str) -> int:
    nanos = words.amount(text).nanos
    if not nanos:
        raise ValueError(f"{shown(text)} is nothing; name an amount above $0")
    return nanos


def _days(text: str) -> tuple[int, ...]:
    """`mon-fri`, `sat`, `mon,wed-fri`: Monday is 0. In rising order, each once."""
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.partition("-")
        start = _SHORT.index(known_word(first, _SHORT))
        end = _SHORT.index(known_word(last, _SHORT)) if dash else start
        if end < start:
            raise ValueError(f"{shown(part)} goes back; the week is {_SHORT[0]}-{_SHORT[-1]} here, so name two parts")
        if days & set(range(start, end + 1)):
            raise ValueError(f"{shown(text)} names a day twice")
        days |= set(range(start, end + 1))
    return tuple(sorted(days))


def _minute(hours: str, minutes: str) -> int:
    at = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or at > DAY_MINUTES:
        raise ValueError(f"'{hours}:{minutes}' is not a time of day; allowed: 00:00 to 24:00")
    return at


def _spaced(text: str) -> str:
    return " ".join(text.split())
