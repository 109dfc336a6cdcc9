"""What belongs to transparent capture is refused where it would be ignored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.cli import auto_mode
from spendgate.errors import UsageError
from spendgate.redirect import nftables


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


@pytest.mark.parametrize(
    ("lacks", "mode", "why"),
    [
        ({}, "transparent", "root and nftables are here, and the account spendgate"),
        ({"linux": False}, "regular", "only Linux"),
        ({"root": False}, "regular", "need root"),
        ({"no_rules": "nftables (`nft`) is not here"}, "regular", "nftables (`nft`) is not here; a variable"),
        ({"account": None}, "regular", "account is not here"),
    ],
    ids=["all", "no Linux", "no root", "no nft", "no account"],
)
def test_auto_is_transparent_where_all_is_here(lacks: dict[str, Any], mode: str, why: str) -> None:
    """And says what is not."""
    found = auto_mode.chosen(**({"linux": True, "root": True, "no_rules": "", "account": "spendgate"} | lacks))
    assert found.mode == mode
    assert why in found.why


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is always regular")
@pytest.mark.parametrize(
    ("script", "root", "why"),
    [
        ("exit 0", True, ""),
        (None, True, "nftables (`nft`) is not here"),
        (
            "echo netlink: Operation not permitted >&2; exit 1",
            True,
            "nft sets no rules here (netlink: Operation not permitted)",
        ),
        ("exit 3", True, "nft sets no rules here (exit status 3)"),
        ("exit 1", False, ""),
    ],
    ids=["works", "not here", "a container's root", "silent", "not root, who may not ask"],
)
def test_auto_is_the_services_mode_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None, root: bool, why: str
) -> None:
    """As `run` chooses; the account is what the installation makes. Of another machine nothing is known."""
    program = tmp_path / "nft"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    transparent = not why
    monkeypatch.setattr(nftables, "_PATH", str(tmp_path))
    monkeypatch.setattr(auto_mode.os, "geteuid", lambda: 0 if root else 1000)
    words = ["service", "install", "--mode", "auto", "--dry-run"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert ("spendgate-redirect.service" in shown.stdout) is transparent
    assert f"--mode auto: {'transparent' if transparent else 'regular'}, since {why}" in shown.stderr
    more = CliRunner().invoke(app, [*words, "--redirect-port", "9443"])
    assert more.exit_code == 0, "one command for machines with nft and without"
    elsewhere = CliRunner().invoke(app, [*words, "--root", "/x", "--program", "/opt/spendgate/bin/spendgate"])
    assert "choose regular or transparent" in str(elsewhere.exception)


def test_auto_is_one_way_alone() -> None:
    """Beside another mode it would choose nothing."""
    assert auto_mode.here(("regular",), "spendgate") is None
    for modes in (("auto", "socks5"), ("auto@9000",)):
        with pytest.raises(UsageError, match="--mode auto chooses one way"):
            auto_mode.here(modes, "spendgate")
