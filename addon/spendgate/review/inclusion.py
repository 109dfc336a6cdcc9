"""Whether all that one pattern or selector fits is fitted by another one, too. In doubt it is not."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from spendgate.model_names import fold, glob
from spendgate.selector import Selector, is_glob

_NO_LETTER: Final = "\0"
"""Stands for any letter: no text of a policy has it, so that only a star or a question mark fits it."""


def covers(wide: Selector, narrow: Selector) -> bool:
    """Whether every call that fits `narrow` fits `wide`: it asks for no more attributes, and each value of `narrow` fits one."""
    inner = narrow.as_data()
    return all(
        attribute in inner and all(included(text, texts, attribute) for text in inner[attribute])
        for attribute, texts in wide.as_data().items()
    )


def included(text: str, wide: list[str] | tuple[str, ...], attribute: str) -> bool:
    """Whether every value that fits `text` fits one of the others."""
    even = fold if attribute == "model" else str.casefold
    own = even(text)
    return any(other == own or (is_glob(other) and includes(other, own)) for other in map(even, wide))


def includes(pattern: str, text: str) -> bool:
    """Whether every value that fits `text` fits the pattern, both folded: with nothing for its stars, with a little, with more
    letters than the pattern has."""
    if pattern == text:
        return True
    lengths = (0, 1, 2, len(pattern) + 1) if "*" in text else (0,)
    expression = _compiled(pattern)
    tried = (text.replace("*", _NO_LETTER * length).replace("?", _NO_LETTER) for length in lengths)
    return all(expression.fullmatch(each) is not None for each in tried)


_compiled = lru_cache(maxsize=4096)(glob)
