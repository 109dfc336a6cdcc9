"""What people are told at the moment in which it helps them, and in words that are true of the row."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.cli import call_explained, exec_
from spendgate.cli.options import existing_state
from spendgate.config import prices
from spendgate.config.sources import whole
from spendgate.errors import StateError

_ROW = {
    "flags": "orphan",
    "state": "interrupted",
    "basis": "estimated",
    "cost_nanos": 5,
    "held_nanos": 9,
    "estimate_nanos": 3,
}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "charged what such calls usually cost"),
        ({"cost_nanos": 3}, "charged what it was expected to cost"),
        ({"cost_nanos": 9}, "charged what was held for it"),
        ({"basis": "ceiling"}, "charged the most that it could cost"),
        ({"cost_nanos": 0}, "nothing was held for it, and nothing is charged"),
        ({"state": "failed", "basis": None, "cost_nanos": 0}, "its gate died before the call had left: nothing is charged"),
    ],
    ids=["usual", "expected", "held", "ceiling", "plan", "not sent"],
)  # fmt: skip
def test_a_call_whose_gate_died_is_told_as_that(more: dict[str, Any], says: str) -> None:
    """Nothing of it was counted from bytes."""
    (line,) = call_explained._basis(_ROW | more)
    assert line.endswith(says) and "its gate died before" in line and "bytes" not in line


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_price_list_that_cannot_be_fetched_does_not_write_into_the_tools_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`exec` says it after the bill, once, and which list prices the calls."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    heard: list[str] = []

    async def unreachable(_store: object, _now: object) -> None:
        await asyncio.sleep(0)
        raise StateError("prices could not be fetched from https://prices.example: ConnectError")

    monkeypatch.setattr(prices.PriceStore, "refresh", unreachable)
    monkeypatch.setattr(prices, "next_fetch", lambda _now, about_due: 0 if about_due else 0.01)
    monkeypatch.setattr(exec_, "note", heard.append)
    monkeypatch.setattr(exec_, "bill", lambda _ledger, _gate: heard.append("the bill"))
    code = "import time; time.sleep(0.5)"
    answer = CliRunner().invoke(app, ["exec", "--state", str(tmp_path / "state"), "--", sys.executable, "-c", code])
    assert answer.exit_code == 0 and "could not be fetched" not in answer.stderr
    later = [each for each in heard[heard.index("the bill") + 1 :] if "no connection came" not in each]
    assert len(later) == 1 and "ConnectError; calls are priced by genai-prices" in later[0]


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_ones_own_folder_that_cannot_be_read_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as if it were another account's, and in one line."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StateError, match=r"cannot be read, though it is yours: run chmod -R u\+rwX"):
        existing_state(tmp_path)
    result = CliRunner().invoke(app, ["status", "--state", str(tmp_path)])
    assert isinstance(result.exception, StateError)


def test_a_policys_path_is_told_whole_and_without_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But where a link is gone through on the way up, since that leads elsewhere than the words say."""
    (tmp_path / "proj" / "deep").mkdir(parents=True)
    (tmp_path / "small.yaml").touch()
    (tmp_path / "proj" / "small.yaml").touch()
    monkeypatch.chdir(tmp_path / "proj")
    assert whole(Path("../small.yaml")) == tmp_path / "small.yaml"
    (tmp_path / "link").symlink_to(tmp_path / "proj" / "deep")
    assert whole(tmp_path / "link" / ".." / "small.yaml") == (tmp_path / "proj" / "small.yaml").resolve()
