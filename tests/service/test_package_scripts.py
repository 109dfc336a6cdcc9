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
    """What it asked of the program. Other programs that it runs are stand-ins that fail."""
    text = (SCRIPTS / script).read_text()
    for top in ("etc/", "var/", "opt/", "usr/"):
        text = text.replace(f"'^ExecStart=/{top}", f"'^ExecStart=\0{top}").replace(f" /{top}", f" {at}/{top}")
        text = text.replace(f'"/{top}', f'"{at}/{top}').replace("\0", "/")
    programs = at / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("systemctl", "nft"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    environ = {"PATH": f"{programs}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", text, script, word], env=environ, capture_output=True, text=True, check=True)
    (at / "said").write_text(done.stderr)
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


def test_removal_has_the_service_taken_away_and_is_never_held_up(at: Path) -> None:
    """Which withdraws its certificates, too. Where that fails no unit of a program that is gone stays, and it is said."""
    assert _ran(at, "prerm", "upgrade") == []
    assert _ran(at, "prerm", "remove") == ["service uninstall --keep-ledger"]
    assert (at / "said").read_text() == ""
    (at / PROGRAM).write_text("#!/bin/sh\nexit 1\n")
    _ran(at, "prerm", "remove")
    assert not (at / UNIT).exists()
    assert "not all of the service could be taken away" in (at / "said").read_text()


@pytest.mark.parametrize("word", ["remove", "purge", "upgrade"])
def test_what_is_trusted_still_is_told_with_its_remedy(at: Path, word: str) -> None:
    (at / UNIT).unlink()
    left = at / "usr/local/share/ca-certificates/spendgate-0123456789abcdef.crt"
    left.parent.mkdir(parents=True)
    left.touch()
    _ran(at, "postrm", word)
    assert (f"rm {left} && update-ca-certificates --fresh" in (at / "said").read_text()) == (word != "upgrade")


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
