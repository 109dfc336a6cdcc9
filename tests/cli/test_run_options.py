"""What belongs to transparent capture is refused where it would be ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.errors import UsageError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--mode", "transparent@9000"), "--mode transparent --port PORT"),
        (("--account", "nobody"), "--account, --cgroup, --containers and --dry-run belong to"),
        (("--cgroup", "/x"), "--account, --cgroup, --containers and --dry-run belong to"),
        (("--containers", "172.16.0.0/12"), "--account, --cgroup, --containers and --dry-run belong to"),
        (("--mode", "regular", "--mode", "socks5", "--port", "8090"), "--mode socks5@PORT"),
    ],
    ids=["a port without rules", "an account", "a cgroup", "containers", "two ways at one port"],
)
def test_what_would_be_ignored_is_wrong_usage(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """A gate that says it is ready and captures nothing is worse than none; nothing is left behind."""
    result = CliRunner().invoke(app, ["run", "--state", str(tmp_path / "state"), *words])
    assert isinstance(result.exception, UsageError)
    assert told in str(result.exception)
    assert not (tmp_path / "state").exists()
