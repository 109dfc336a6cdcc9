"""The namespaces that the tests here share; each test starts a gate of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redirect.lab import Lab, lab, why_not


@pytest.fixture(scope="module")
def joined() -> Iterator[Lab]:
    """One pair of namespaces for a whole module."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with lab() as made:
        yield made


@pytest.fixture
def laptop(joined: Lab) -> Iterator[Lab]:
    """The laptop, without a gate, and cleared of whatever the test leaves."""
    yield joined
    joined.end_gates()
