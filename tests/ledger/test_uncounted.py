"""Imports that were taken in and not compared with the calls: by the days of counts that came since."""

from __future__ import annotations

import pytest

from spendgate.ledger.statements import Imported
from spendgate.ledger.uncounted import Run, uncounted
from spendgate.statement import DAY_MS


def imported(at_ms: int, first: int, last: int, *, hours: int = 0) -> Imported:
    """Of days from then on and before then."""
    span = first * DAY_MS, last * DAY_MS + hours * 3_600_000
    return Imported(1, "one", at_ms, "anthropic", "anthropic", "", *span, "ab", "x", None, 1, ())


def run(at_ms: int, first: int, last: int) -> Run:
    return at_ms, first * DAY_MS, last * DAY_MS


@pytest.mark.parametrize(
    ("one", "runs", "purged", "left"),
    [
        (imported(10, 2, 5), [], 0, True),
        (imported(10, 2, 5), [run(10, 2, 5)], 0, False),
        (imported(10, 2, 5), [run(9, 2, 5)], 0, True),
        (imported(10, 2, 5), [run(11, 0, 4)], 0, True),
        (imported(10, 2, 5), [run(11, 0, 4), run(12, 4, 9)], 0, False),
        (imported(10, 2, 5), [run(11, 3, 4)], 0, True),
        (imported(10, 2, 5), [run(11, 4, 5)], 4, False),
        (imported(10, 2, 5), [], 5, False),
        (imported(10, 2, 2, hours=20), [], 0, False),
    ],
    ids=["no count", "its own", "an older one", "of a part", "two parts", "of its middle", "of what is not purged", "all purged",
         "no whole day"],
)  # fmt: skip
def test_an_import_is_counted_by_counts_since_then_of_all_its_days(
    one: Imported, runs: list[Run], purged: int, left: bool
) -> None:
    assert uncounted([one], runs, purged * DAY_MS) == ((one,) if left else ())
