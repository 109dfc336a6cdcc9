"""Amounts that YAML splits: inside `{ }` and `[ ]` the comma of `$2,000` ends a value, and `000` is the next key or item."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spendgate.config.nodes import Text

_AMOUNT_HEAD = re.compile(r"(?:.*\s)?\$\d{1,3}")
_AMOUNT_LENGTH_MAX = 60
_COUNT_HEAD = re.compile(r"\d{1,3}")
_AMOUNT_TAIL = re.compile(r"\d{3}(?!\d).*")


def begins_amount(text: Text) -> bool:
    """Whether it may be the first part of an amount: `$2` of `$2,000`."""
    return text.plain and _AMOUNT_HEAD.fullmatch(text.value) is not None


def begins_count(text: Text) -> bool:
    """Of a rate's `1,000,000 per minute`: no key begins with three digits, so that it can be told in a mapping alone."""
    return text.plain and _COUNT_HEAD.fullmatch(text.value) is not None


def goes_on(text: Text) -> bool:
    """Whether it may be a later part of an amount."""
    return _AMOUNT_TAIL.fullmatch(text.value) is not None


def split(parts: Sequence[Text]) -> str:
    """What is wrong with an amount in these parts, and the remedy. `{limit: $1,000,000 per day}` is one amount, three keys."""
    whole = ",".join(part.value for part in parts)[:_AMOUNT_LENGTH_MAX]
    pieces = "two" if len(parts) == 2 else str(len(parts))
    return f'the comma splits an amount in {pieces}; put it in quotes: "{whole}"'
