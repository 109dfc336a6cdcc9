"""A service without its organization's certificates says that one thing, wherever it is asked."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cli.kit import NOW_MS
from spendgate.capture.ca import create
from spendgate.capture.coverage import Gap
from spendgate.capture.organization import new_root
from spendgate.cli import alive, awaiting, doctor_checks, examining, not_led, status_shown
from spendgate.cli.file_desk import FileDesk
from spendgate.config.paths import State as StateDirectory
from spendgate.doctor.interface import Installed, Reached, Trusted
from spendgate.doctor.known import TOOLS
from spendgate.service import redirect_units
from spendgate.stores.anchor import anchor
from spendgate.stores.system import SystemStore

HOSTS = ["api.openai.com"]


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service's own, of a gate that has made one; the organization's root is down; nothing is in the machine's store."""
    state = StateDirectory(tmp_path / "service")
    state.ca_certificate.parent.mkdir(parents=True)
    state.ca_certificate.write_bytes(create(HOSTS, datetime.now(UTC)).pem)
    (tmp_path / "root.pem").touch()
    store = SystemStore(tmp_path / "anchors", ".crt", ("true",), ("true",))
    store.folder.mkdir()
    monkeypatch.setattr(awaiting.paths, "SERVICE_DIRECTORY", state.root)
    monkeypatch.setattr(awaiting, "ROOT", tmp_path / "root.pem")
    monkeypatch.setattr(awaiting, "systems", lambda: (store,))
    return state.ca_certificate


def test_it_waits_until_there_are_some_or_its_own_is_trusted(certificate: Path, tmp_path: Path) -> None:
    """Nothing waits where no organization's root is, and a gate of one's own does not either."""
    assert awaiting.waits()
    assert awaiting.waits_at(str(certificate))
    assert not awaiting.waits_at(str(tmp_path / "own" / "ca-cert.pem"))
    own = tmp_path / "anchors" / f"{anchor(certificate.read_bytes(), '').name}.crt"
    own.touch()
    assert not awaiting.waits()
    own.unlink()
    certificate.write_bytes(new_root(HOSTS, "Acme", datetime.now(UTC)).certificate.public_bytes(Encoding.PEM))
    assert not awaiting.waits()
    certificate.write_bytes(create(HOSTS, datetime.now(UTC)).pem)
    awaiting.ROOT.unlink()
    assert not awaiting.waits()


@pytest.mark.skipif(os.name != "posix", reason="the state directory of a test is the account's")
def test_status_and_doctor_say_that_one_thing(
    certificate: Path, state: StateDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not what each tool lacks, and not that it refused the certificate, which is why."""
    report = FileDesk(state.root).status()
    assert report.said is not None
    status_shown.print_report(replace(report, said=replace(report.said, ca_cert=str(certificate))))
    assert awaiting.SAYS in " ".join(capsys.readouterr().out.split())
    tool = examining.ToolFound(
        Installed(TOOLS[0], "/usr/bin/claude", ""), Trusted(False, "no", "append it"), Reached(True, "yes"), False, None
    )
    assert [each.name for each in examining._of_tool(tool, waits=True)] == ["tool.capture"]
    assert [each.name for each in examining._of_tool(tool, waits=False)] == ["tool.trust", "tool.capture"]
    row = {"account": "alice", "tool": "node", "host": "api.openai.com", "count": 1, "first_ms": 0, "last_ms": NOW_MS}
    rows = tuple({**row, "reason": reason.value} for reason in (Gap.TRUST_REFUSED, Gap.QUIC))
    report = replace(report, coverage=rows)
    [check] = doctor_checks.unread(report, NOW_MS, waits=True)
    assert check.says.startswith("1 connection of alice's node to api.openai.com was not read: QUIC")


@pytest.mark.skipif(os.name != "posix", reason="the state directory of a test is the account's")
@pytest.mark.parametrize("waits", [True, False])
def test_a_way_by_which_nothing_is_led_says_why(
    certificate: Path, state: StateDirectory, capsys: pytest.CaptureFixture[str], waits: bool
) -> None:
    """Not to look at the firewall's rules: what mends it are certificates. Ways that nobody is led are judged as ever."""
    report = FileDesk(state.root).status()
    assert report.said is not None
    place = str(certificate) if waits else "/elsewhere.pem"
    said = replace(report.said, not_led=awaiting.WAITS if waits else awaiting.ENDED)
    report = replace(report, said=said, gates=1, silent=("transparent", "regular 127.0.0.1:80"))
    led = alive.Way("transparent", "127.0.0.1", 8443, place, "PEM", "")
    with mock.patch.object(alive.Way, "unused", lambda _: ""):
        check = examining._way(led, report)
        other = examining._way(replace(led, mode="regular", port=80), report)
    assert check.says == f"captures nothing: no traffic is led to the gate, since {said.not_led}"
    assert check.remedy == (awaiting.REMEDY if waits else awaiting.ENDED_REMEDY)
    assert "canary" in other.says
    status_shown.print_report(report)
    assert f"through transparent: no traffic is led to the gate, since {said.not_led}" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.skipif(os.name != "posix", reason="systemd's alone")
@pytest.mark.usefixtures("certificate")
@pytest.mark.parametrize("why", [awaiting.INSTALLED, awaiting.ENDED])
def test_service_status_and_install_say_what_mends_it(state: StateDirectory, why: str) -> None:
    """Also where nothing is waited for any more: what sets the rules knows no more than that the gate has no certificate."""
    awaiting.ROOT.unlink()
    report = FileDesk(state.root).status()
    assert report.said is not None
    report = replace(report, said=replace(report.said, not_led=why), gates=1)
    with mock.patch.object(not_led.client, "asked", lambda *_: report):
        assert not_led.said(f"traffic goes direct: {redirect_units.UNABLE}") == (
            f"no traffic is led to the gate, since {why}: {awaiting.remedy_of(why)}"
        )
        assert not_led.said("traffic goes direct: no gate is there") == ""
