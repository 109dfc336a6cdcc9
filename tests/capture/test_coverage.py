"""Decrypted connections that end without a request."""

import pytest

from spendgate.capture.coverage import QUICK_S, CoverageEvent, Gap, Watch


@pytest.mark.parametrize(
    ("spoke", "asked", "after_s", "gap"),
    [
        pytest.param(False, False, 0.05, Gap.TRUST_SUSPECTED, id="left at once"),
        pytest.param(False, False, QUICK_S + 1, None, id="a pool's spare connection"),
        pytest.param(True, False, 60.0, Gap.NOT_HTTP, id="bytes that were no request"),
        pytest.param(True, True, 0.01, None, id="asked"),
    ],
)
def test_an_end_without_a_request_is_a_gap(spoke, asked, after_s, gap):
    """What the client did, and how soon it left, tells why."""
    watch = Watch()
    watch.opened("c1", "api.anthropic.com", 100.0)
    if spoke:
        watch.spoke("c1")
    if asked:
        watch.asked("c1")
    found = watch.closed("c1", 100.0 + after_s)
    assert found == (CoverageEvent("c1", "api.anthropic.com", gap) if gap else None)
    assert watch.closed("c1", 200.0) is None
    watch.spoke("c1")  # a connection that is not watched is nobody's concern
    watch.asked("c1")
