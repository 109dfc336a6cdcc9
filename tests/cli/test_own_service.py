"""A port that is taken: whose it is, where the installed service has it."""

from __future__ import annotations

import os
import platform
import plistlib
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.attribution import Peer
from spendgate.cli import own_service
from spendgate.cli.own_service import named, said_to_listen, told
from spendgate.errors import PortTaken, StateError
from spendgate.identity import system_lookup
from spendgate.identity.interface import Endpoints
from spendgate.identity.unsupported import UnsupportedLookup

TAKEN = PortTaken(8080, "port 8080 of 127.0.0.1 cannot be listened on: in use", "choose another with --port")
STATUS = "spendgate 0.1.0 at regular=127.0.0.1:8080 transparent=127.0.0.1:8443 transparent=::1:8443"
JOB = {"ProgramArguments": ["/opt/spendgate/bin/spendgate", "run", "--state", "/s", "--port", "8080"]}


def test_ports_are_those_of_addresses_alone() -> None:
    """A version is none, nor what is no number."""
    assert said_to_listen(STATUS) == {8080, 8443}
    assert said_to_listen("spendgate 0.1.0:rc1 starts") == frozenset()
    assert named(("spendgate", "run", "--port", "8080", "--policy", "/8081")) == {8080}
    assert named(("run", "--port")) == named(("run", "--port", "x")) == frozenset()


def of_systemd(state: str) -> dict[str, str]:
    """What systemd says of the unit."""
    return {"ActiveState": state, "StatusText": STATUS}


@pytest.mark.parametrize(("state", "ours"), [("active", True), ("failed", False)])
def test_systemd_knows_the_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, ours: bool) -> None:
    """While it runs alone: what one that has ended said last is nothing of now."""
    machine = pytest.importorskip("spendgate.service.machine", exc_type=ImportError)
    monkeypatch.setattr(own_service.platform, "system", lambda: "Linux")
    monkeypatch.setattr(machine, "BOOTED", tmp_path)
    monkeypatch.setattr(machine, "unit_said", lambda _: of_systemd(state))
    said = str(told(TAKEN, UnsupportedLookup()))
    assert ("in use: the installed service runs on it already (`spendgate status` shows it); choose" in said) is ours
    assert str(told(PortTaken(9, "x", "y"), UnsupportedLookup())) == "x; y"


def test_launchd_knows_the_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the job's own words; `spendgate service status` is everybody's there."""
    macos = pytest.importorskip("spendgate.cli.service_macos", exc_type=ImportError)
    monkeypatch.setattr(own_service.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(macos, "JOB", tmp_path / "job.plist")
    assert told(TAKEN, UnsupportedLookup()) is TAKEN
    macos.JOB.write_bytes(plistlib.dumps(JOB))
    monkeypatch.setattr(macos, "_launchctl", lambda: "\tstate = running\n\tpid = 9\n")
    assert "`spendgate service status` shows it" in str(told(TAKEN, UnsupportedLookup()))
    monkeypatch.setattr(macos, "_launchctl", lambda: "")
    assert told(TAKEN, UnsupportedLookup()) is TAKEN


def test_a_manager_that_cannot_be_asked_hides_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The port is taken all the same."""
    machine = pytest.importorskip("spendgate.service.machine", exc_type=ImportError)
    monkeypatch.setattr(own_service.platform, "system", lambda: "Linux")
    monkeypatch.setattr(machine, "BOOTED", tmp_path)

    def fails(_: str) -> dict[str, str]:
        raise StateError("no bus")

    monkeypatch.setattr(machine, "unit_said", fails)
    assert told(TAKEN, UnsupportedLookup()) is TAKEN


def test_run_says_that_the_service_has_its_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is written."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(own_service, "_listening", lambda: frozenset({port}))
        result = CliRunner().invoke(app, ["run", "--state", str(tmp_path / "state"), "--port", str(port)])
    assert "the installed service runs on it already" in str(result.exception)
    assert not (tmp_path / "state/ledger.db").exists()


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux alone can be asked")
def test_who_has_a_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Account, program and process; a program's name is its own choice, and can be neither a line nor endless."""
    monkeypatch.setattr(own_service, "_listening", frozenset)
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        said = str(told(PortTaken(port, "in use", "choose another", "127.0.0.1"), system_lookup()))
    assert said.startswith("in use: account ")
    assert f"(process {os.getpid()}) has it; choose another" in said

    class Lying(UnsupportedLookup):
        def owner(self, _ends: Endpoints) -> Peer:
            return Peer(uid=1001, account="eve", pid=7, process_path="x\nREADY=1\x1b[2J" + "y" * 900)

    lied = own_service.holder(("::1", 9), Lying())
    assert lied.isprintable()
    assert (lied[:29], len(lied) < 250) == ("account eve (uid 1001), x·REA", True)
    assert own_service.holder(("localhost", 9), system_lookup()) == ""
    assert said_to_listen(f"{STATUS} (WARNING port 9000 of [::1] is taken by account eve, /x:9001 :9002 y)") == {
        8080,
        8443,
    }
