"""`spendgate ca org token`, `tokens`, `revoke`, `enrolled`, `serve` and `enroll`: what their users see, and what does not go."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.test_ca_org import fault, good
from spendgate.capture import organization
from spendgate.capture.organization import new_key, new_request
from spendgate.enrolment import messages
from spendgate.enrolment.books import Books
from spendgate.enrolment.messages import Question
from spendgate.enrolment.office import Issued, Office

NOW = datetime.now(UTC)
ROOT = organization.new_root(("api.anthropic.com",), "Acme", NOW)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a root's certificate, which is all that these commands need of it."""
    folder = tmp_path / "authority"
    folder.mkdir()
    (folder / "root.pem").write_bytes(ROOT.pem)
    return folder


def read(*words: object) -> list[dict[str, object]]:
    """JSON that comes before or after a note."""
    told = good("org", *words, "--format", "json")
    found: list[dict[str, object]] = json.loads(told[told.index("[") : told.rindex("]") + 1])
    return found


def test_what_was_made_and_what_came_of_it(root: Path) -> None:
    """Each by its id; the credential itself is shown once, and lies nowhere."""
    (ann, bob), (fleet,) = (
        read("token", "--root", root, "--device", "ann", "--device", "bob"),
        read("token", "--root", root, "--fleet", "500", "--days", "3"),
    )
    plain = good("org", "token", "--root", root).splitlines()[0]
    assert plain.startswith("sge_")
    file = root / "enrolment.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for each in (ann["token"], fleet["token"], plain):
        assert str(each).encode() not in file.read_bytes()

    office = Office(ROOT, Books(file), timedelta(days=9))
    der, _ = messages.body_of(new_request("ann", new_key()))
    done = office.enrol(Question("ann", str(ann["token"]), der), "10.0.0.7", NOW)
    assert isinstance(done, Issued)
    good("org", "revoke", "--root", root, "--token", bob["id"])
    good("org", "revoke", "--root", root, "--device", "ann")
    listed = {each["id"]: each for each in read("tokens", "--root", root)}
    assert [listed[each["id"]]["state"] for each in (ann, bob, fleet)] == ["used up", "revoked", "open"]
    assert [listed[fleet["id"]][key] for key in ("device", "left", "uses")] == [None, 500, 500]
    (line,) = read("enrolled", "--root", root)
    assert [line[key] for key in ("what", "device", "credential", "address")] == [
        "enrolled",
        "ann",
        ann["id"],
        "10.0.0.7",
    ]
    assert str(line["until"])[:10] == f"{NOW + timedelta(days=9):%Y-%m-%d}"
    assert line["serial"] == done.line.serial


def test_what_does_not_go(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with what to do; nothing is made or asked."""
    monkeypatch.delenv("SPENDGATE_ENROLMENT_TOKEN", raising=False)
    at, ca = ("--root", root), ("--root", root / "root.pem", "--device", "ann", "--state", tmp_path / "state")
    assert "one of them" in fault("org", "token", *at, "--device", "ann", "--fleet", "3")
    assert "letters, digits" in fault("org", "token", *at, "--device", "a b")
    assert "no folder of" in fault("org", "token", "--root", tmp_path)
    assert "none of this name" in fault("org", "revoke", *at, "--device", "nobody")
    assert "one of them" in fault("org", "revoke", *at)
    assert "ADDRESS:PORT" in fault("org", "serve", *at, "--listen", "8443", "--certificate", root / "root.pem")
    assert "no certificate with its key" in fault(
        "org", "serve", *at, "--listen", "127.0.0.1:0", "--certificate", root / "root.pem"
    )
    assert "an office is https" in fault("org", "enroll", "http://ca.example", *ca)
    assert "no credential was given" in fault("org", "enroll", "https://127.0.0.1:1", *ca)
    assert "no credential was given" in fault("org", "enroll", "https://127.0.0.1:1", *ca, "--token-file", "-")
    told = fault("org", "enroll", "https://127.0.0.1:1", *ca, "--token-file", "-", stdin="sge_x\n")
    assert "cannot be asked: nothing listens there (connection refused)" in told
    assert "sge_x" not in told
    (root / "enrolment.db").chmod(0o640)
    assert "can be used by other accounts" in fault("org", "tokens", *at)
