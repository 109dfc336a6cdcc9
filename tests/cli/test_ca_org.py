"""`spendgate ca org`: what an admin and a device see of it, and what does not go."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from cli.kit import app
from mdm.kit import made as mdm_made
from spendgate.capture import ca_files, issued_files, organization
from spendgate.capture.organization import bundle, new_key
from spendgate.config.known import KNOWN
from spendgate.config.paths import State, prepare
from spendgate.errors import SpendgateError
from spendgate.name_constraints import CANARY_HOST, permitted

SAID = "correct horse battery"
HOSTS = ("api.anthropic.com", "api.openai.com")


def ran(*words: object, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, ["ca", *map(str, words)], input=stdin)


def good(*words: object, stdin: str | bytes = "") -> str:
    """What a command says that succeeds."""
    answer = ran(*words, stdin=stdin)
    assert answer.exit_code == 0, answer.output + repr(answer.exception)
    return answer.output


def fault(*words: object, stdin: str | bytes = "") -> str:
    """What a command says that does not."""
    answer = ran(*words, stdin=stdin)
    assert isinstance(answer.exception, SpendgateError), answer.output
    return str(answer.exception)


@pytest.fixture(autouse=True)
def _quickly_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """How slow a lock is to try is `tests/capture/test_organization.py`'s."""
    monkeypatch.setattr(organization, "KDF_ROUNDS", 1_000)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(f"{SAID}\nmore\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def root(tmp_path: Path, said: Path) -> Path:
    """An authority for two hosts."""
    folder = tmp_path / "authority"
    good(
        "org",
        "init",
        "--out",
        folder,
        "--name",
        "Acme",
        "--host",
        HOSTS[0],
        "--host",
        HOSTS[1],
        "--passphrase-file",
        said,
    )
    return folder


def test_a_root_without_more_words_is_for_every_known_host_and_mdm_takes_it(tmp_path: Path, said: Path) -> None:
    """The certificate is everybody's, the key file its owner's; `mdm make` makes its material of it as it is."""
    good("org", "init", "--out", tmp_path / "a", "--name", "Acme", "--passphrase-file", said)
    pem, key = tmp_path / "a" / "root.pem", tmp_path / "a" / "root-key.p12"
    assert permitted(x509.load_pem_x509_certificate(pem.read_bytes())) == {*KNOWN.hosts, CANARY_HOST}
    assert (pem.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o644, 0o600)
    assert b"PRIVATE" not in key.read_bytes()

    out = mdm_made(tmp_path, pem=pem.read_bytes())

    assert any(pem.read_bytes() in file.read_bytes() for file in out.rglob("*") if file.is_file())


def test_a_root_is_for_a_policys_hosts_without_its_wildcards(tmp_path: Path, said: Path) -> None:
    """Which are told: a name below a domain is not known before it is asked for, and no leaf can be made ahead."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nowner: a@acme.example\ncapture:\n  hosts:\n"
        "    - {host: llm.acme.example, dialect: openai, prices: openai}\n"
        "    - {host: '*.ai.acme.example', dialect: openai, prices: openai}\n"
    )
    told = good("org", "init", "--out", tmp_path / "a", "--name", "Acme", "--policy", policy, "--passphrase-file", said)
    assert "*.ai.acme.example is left out" in told
    found = permitted(x509.load_pem_x509_certificate((tmp_path / "a" / "root.pem").read_bytes()))
    assert found == {*KNOWN.hosts, CANARY_HOST, "llm.acme.example"}


def test_the_passphrase_may_come_from_stdin_or_a_descriptor(tmp_path: Path) -> None:
    """Never from the command line."""
    good("org", "init", "--out", tmp_path / "a", "--name", "Acme", "--host", HOSTS[0], stdin=f"{SAID}\n")
    reader, writer = os.pipe()
    os.write(writer, SAID.encode())
    os.close(writer)
    words = ("--root", tmp_path / "a", "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    good("org", "issue", *words, "--passphrase-file", f"/dev/fd/{reader}")
    os.close(reader)
    assert (tmp_path / "l.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("init", "--out", "AUTHORITY", "--name", "Acme"), "is there already", id="a root again"),
        pytest.param(("init", "--out", "NEW", "--name", "A" * 80), "1 to 46", id="a long name"),
        pytest.param(("init", "--out", "NEW", "--name", "Acme", "--host", "amazonaws.com"), "amazonaws", id="others' domain"),
        pytest.param(("init", "--out", "NEW", "--name", "Acme", "--host", "*.acme.example"), "--host", id="a wildcard"),
        pytest.param(("init", "--out", "NEW", "--name", "Acme", "--host", "203.0.113.7"), "--host", id="an address"),
        pytest.param(("issue", "--root", "AUTHORITY", "--device", "l", "--out", "NEW"), "one of them", id="no key"),
        pytest.param(("issue", "--root", "NEW", "--device", "l", "--new-key", "--out", "OUT"), "NEW", id="no root"),
        pytest.param(("issue", "--root", "AUTHORITY", "--device", "a b", "--new-key", "--out", "NEW"), "'s name", id="no device"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_one_line(
    tmp_path: Path, root: Path, said: Path, words: tuple[str, ...], told: str
) -> None:
    """And leaves nothing behind."""
    places = {"AUTHORITY": root, "NEW": tmp_path / "NEW", "OUT": tmp_path / "OUT"}
    before = sorted(tmp_path.rglob("*"))
    answer = fault("org", *(places.get(word, word) for word in words), "--passphrase-file", said)
    assert told in answer
    assert "\n" not in answer
    assert sorted(tmp_path.rglob("*")) == before


def test_a_passphrase_that_others_can_read_is_told(tmp_path: Path, root: Path, said: Path) -> None:
    said.chmod(0o640)
    words = ("org", "issue", "--root", root, "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    told = good(*words, "--passphrase-file", said)
    assert f"WARNING {said} can be read by other accounts (mode 0640): chmod 0600 it" in told


def test_a_wrong_or_empty_passphrase_opens_nothing(tmp_path: Path, root: Path) -> None:
    words = ("org", "issue", "--root", root, "--device", "l", "--new-key", "--out", tmp_path / "l.pem")
    assert "passphrase is wrong" in fault(*words, stdin="wrong horse battery\n")
    assert "without a terminal name a file of your own by --passphrase-file" in fault(*words, stdin="\n")
    assert not (tmp_path / "l.pem").exists()


def test_a_request_is_answered_for_the_device_that_asked(tmp_path: Path, root: Path, said: Path) -> None:
    """Under the name that the inventory has; another name is told, since one of them is wrong."""
    state = tmp_path / "state"
    asked = tmp_path / "l.csr"
    asked.write_text(good("org", "request", "--device", "laptop-17", "--state", state))
    words = ("org", "issue", "--root", root, "--request", asked, "--out", tmp_path / "l.pem", "--passphrase-file", said)
    assert "is of laptop-17" in fault(*words, "--device", "laptop-18")
    good(*words, "--device", "laptop-17")
    assert b"PRIVATE" not in (tmp_path / "l.pem").read_bytes()

    good("org", "install", "-", "--root", root / "root.pem", "--state", state, stdin=(tmp_path / "l.pem").read_bytes())

    assert issued_files.load(State(state)).device == "laptop-17"


def test_show_tells_both_ends_to_people_and_programs(tmp_path: Path, root: Path, said: Path) -> None:
    """The root's, which is trusted, and the certificates', which are renewed."""
    state = tmp_path / "state"
    words = ("--root", root, "--device", "l", "--new-key", "--out", tmp_path / "l.pem", "--days", "30")
    good("org", "issue", *words, "--passphrase-file", said)
    good("org", "install", tmp_path / "l.pem", "--state", state)
    shown = json.loads(good("show", "--state", state, "--format", "json"))
    assert (shown["of"], shown["device"], shown["issued_hosts"], shown["issued_days_left"]) == (
        "organization",
        "l",
        3,
        29,
    )
    assert shown["days_left"] > 3000
    assert "to l, for 3 hosts, until" in good("show", "--state", state)
    lines = list(csv.DictReader(io.StringIO(good("show", "--state", state, "--format", "csv"))))
    assert {line["issued_days_left"] for line in lines} == {"29"}


def test_what_belongs_to_the_organization_is_not_rotated_or_tried_here(tmp_path: Path, root: Path, said: Path) -> None:
    """There is no key to do it with; taken off the device, it leaves nothing of itself."""
    state = tmp_path / "state"
    good(
        "org",
        "issue",
        "--root",
        root,
        "--device",
        "l",
        "--new-key",
        "--out",
        tmp_path / "l.pem",
        "--passphrase-file",
        said,
    )
    good("org", "install", tmp_path / "l.pem", "--state", state)
    assert "ca org issue" in fault("rotate", "--state", state)
    assert "--root DIR" in fault("verify", "--state", state)
    good("org", "remove", "--state", state)
    assert not [file for file in state.rglob("*") if file.is_file()]
    assert "nothing of an organization's" in fault("org", "remove", "--state", state)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_verify_tries_the_organizations_root_where_its_key_is(root: Path, said: Path) -> None:
    """As with a device's: the allowed host passes, nine others fail."""
    words = ("verify", "--root", root, "--passphrase-file", said, "--only", "openssl", "--format", "json")
    rows = json.loads(good(*words))
    assert [row["answer"] for row in rows] == ["passes", *["fails"] * 9]
    assert "belongs to --root" in fault("verify", "--passphrase-file", said)


def test_a_devices_own_ca_is_told_to_be_gone(tmp_path: Path) -> None:
    """Trust stores still have it."""
    state = prepare(State(tmp_path / "state"))
    ca_files.open_authority(state.ca_certificate, state.ca_key, HOSTS, datetime.now(UTC))
    made = organization.new_root(HOSTS, "Acme", datetime.now(UTC))
    told = good("org", "install", "-", "--state", state.root,
                stdin=bundle(made, "l", datetime.now(UTC), timedelta(days=45), new_key()))  # fmt: skip
    assert "untrust --old" in told
    assert not state.ca_key.exists()


def test_hosts_of_a_policy_may_be_installed_where_it_is_named(tmp_path: Path) -> None:
    """A first installation knows no policy yet."""
    made = organization.new_root((*HOSTS, "llm.acme.example"), "Acme", datetime.now(UTC))
    data = bundle(made, "l", datetime.now(UTC), timedelta(days=45), new_key())
    assert "llm.acme.example, which no policy" in fault("org", "install", "-", "--state", tmp_path / "s", stdin=data)
    good("org", "install", "-", "--state", tmp_path / "s", "--host", "llm.acme.example", stdin=data)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nowner: a@acme.example\ncapture: {hosts: [{host: llm.acme.example, dialect: openai, prices: openai}]}\n"
    )
    good("org", "install", "-", "--state", tmp_path / "t", "--policy", policy, stdin=data)
