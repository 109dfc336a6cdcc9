"""What `--dry-run` shows before anything on the machine was changed."""

from __future__ import annotations

import platform

import pytest
from typer.testing import CliRunner

from cli.kit import app

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="transparent capture is Linux")
DRY_RUN = ["run", "--mode", "transparent", "--dry-run", "--account"]


def test_the_rules_can_be_read_before_the_account_exists() -> None:
    """The account stands in them by its name, and the command that makes it is said beside them, not among them."""
    answer = CliRunner().invoke(app, [*DRY_RUN, "gate-to-be"])
    assert answer.exit_code == 0
    assert answer.stdout.count('meta skuid "gate-to-be" return') == 3
    assert "useradd --system" in answer.stderr
    assert "useradd" not in answer.stdout


def test_an_account_that_may_not_be_the_gates_shows_no_rules() -> None:
    """Root's traffic is never exempt, not even on paper."""
    answer = CliRunner().invoke(app, [*DRY_RUN, "root"])
    assert answer.exit_code != 0
    assert not answer.stdout
