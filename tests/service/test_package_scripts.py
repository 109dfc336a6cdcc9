"""What the Debian package runs when it is removed and purged, at folders of the test's own; and who its maintainer is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts" / "parts" / "debian"
UNIT, STATE, PROGRAM = "etc/systemd/system/spendgate.service", "var/lib/spendgate", "opt/spendgate/bin/spendgate"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Debian is Linux")


def _ran(at: Path, script: str, word: str) -> list[str]:
    """What it asked of the program."""
    text = (SCRIPTS / script).read_text()
    for top in ("etc/", "var/", "opt/"):
        text = text.replace(f"'^ExecStart=/{top}", f"'^ExecStart=\0{top}").replace(f" /{top}", f" {at}/{top}")
        text = text.replace("\0", "/")
    subprocess.run(["sh", "-c", text, script, word], check=True)
    said = at / "asked"
    return said.read_text().splitlines() if said.exists() else []


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Path:
    """A machine with the program, a service of its, and a state with a certificate."""
    for file in (UNIT, f"{STATE}/ca/ca-cert.pem", PROGRAM):
        (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / UNIT).write_text("ExecStart=/opt/spendgate/bin/spendgate run\n")
    (tmp_path / STATE / "ca/ca-cert.pem").touch()
    (tmp_path / PROGRAM).write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    (tmp_path / PROGRAM).chmod(0o755)
    return tmp_path


def test_removal_takes_its_own_trust_away_while_it_knows_which(at: Path) -> None:
    """The certificate of the service's state, before that goes; never that of every gate."""
    assert _ran(at, "prerm", "upgrade") == []
    assert _ran(at, "prerm", "remove") == [f"ca untrust --state {at}/{STATE}", "service uninstall --keep-ledger"]


def test_the_service_of_another_installation_is_left_alone(at: Path) -> None:
    """Its certificate and its ledger stay, also at a purge."""
    (at / UNIT).write_text("ExecStart=/opt/other/bin/spendgate run\n")

    assert _ran(at, "prerm", "remove") == []
    _ran(at, "postrm", "purge")
    assert (at / STATE).exists()
    (at / UNIT).unlink()
    _ran(at, "postrm", "purge")
    assert not (at / STATE).exists()


def test_the_maintainer_is_who_makes_it() -> None:
    """As Debian's tools take it, else the last commit's; nothing that breaks the control file."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from parts.package import maintainer
    finally:
        sys.path.pop(0)
    own = subprocess.run(
        ["git", "log", "-1", "--format=%cn <%ce>"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert maintainer({"DEBFULLNAME": "IT", "DEBEMAIL": "it@acme.example"}) == "IT <it@acme.example>"
    assert maintainer({"DEBFULLNAME": "IT"}) == own.stdout.strip()
    with pytest.raises(ValueError, match="DEBEMAIL"):
        maintainer({"DEBFULLNAME": "IT\nX: y", "DEBEMAIL": "it@acme.example"})
