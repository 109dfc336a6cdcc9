"""The units beside a gate under transparent capture, read by systemd's own tools."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from service.test_unit import ABOUT, EXPOSURE_MOST, systemd
from spendgate.service.redirect_units import CLERK, REDIRECT
from spendgate.service.unit import UNIT, Description, command, files, units

TRANSPARENT = replace(ABOUT, redirect_port=8443)
EVERY = (UNIT, REDIRECT, CLERK)


def _written(folder: Path, about: Description) -> dict[str, Path]:
    made = {}
    for file in files(about):
        made[file.path.name] = folder / file.path.name
        made[file.path.name].write_text(file.text)
    return made


@systemd
def test_systemd_finds_nothing_to_say_about_them(tmp_path: Path) -> None:
    """Every word in them is one that systemd knows."""
    made = _written(tmp_path, TRANSPARENT)

    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(made[name]) for name in EVERY)], capture_output=True, text=True, check=False
    )

    said = [line for line in (done.stdout + done.stderr).splitlines() if "spendgate" in line]
    assert (said, done.returncode) == ([], 0)


@systemd
@pytest.mark.parametrize("name", EVERY)
def test_each_is_little_exposed(tmp_path: Path, name: str) -> None:
    """By systemd's own measure, from 0 to 10. One unit with what both of them may would be over it."""
    made = _written(tmp_path, TRANSPARENT)

    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(made[name])], capture_output=True, text=True, check=True
    )

    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found
    print(found[0])
    assert float(found[1]) <= EXPOSURE_MOST


def test_the_gate_takes_redirected_connections_and_stays_a_proxy() -> None:
    """Both, at their own ports; without redirection nothing of it is there."""
    assert command(TRANSPARENT)[-7:] == (
        "--mode", "transparent", "--port", "8443", "--redirected", "--mode", "regular@8080",
    )  # fmt: skip
    assert command(ABOUT)[-2:] == ("--port", "8080")
    assert (units(TRANSPARENT), units(ABOUT)) == (EVERY, (UNIT,))


def test_rules_and_gate_agree_on_account_and_port() -> None:
    """What the rules exempt and lead to is what the gate runs as and listens at."""
    texts = {file.path.name: file.text for file in files(replace(TRANSPARENT, redirect_port=9443))}

    assert "ExecStart=/bin/true service redirect --account daemon --port 9443\n" in texts[REDIRECT]
    assert "ExecStart=/bin/true service clerk --account daemon\n" in texts[CLERK]
    assert "User=daemon\n" in texts[UNIT]
    assert f"Wants={REDIRECT} {CLERK}\n" in texts[UNIT]
    assert "CapabilityBoundingSet=CAP_NET_ADMIN\n" in texts[REDIRECT]


def test_rules_and_gate_agree_on_the_containers() -> None:
    """Who leads them there, and who takes them and says whose they are; without ranges neither has a word of it."""
    led = replace(TRANSPARENT, containers=("172.16.0.0/12=alice", "fd00::/8"))
    words = "--containers 172.16.0.0/12=alice --containers fd00::/8"
    texts = {file.path.name: file.text for file in files(led)}

    assert f" --port 8443 {words}\n" in texts[REDIRECT]
    assert f" --redirected {words} --mode regular@8080\n" in texts[UNIT]
    assert "containers" not in "".join(file.text for file in files(TRANSPARENT)) + texts[CLERK]
