"""Show 6 under transparent capture: what goes around is named, and rules that capture nothing are found."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end.village import STANDIN, Village, village
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT, listens, until
from redirect.lab import why_not

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]
BUSY_S = 5 * PATIENCE_S
"""A program that looks at everything, on a machine that does much else."""
AROUND = """
    import socket, sys
    wire = socket.create_connection(("api.anthropic.com", 443))
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", name="village")
def _village() -> Iterator[Village]:
    """With a way to the address that a canary calls, as a laptop with a default route has."""
    if reason := why_not():
        pytest.skip(reason)
    with village() as made:
        link = made.laptop.name.replace("sgl", "v")
        for network in ("192.0.2.0/24", "2001:db8:ca::/48"):
            made.laptop.inside("ip", "route", "add", network, "dev", link).communicate(timeout=BUSY_S)
        yield made


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH with these tools alone; `node` by its own https goes where it is told."""
    for name in ("curl", "git", "python3", "node"):
        found = sys.executable if name == "python3" else shutil.which(name)
        if found is not None:
            (tmp_path / name).symlink_to(os.path.realpath(found))
    for name in ("nft", "certutil"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    return tmp_path


def doctor(village: Village, programs: Path, status: int, **more: str) -> dict[str, Any]:
    """What it says on the laptop, as root, whose traffic is captured as everybody's."""
    trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"), str(village.ca))
    env = {"PATH": str(programs), "PYTHONPATH": str(ROOT / "addon"), "HOME": str(programs), **trust, **more}
    words = (*PRODUCT, "doctor", "--state", str(village.state), "--format", "json")
    started = village.laptop.inside("/usr/bin/env", "-i", *(f"{k}={v}" for k, v in env.items()), *words, cwd="/")
    out, err = started.communicate(timeout=BUSY_S)
    assert started.returncode == status, out + err
    found: dict[str, Any] = json.loads(out)
    return found


def findings(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """By kind and what it is about."""
    return {(each["check"], each["about"]): each for each in found["checks"] if each["state"] == "finding"}


@contextlib.contextmanager
def going_around(village: Village) -> Iterator[subprocess.Popen[str]]:
    """A process of the one account whose traffic no rule leads to the gate, with a connection to a provider."""
    who = ("setpriv", f"--reuid={village.laptop.gate_account}", "--clear-groups")
    started = village.laptop.inside(*who, "python3", "-c", textwrap.dedent(AROUND), stdin=subprocess.PIPE, cwd="/")
    assert started.stdout is not None
    assert started.stdout.readline() == "holds\n"
    try:
        yield started
    finally:
        started.communicate(timeout=BUSY_S)


def test_all_is_fine_then_a_process_goes_around(village: Village, programs: Path) -> None:
    """Each tool's own call is led to the gate by the rules alone; a captured call's process is not named, one around is."""
    fine = doctor(village, programs, 0)
    assert findings(fine) == {}
    assert {"transparent", "transparent over IPv6"} <= {
        each["about"] for each in fine["checks"] if each["check"] == "way"
    }
    assert {tool["way"] for tool in fine["tools"]} == {"transparent"}
    assert all(tool["trusted"] and tool["captured"] for tool in fine["tools"])
    with going_around(village):
        found = doctor(village, programs, 1)
    assert [key for key, _ in findings(found)] == ["around"]
    [process] = found["around"]
    assert process["account"] == village.laptop.gate_account
    assert process["addresses"] == [STANDIN]
    assert "python" in process["program"]
    [told] = findings(found).values()
    assert f"process {process['pid']} of {process['account']}" in told["says"]


def test_through_the_socket_it_is_the_persons_traffic_that_is_tried(village: Village) -> None:
    """The gate's own account is exempt from the rules: a canary of the process that answers would say that nothing is captured.
    Another account's process is not named to them."""
    person = village.laptop.people[0]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), "HOME": "/tmp"}  # noqa: S108 - it has none, and writes nothing
    words = ("setpriv", f"--reuid={person}", "--clear-groups", *PRODUCT)

    def said(command: str) -> dict[str, Any]:
        asked = (*words, command, "--state", str(village.socket), "--format", "json")
        out, err = village.laptop.inside(*asked, env=env, cwd="/").communicate(timeout=BUSY_S)
        assert out, err
        found: dict[str, Any] = json.loads(out)
        return found

    until(lambda: listens(village.socket))
    assert said("status")["gate"]["captures_nothing_through"] == []
    with going_around(village):
        found = said("doctor")
    ways = [each for each in found["checks"] if each["check"] == "way"]
    assert [each["state"] for each in ways] == ["fine", "fine"]
    assert found["around"] == []
    assert "is for root to see" in next(each["says"] for each in found["checks"] if each["check"] == "quic")


def test_rules_that_capture_nothing(village: Village, programs: Path) -> None:
    """The gate is up, answers its pulse and listens, its rules are whole, and another's take effect before them: the canary alone
    can tell. What is changed in its own table the gate mends within a second."""
    untracked = "table inet other { chain out { type filter hook output priority raw; tcp dport 443 notrack; }; }"
    nft(village, untracked)
    try:
        found = doctor(village, programs, 1)
        told = findings(found)
        assert "nft list table inet spendgate" in told["way", "transparent"]["remedy"]
        assert ("gate", "gate") not in told
        assert not any(tool["captured"] for tool in found["tools"])
    finally:
        nft(village, "delete table inet other")
    nft(village, "flush chain inet spendgate capture")
    until(lambda: _back(village))


def nft(village: Village, command: str) -> None:
    """Somebody else's, on the laptop."""
    _, err = village.laptop.inside("nft", command).communicate(timeout=BUSY_S)
    assert not err


def _back(village: Village) -> bool | None:
    listed = village.laptop.inside("nft", "list", "table", "inet", "spendgate")
    return True if "redirect to" in listed.communicate(timeout=BUSY_S)[0] else None
