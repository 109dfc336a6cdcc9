"""`spendgate ca show`: the same facts for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from cli.kit import app
from spendgate.capture import issued_files, organization
from spendgate.capture.ca import Authority
from spendgate.capture.ca_files import open_authority
from spendgate.capture.ca_next import next_to
from spendgate.capture.scope import CANARY_HOST
from spendgate.cli import house
from spendgate.cli.ca import bundle_with
from spendgate.cli.wanted import Wanted
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError
from spendgate.policy import Capture
from spendgate.providers.registry import Registry

HOSTS = ("api.anthropic.com", "api.openai.com")
SIGNED = [*HOSTS, CANARY_HOST]


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A state directory with an authority for two hosts."""
    made = prepare(State(tmp_path / "state"))
    open_authority(made.ca_certificate, made.ca_key, HOSTS, datetime.now(UTC))
    return made


def show(state: State, *more: str) -> str:
    """What `ca show` prints."""
    answer = CliRunner().invoke(app, ["ca", "show", "--state", str(state.root), *more])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_json_has_the_fingerprint_of_the_file_and_every_host(state: State) -> None:
    """A roll-out can compare the fingerprint and the hosts without reading the certificate."""
    shown = json.loads(show(state, "--format", "json"))
    der = ssl.PEM_cert_to_DER_cert(state.ca_certificate.read_text())
    assert shown["certificate"] == str(state.ca_certificate)
    assert shown["sha256"] == sha256(der).hexdigest()
    assert shown["signs_for"] == SIGNED
    assert datetime.fromisoformat(shown["valid_until"]) > datetime.now(UTC)


def test_csv_has_a_line_for_each_host(state: State) -> None:
    """Each line is whole by itself."""
    lines = list(csv.DictReader(io.StringIO(show(state, "--format", "csv"))))
    assert [line["signs_for"] for line in lines] == SIGNED
    assert {line["sha256"] for line in lines} == {json.loads(show(state, "--format", "json"))["sha256"]}


def test_people_read_the_same_facts(state: State) -> None:
    """The table names file and fingerprint, and has a line for each host, those of one domain together."""
    shown = show(state)
    assert json.loads(show(state, "--format", "json"))["sha256"] in shown
    assert str(state.ca_certificate) in shown
    assert shown.endswith(f"signs for    3 hosts:\n  api.anthropic.com\n  api.openai.com\n  {CANARY_HOST}\n")


def test_after_a_rotation_the_one_in_use_stays_and_the_next_is_named(state: State) -> None:
    """Programs that go by its file go on; without an authority there is nothing to rotate."""
    before = json.loads(show(state, "--format", "json"))
    rotated = CliRunner().invoke(app, ["ca", "rotate", "--state", str(state.root)])
    assert rotated.exit_code == 0
    assert "`spendgate ca trust` first, then restart" in rotated.stderr
    after = json.loads(show(state, "--format", "json"))
    assert (after["sha256"], "next" in before) == (before["sha256"], False)
    assert f"next         {after['next']}, at the gate's next start" in show(state)
    for file in (state.ca_certificate, state.ca_key):
        file.unlink()
    answer = CliRunner().invoke(app, ["ca", "rotate", "--state", str(state.root)])
    assert isinstance(answer.exception, StateError)
    assert "no certificate authority to rotate" in str(answer.exception)


def test_a_gates_start_takes_the_next_one(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows that from then on, and says so once."""
    assert CliRunner().invoke(app, ["ca", "rotate", "--state", str(state.root)]).exit_code == 0
    following = next_to(state.ca_certificate).read_bytes()
    for _ in range(2):
        authority, file = house._authority(Wanted(None, state), state, Registry.build(Capture()))
        assert isinstance(authority, Authority)
        assert (authority.pem, file.read_bytes()) == (following, following)
    assert capsys.readouterr().err.count("is in use") == 1


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root, as whoever owns the directory")
def test_root_rotates_as_the_gates_account(state: State) -> None:
    """What it makes is that account's: its gate could not read root's."""
    for path in (state.root, *state.root.rglob("*")):
        os.chown(path, 65534, 65534)
    for folder in state.root.parents:
        folder.chmod(folder.stat().st_mode | 0o011)
        if folder.parent == Path("/tmp"):  # noqa: S108 - where a test's folders are
            break
    assert CliRunner().invoke(app, ["ca", "rotate", "--state", str(state.root)]).exit_code == 0
    assert {next_to(each).stat().st_uid for each in (state.ca_certificate, state.ca_key)} == {65534}


@pytest.fixture
def issued(tmp_path: Path) -> State:
    """A device of an organization."""
    made, key, now = prepare(State(tmp_path / "issued")), organization.new_key(), datetime.now(UTC)
    root = organization.new_root(HOSTS, "Acme", now)
    bundle = organization.bundle(root, "laptop-17", now, timedelta(days=30), key)
    issued_files.install(made, bundle, now, HOSTS, place="it")
    return made


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root, to give files to another account")
def test_root_sees_what_was_issued_to_the_gates_account(issued: State) -> None:
    """Another's file is no fault where root asks; a file of neither is."""
    for path in (issued.root, *issued.root.rglob("*")):
        os.chown(path, 4242, 4242)
    assert "issued       to laptop-17, for 3 hosts" in show(issued)
    os.chown(issued.leaves, 4243, 4243)
    answer = CliRunner().invoke(app, ["ca", "show", "--state", str(issued.root)])
    assert "is not the gate's own file" in str(answer.exception)


def test_an_account_that_may_not_look_sees_the_root(issued: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is everybody's to read; what is behind the gate's own folder is told to be so."""

    def closed(_: State) -> None:
        raise PermissionError

    monkeypatch.setattr(issued_files, "load", closed)
    text = show(issued)
    assert "issued       cannot be read by this account: ask as root, or as the gate's" in text
    assert "signs for    3 hosts:" in text


def test_a_root_that_an_mdm_trusts_by_a_name_of_its_own_is_found(issued: State, tmp_path: Path) -> None:
    """By the certificate itself, in what the system trusts."""
    root, bundle = x509.load_pem_x509_certificate(issued.ca_certificate.read_bytes()), tmp_path / "bundle.crt"
    bundle.write_bytes(b"# others\n")
    assert bundle_with(root, (bundle, tmp_path / "none")) == []
    bundle.write_bytes(b"# others\n" + issued.ca_certificate.read_bytes())
    assert bundle_with(root, (bundle,)) == [f"the system's store ({bundle})"]
