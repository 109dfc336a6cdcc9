"""A script is read from a header, or refused with the key that is wrong."""

from __future__ import annotations

import pytest

from spendgate.standin.script import Script
from spendgate.usage import Usage


def test_a_header_changes_only_what_it_names() -> None:
    """Keys that are left out keep the server's own values."""
    assert Script(input=5).reading("output=9; usage=no; encoding=gzip,br") == Script(
        input=5, output=9, usage=False, encoding="gzip,br"
    )


@pytest.mark.parametrize(
    ("header", "named"),
    [
        pytest.param("outputs=9", "outputs", id="unknown key"),
        pytest.param("usage=maybe", "usage", id="not yes or no"),
        pytest.param("output=many", "many", id="not a number"),
    ],
)
def test_a_wrong_key_is_refused(header: str, named: str) -> None:
    """Nothing that a test asks for is ignored."""
    with pytest.raises(ValueError, match=named):
        Script().reading(header)


def test_counts_are_the_scripts_own() -> None:
    """What an answer uses is what the script says; an error uses nothing."""
    assert Script(input=1, output=2).counts() == Usage(
        input_tokens=1,
        cache_read_tokens=0,
        cache_write_5m_tokens=0,
        cache_write_1h_tokens=0,
        cache_write_tokens=0,
        output_tokens=2,
        reasoning_tokens=0,
        web_searches=0,
    )
    assert Script(status=429).counts() is None
