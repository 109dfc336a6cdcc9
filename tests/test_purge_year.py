"""A year of calls is purged, small: nothing but the rows changes, as `scripts/purge-year` shows for a million."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def year(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script's own part."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return import_module("parts.purge_year")


def test_a_year_is_purged(year: ModuleType, tmp_path: Path) -> None:
    """As many calls and dollars before as after, no window another, no fault in either chain, less disk."""
    figures = year.show(tmp_path, 1_500, 300, timed=20)
    assert figures["calls purged"] == 1_500
    assert figures["spent before ($)"] == figures["spent after ($)"] > 100
    assert figures["ended calls before"] == figures["ended calls after"] == 1_800 + 2 * 20
    assert figures["faults of both chains and all sums after"] == 0
    assert figures["file after (MB)"] < figures["file before (MB)"]


def test_the_script_sees_a_purge_that_loses_something(
    year: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not say so of any ledger."""
    monkeypatch.setattr("spendgate.ledger.day_sums.add", lambda conn, cells: None)
    with pytest.raises(RuntimeError, match=r"faults|became"):
        year.show(tmp_path, 300, 100, timed=2)
