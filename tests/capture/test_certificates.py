"""Until when certificates hold, and from when on somebody is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spendgate.capture.certificates import Term

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("days", "due_days"),
    [pytest.param(3 * 365, 30, id="a device's CA"), pytest.param(45, 15, id="an organization's"), pytest.param(3, 1, id="short")],
)  # fmt: skip
def test_an_end_is_due_in_the_last_third_and_at_most_thirty_days_before(days: int, due_days: int) -> None:
    """Early enough to renew, late enough to be read."""
    term = Term(NOW, NOW + days * DAY)
    due = term.dies - due_days * DAY
    assert not term.due(due - timedelta(seconds=1))
    assert term.due(due)
    assert term.end(due) == f"hold until {term.dies:%Y-%m-%d}, {due_days} days"
    assert term.due(term.dies)
    assert term.end(term.dies) == f"expired on {term.dies:%Y-%m-%d}"


def test_it_holds_from_its_first_instant_until_before_its_last() -> None:
    """RFC 5280 includes the last second; a leaf that is shown then would have ended on its way."""
    term = Term(NOW, NOW + DAY)
    instants = (NOW - timedelta(seconds=1), NOW, NOW + DAY - timedelta(seconds=1), NOW + DAY)
    assert [term.holds(each) for each in instants] == [False, True, True, False]
    assert (term.days_left(NOW), term.days_left(NOW + 2 * DAY)) == (1, -1)
