"""A Python without time zone data, as in a bare container: UTC works, and another zone is one error with its remedy."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.config.paths import State
from spendgate.window import known_zones, shown_in, zone_of


@pytest.fixture(autouse=True)
def _none() -> Iterator[None]:
    """No zone can be found."""
    zoneinfo.reset_tzpath(())
    for cached in (zoneinfo.ZoneInfo, known_zones, zone_of):
        cached.clear_cache() if cached is zoneinfo.ZoneInfo else cached.cache_clear()
    if known_zones():
        zoneinfo.reset_tzpath()
        pytest.skip("the package tzdata is installed here")
    yield
    zoneinfo.reset_tzpath()
    known_zones.cache_clear()


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize(
    "command",
    ["status", "spend", "calls", "me", "audit list", "alerts list", "grant list", "digest", "calls --since 2026-11-28"],
)
def test_utc_needs_no_data(state: State, command: str) -> None:
    """Every command that shows or takes a time, by a policy that names no zone."""
    done = _run(*command.split(), "--state", str(state.root))

    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert shown_in("UTC", 0) == "Thu 1 Jan 1970 00:00 UTC"


def test_another_zone_is_one_error_with_its_remedy(state: State, tmp_path: Path) -> None:
    """Where the zone is read first."""
    file = tmp_path / "zoned.yaml"
    file.write_text("version: 1\nowner: it@acme.example\ntimezone: Europe/Berlin\n")

    done = _run("policy", "check", str(file))

    assert done.exit_code == 1
    assert "no time zone data; install the system's package tzdata, or `pip install tzdata`" in done.output
