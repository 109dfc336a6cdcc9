"""What is made of a program's own canary call: answered, refused, not arrived, or hung; and that no password is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.cli.examining import told
from spendgate.doctor import asking
from spendgate.doctor.asking import Said, ask
from spendgate.doctor.interface import Installed, Reached, Trusted
from spendgate.doctor.known import TOOLS

CURL = next(tool for tool in TOOLS if tool.name == "curl")
BY_RULE, LED = Trusted(False, "the system's store has not our certificate", "do"), Reached(True, "HTTPS_PROXY")


def said(folder: Path, script: str) -> Said:
    """Of a program that does this in place of curl."""
    program = folder / "curl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return ask(Installed(CURL, str(program), ""), transparent=False, environ={"PATH": "/usr/bin:/bin"})


def test_answered(tmp_path: Path) -> None:
    """Its answer goes before what is known of such programs."""
    found = said(tmp_path, "printf 'HTTP/1.1 200 OK\\r\\nX-Spendgate-Instance: 0123abcd\\r\\n\\r\\n'")
    assert found.instance == "0123abcd"
    assert [each.yes for each in told(found, BY_RULE, LED)] == [True, True]


def test_refused(tmp_path: Path) -> None:
    """The certificate was shown, so that its traffic does come to the gate."""
    found = said(
        tmp_path, "echo 'curl: (60) SSL certificate problem: unable to get local issuer certificate' >&2; exit 60"
    )
    trusted, reached = told(found, Trusted(True, "CURL_CA_BUNDLE names a file with our certificate"), LED)
    assert (trusted.yes, reached.yes) == (False, True)
    assert "unable to get local issuer certificate" in trusted.why
    assert trusted.remedy


def test_not_arrived(tmp_path: Path) -> None:
    """Whatever the variables say; and a proxy's password is not repeated."""
    found = said(tmp_path, "echo 'curl: (5) Could not resolve proxy: http://alice:s3cret@corp:3128/' >&2; exit 5")
    trusted, reached = told(found, BY_RULE, LED)
    assert (trusted.yes, reached.yes) == (False, False)
    assert "Could not resolve proxy" in reached.why
    assert "s3cret" not in repr((trusted, reached))


def test_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows nothing: no finding, and not fine."""
    monkeypatch.setattr(asking, "RUN_S", 0.2)
    _, reached = told(said(tmp_path, "exec sleep 1000"), BY_RULE, LED)
    assert reached.yes is None
