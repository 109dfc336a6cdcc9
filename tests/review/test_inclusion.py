"""One pattern is said to include another only where it does: every text that the narrow one fits, the wide one fits."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spendgate.model_names import glob
from spendgate.review.inclusion import fits_both, includes

TEXTS = tuple("".join(letters) for length in range(6) for letters in product("ab", repeat=length))
patterns = st.text("ab*?", max_size=5)


@given(patterns, patterns)
@example("a??", "a*")
@example("*b", "*ab*")
def test_what_is_included_fits(wide: str, narrow: str) -> None:
    """By all texts of two letters up to five long."""
    if not includes(wide, narrow):
        return
    outer, inner = glob(wide), glob(narrow)
    assert not [text for text in TEXTS if inner.fullmatch(text) and not outer.fullmatch(text)]


@pytest.mark.parametrize(
    ("wide", "narrow", "said"),
    [("cod*", "codex", True), ("*", "c?d*", True), ("a?*", "a*", False), ("a??", "a*", False), ("c*x", "c*", False)],
)
def test_some_pairs(wide: str, narrow: str, *, said: bool) -> None:
    assert includes(wide, narrow) is said


@given(patterns, patterns)
@example("a*", "*b")
@example("a*a", "ab*")
@example("*a*b", "*b*a")
def test_a_text_that_fits_two_patterns(one: str, other: str) -> None:
    """It fits both; there is one wherever a text of two letters up to five long fits both."""
    found = fits_both(one, other)
    both = [glob(text) for text in (one, other)]
    assert found is None or all(each.fullmatch(found) for each in both)
    assert found is not None or not [text for text in TEXTS if all(each.fullmatch(text) for each in both)]


def test_patterns_longer_than_any_value() -> None:
    """They are not compared: nothing as long is ever asked about."""
    assert fits_both("a*" * 99, "*b" * 99) is not None
    assert fits_both("a*" * 1_000, "*b" * 1_000) is None
