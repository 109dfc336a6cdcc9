"""One pattern is said to include another only where it does: every text that the narrow one fits, the wide one fits."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spendgate.model_names import glob
from spendgate.review.inclusion import includes

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
