"""Reads `rates`: `100 per minute`, `1,000,000 per 5m`, and how many calls at once."""

from __future__ import annotations

import re

from spendgate.budget import WAIT_MS_DEFAULT, Missing
from spendgate.config import forms, words
from spendgate.config.faults import shown
from spendgate.config.people import Declared
from spendgate.config.rules import Names, attribute, read_selector
from spendgate.config.sections import Section
from spendgate.rates import Quota, Rate
from spendgate.window import HOUR_MS, MINUTE_MS

COUNT_MAX = 10**12
PARALLEL_MAX = 10_000
LENGTH_MS_MAX = 24 * HOUR_MS
_UNITS = {"second": 1_000, "minute": MINUTE_MS, "hour": HOUR_MS}
_LETTERS = {"s": 1_000, "m": MINUTE_MS, "h": HOUR_MS}
_QUOTA = re.compile(r"(\S+)\s+per\s+(.+)")
_COUNT = re.compile(r"0|[1-9][0-9]{0,39}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,4}")
_LENGTH = re.compile(r"([1-9][0-9]{0,5})([smh])")
_WINDOWS = "second, minute, hour, or a length such as 30s, 5m, 24h (the most)"


def read_rates(top: Section, declared: Declared, names: Names, order: int) -> tuple[Rate, ...]:
    """The rates in file order, the first of which is at `order`."""
    return tuple(_rate(section, declared, names, order + place) for place, section in enumerate(top.sections("rates")))


def _rate(section: Section, declared: Declared, names: Names, order: int) -> Rate:
    name = names.take(section)
    per = section.names("per", attribute)
    match, excepted = read_selector(section, "match", declared), read_selector(section, "except", declared)
    requests, tokens = section.parsed("requests", quota), section.parsed("tokens", quota)
    parallel = section.parsed("parallel", at_once)
    reads, wait_ms = section.flag("cache_reads"), section.parsed("wait", words.duration_ms)
    missing = section.word("missing", [word.value for word in Missing])
    if not any(section.has(key) for key in ("requests", "tokens", "parallel")):
        section.fault("", "limits nothing; name at least one of requests, tokens, parallel")
    if section.has("cache_reads") and not section.has("tokens"):
        section.fault("cache_reads", "has nothing to count in; it needs tokens")
    if section.has("wait") and not section.has("parallel"):
        section.fault("wait", "has nothing to wait for; only parallel waits")
    if missing and not per:
        section.fault("missing", "has nothing to be missing from; it needs per")
    section.done()
    return Rate(
        name=name,
        per=per,
        match=match,
        excepted=excepted,
        missing=missing or Missing.SKIP.value,
        requests=requests,
        tokens=tokens,
        cache_reads=bool(reads),
        parallel=parallel,
        wait_ms=WAIT_MS_DEFAULT if wait_ms is None else wait_ms,
        order=order,
    )


@forms.written(forms.QUOTA, "100 per minute", "1,000,000 per 5m")
def quota(text: str) -> Quota:
    """`1,000,000 per minute` -> so many in any minute, wherever it begins."""
    found = _QUOTA.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown(text)} is not a rate; allowed: 100 per minute, 1,000,000 per 5m")
    return Quota(most=_count(found[1], COUNT_MAX), length_ms=_length_ms(found[2]))


@forms.number(rf"{forms.upto(PARALLEL_MAX)}|[1-9],[0-9]{{3}}|10,000", "integer", PARALLEL_MAX, least=1)
def at_once(text: str) -> int:
    """`8` calls at once."""
    if _QUOTA.fullmatch(text):
        raise ValueError(f"{shown(text)}: calls at once are so many at any time; allowed: a count such as 8")
    return _count(text, PARALLEL_MAX)


def _count(text: str, most: int) -> int:
    if _COUNT.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a count; allowed: 100, 1,000,000, without decimals or units")
    count = int(text.replace(",", ""))
    if count == 0:
        raise ValueError("0 would let no call through at all; to refuse calls, deny their models under models")
    if count > most:
        raise ValueError(f"{shown(text)} is more than {most:,}")
    return count


def _length_ms(text: str) -> int:
    if text in _UNITS:
        return _UNITS[text]
    found = _LENGTH.fullmatch(text)
    if found is None:
        slides = "; a rate always slides: write 24h" if text == "day" or text.startswith("rolling") else ""
        raise ValueError(f"{shown(text)} is not what a rate is over{slides}; allowed: {_WINDOWS}")
    length_ms = int(found[1]) * _LETTERS[found[2]]
    if length_ms > LENGTH_MS_MAX:
        raise ValueError(f"{shown(text)} is longer than 24h; for longer windows write a budget")
    return length_ms
