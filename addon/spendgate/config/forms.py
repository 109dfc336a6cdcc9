"""What the small languages look like, as patterns that an editor compares: each stands at the parser whose language it is.

A pattern never refuses what its parser takes. What it cannot tell (29 February, an amount that no row holds, a host under
which others live) it leaves to `policy check`. Both dialects of patterns read them alike, Python's and ECMA-262's, so
letters outside ASCII are told from none. Readers take off blanks around a value, and so do patterns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from spendgate.adaptive import DAYS_MAX, SPENT_DAYS_LEAST

Schema = dict[str, Any]
_FORMS: dict[object, Schema] = {}


def written[**P, T](pattern: str, *examples: str | float, **more: object) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Marks a parser: its text is of this pattern. `more`: further words of the schema; `type` beside text's for what YAML reads
    as something else."""

    def mark(parse: Callable[P, T]) -> Callable[P, T]:
        schema: Schema = {"type": "string", "pattern": rf"^\s*(?:{pattern})\s*$", **more}
        if examples:
            allowed = ", ".join(str(each) for each in examples)
            schema |= {"examples": list(examples), "patternErrorMessage": f"allowed: {allowed}, …"}
        _FORMS[parse] = schema
        return parse

    return mark


def number[**P, T](
    pattern: str, kind: str, most: float, *, least: float = 0, more_than: float | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Marks a parser: its text is of this pattern, or a number, which an editor reads it as."""

    def mark(parse: Callable[P, T]) -> Callable[P, T]:
        read: Schema = {"type": kind, "maximum": most}
        read |= {"minimum": least} if more_than is None else {"exclusiveMinimum": more_than}
        from_ = f"more than {more_than:,}" if more_than is not None else f"from {least:,}"
        message = f"allowed: a number {from_}, at most {most:,}"
        text = {"type": "string", "pattern": rf"^\s*(?:{pattern})\s*$", "patternErrorMessage": message}
        _FORMS[parse] = {"anyOf": [read, text]}
        return parse

    return mark


def same_as[**P, T](other: Callable[..., object]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Marks a parser whose text looks as another one's does."""

    def mark(parse: Callable[P, T]) -> Callable[P, T]:
        _FORMS[parse] = _FORMS[other]
        return parse

    return mark


def never[**P, T](parse: Callable[P, T]) -> Callable[P, T]:
    """Marks a parser that takes no text at all: its fault says why."""
    _FORMS[parse] = {"not": {}}
    return parse


def form_of(parse: Callable[..., object]) -> Schema | None:
    """The schema at which a parser was marked, also one with some of its arguments given."""
    return _FORMS.get(parse.func if isinstance(parse, partial) else parse)


def upto(most: int) -> str:
    """The whole numbers from 1 to `most`, without leading zeros."""
    digits = str(most)
    parts = [f"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    for place, digit in enumerate(digits):
        low, high = (0 if place else 1), int(digit) - 1
        if high >= low:
            rest = len(digits) - place - 1
            parts.append(f"{digits[:place]}[{low}-{high}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return f"(?:{'|'.join([*parts, digits])})"


def padded(most: int, width: int) -> str:
    """The same with leading zeros, at most so many digits in all."""
    return f"(?![0-9]{{{width + 1}}})0*{upto(most)}"


def any_case(word: str) -> str:
    """The word in small letters, capitals or both."""
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in word)


_WHOLE: Final = r"(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)"
PRICE: Final = rf"\${_WHOLE}(?:\.[0-9]{{1,4}})?"
"""An amount of a price list, where `$1.125` is three decimals."""
AMOUNT: Final = rf"(?!\$[1-9][0-9]{{0,2}}\.[0-9]{{3}}(?![0-9])){PRICE}"
"""Any other, where `$1.125` may be a thousand."""
POSITIVE: Final = rf"(?!\$0(?:\.0{{1,4}})?(?![0-9.])){AMOUNT}"
_UNITS: Final = "|".join(map(any_case, ("hour", "day", "week", "month", "quarter", "year")))
_LONG: Final = f"{upto(366 * 1440)}[mM]|{upto(366 * 24)}[hH]|{upto(366)}[dD]"
WINDOW: Final = rf"(?:{_UNITS}|{any_case('rolling')}\s+(?:{_LONG}))"
_FACTOR: Final = r"(?!0(?:\.0{1,3})?x)(?:0|[1-9][0-9]{0,3})(?:\.[0-9]{1,3})?x"
_MEAN_DAYS: Final = f"(?!{'|'.join(f'{few}d' for few in range(SPENT_DAYS_LEAST))}){upto(DAYS_MAX)}d"
LIMIT: Final = rf"none|{AMOUNT}(?:\s+per\s+{WINDOW})?|{_FACTOR}\s+mean\s+of\s+{_MEAN_DAYS}\s+per\s+{WINDOW}"
_LONG_MONTHS: Final = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
_MONTH_DAY: Final = f"(?:{_LONG_MONTHS}|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
DAY: Final = f"(?!0000)[0-9]{{4}}-{_MONTH_DAY}"
DAY_TO_COME: Final = f"2(?:0[2-9]|[1-9][0-9])[0-9]-{_MONTH_DAY}"
"""From 2020 to 2999."""
_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OFFSET: Final = r"(?:\+(?:0[0-9]|1[0-3]):[0-5][0-9]|\+14:00|-(?:0[0-9]|1[01]):[0-5][0-9]|-12:00)"
INSTANT: Final = rf"{DAY}(?:T{_CLOCK}(?::[0-5][0-9](?:\.[0-9]{{1,3}})?)?(?:Z|{_OFFSET}))?"
WAIT: Final = f"(?:{upto(600_000)}|0)ms|(?:{upto(600)}|0)s|(?:{upto(10)}|0)m"
COUNT: Final = rf"{upto(10**12)}|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}}){{1,3}}|1(?:,000){{4}}"
QUOTA: Final = rf"(?:{COUNT})\s+per\s+(?:second|minute|hour|{upto(86_400)}s|{upto(1_440)}m|{upto(24)}h)"
_LABEL: Final = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
HOST: Final = rf"(?=[^\s]{{1,253}}\.*\s*$)(?:{_LABEL}\.)+(?![0-9]+\.*\s*$){_LABEL}\.*"
_LETTER: Final = r"(?:[A-Za-z0-9]|[^\x00-\x7f])"
NAME: Final = rf"{_LETTER}(?:[A-Za-z0-9_.@+-]|[^\x00-\x7f])*(?: (?:[A-Za-z0-9_.@+-]|[^\x00-\x7f])+)*"
ACCOUNT: Final = r"[^\s|,*?\x00-\x1f]+(?: [^\s|,*?\x00-\x1f]+)*"
_HOURS: Final = r"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)"
_DAY_NAME: Final = f"(?:{'|'.join(map(any_case, ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')))})"
_DAYS: Final = f"{_DAY_NAME}(?:-{_DAY_NAME})?"
OUTSIDE: Final = rf"{POSITIVE}\s+outside\s+{_DAYS}(?:,{_DAYS})*\s+{_HOURS}-{_HOURS}"
BURN: Final = rf"{POSITIVE}\s+in\s+(?:{upto(10_080)}m|{upto(168)}h|{upto(7)}d)"
SPIKE: Final = rf"(?![0-9]{{6}})0*(?:{upto(999)}(?:\.[0-9]{{1,2}})?|1000(?:\.0{{1,2}})?)x\s+over\s+{upto(366)}d"
PACE: Final = rf"{padded(100, 5)}%\s+by\s+(?:week|day)\s+{padded(999, 3)}"
