"""An organization's roll-out as its people do it: root, request, issue, install, run; and a laptop without any CA key.

One laptop with one gate, whose file is renewed under it; the commands are run in this process, the gate is a program of its own.
"""

from __future__ import annotations

import io
import json
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate, until
from spendgate.capture import organization
from spendgate.cli.main import run

BODY = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"x-api-key": "sk-ant-api03-made-up"}
PASSPHRASE = "correct horse battery"
NAMED, OTHER, MISSING = "api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"
"""The organization's root is for the first two; the policy captures the third as well."""


def ran(*words: str | Path, status: int = 0) -> str:
    """A command's stderr and stdout."""
    stdout, stderr, ended = io.StringIO(), io.StringIO(), 0
    argv = ["spendgate", *map(str, words)]
    with mock.patch.object(sys, "argv", argv), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            run()
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(end.code is not None)
    assert ended == status, stderr.getvalue()
    return stderr.getvalue() + stdout.getvalue()


class Office:
    """The admin's machine and a laptop, each a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.state = folder / "authority", folder / "state"
        passphrase = folder / "passphrase"
        passphrase.write_text(PASSPHRASE + "\n")
        passphrase.chmod(0o600)
        self._unlock = ("--passphrase-file", passphrase)
        hosts = ("--host", NAMED, "--host", OTHER)
        ran("ca", "org", "init", "--out", self.authority, "--name", "Acme GmbH", *hosts, *self._unlock)

    @property
    def root(self) -> Path:
        """What every laptop trusts."""
        return self.authority / "root.pem"

    def request(self) -> Path:
        """Made on the laptop."""
        file = self.folder / "laptop.csr"
        ran("ca", "org", "request", "--device", "laptop-17", "--state", self.state, "--out", file)
        return file

    def issue(self, name: str, *more: str | Path) -> Path:
        """Signed on the admin's machine."""
        file = self.folder / name
        ran(
            "ca", "org", "issue", "--root", self.authority, "--device", "laptop-17", "--out", file, *self._unlock, *more
        )
        return file

    def expired(self) -> Path:
        """What this root has signed a day ago, for an hour."""
        opened = organization.unlocked((self.authority / "root-key.p12").read_bytes(), PASSPHRASE.encode())
        long_ago = datetime.now(UTC) - timedelta(days=1)
        file = self.folder / "old.pem"
        file.write_bytes(organization.bundle(opened, "laptop-17", long_ago, timedelta(hours=1), organization.new_key()))
        return file

    def install(self, file: Path, *, status: int = 0) -> str:
        """On the laptop."""
        return ran("ca", "org", "install", file, "--state", self.state, status=status)

    def read(self, *words: str) -> dict[str, Any]:
        """What a command says for programs."""
        found: dict[str, Any] = json.loads(ran(*words, "--state", self.state, "--format", "json"))
        return found

    def unread(self) -> dict[str, str]:
        """Host to reason, of what the gate did not read."""
        return {row["host"]: row["reason"] for row in self.read("status")["coverage"]}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An authority, and a laptop with what it asked for."""
    made = Office(tmp_path_factory.mktemp("office"))
    made.install(made.issue("laptop.pem", "--request", made.request(), "--days", "20"))
    return made


@pytest.fixture(scope="module")
def laptop(office: Office, provider: Provider) -> Iterator[Gate]:
    """The laptop's gate."""
    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        yield gate


def secrets_in(folder: Path) -> list[Path]:
    """Every file with a private key in it, in PEM."""
    return [file for file in folder.rglob("*") if file.is_file() and b"PRIVATE KEY" in file.read_bytes()]


def shown(gate: Gate, trusted: Path, host: str) -> x509.Certificate:
    """The certificate that a client which trusts only this gets for a host through the gate."""
    context = ssl.create_default_context(cafile=str(trusted))
    with socket.create_connection(("127.0.0.1", gate.port), timeout=PATIENCE_S) as link:
        link.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        assert b" 200 " in link.recv(4096)
        with context.wrap_socket(link, server_hostname=host) as secured:
            der = secured.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_a_client_that_trusts_the_organization_is_answered(office: Office, laptop: Gate) -> None:
    """Trusting its root alone; the call has its row; the gate's own canary comes back."""
    trust = ssl.create_default_context(cafile=str(office.root))
    with httpx2.Client(proxy=laptop.proxy, verify=trust, timeout=PATIENCE_S) as http:
        answer = http.post(f"https://{NAMED}/v1/messages", json=BODY, headers=HEADERS)
    assert answer.status_code == 200
    assert laptop.row(answer.headers["request-id"])["host"] == NAMED
    assert office.read("status")["gate"]["captures_nothing_through"] == []


def test_a_host_without_a_certificate_is_tunnelled_and_counted(
    office: Office, laptop: Gate, provider: Provider
) -> None:
    """Nothing is minted for it: the client sees the server's own certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(laptop, office.root, MISSING)
    found = shown(laptop, provider.ca, MISSING)
    assert found.issuer == x509.load_pem_x509_certificate(provider.ca.read_bytes()).subject
    assert office.unread()[MISSING] == "the organization issued no certificate for it"


def test_no_key_of_a_ca_is_on_the_laptop(office: Office, laptop: Gate) -> None:
    """The one key there is the leaves' own; the organization's lies locked elsewhere, and no passphrase is said."""
    (only,) = secrets_in(office.state)
    leaf, *others = x509.load_pem_x509_certificates(only.read_bytes())
    key = load_pem_private_key(only.read_bytes(), None)
    authorities = [each for each in others if each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca]
    assert key.public_key() == leaf.public_key()
    assert len(authorities) == 2
    assert key.public_key() not in [each.public_key() for each in authorities]
    assert only.stat().st_mode & 0o777 == 0o600
    assert not secrets_in(office.authority)
    assert PASSPHRASE.encode() not in laptop.output


def test_the_days_left_are_told(office: Office, laptop: Gate) -> None:
    """By both commands, alike; the root's own end is another."""
    status, ca = office.read("status")["certificates"], office.read("ca", "show")
    assert status["of"] == ca["of"] == "organization"
    assert status["until"][:19] == ca["issued_until"][:19]
    assert status["days_left"] == ca["issued_days_left"] < ca["days_left"]
    assert ca["device"] == "laptop-17"
    assert f"({status['days_left']} days)" in ran("status", "--state", office.state)


def test_a_renewed_file_is_taken_by_the_gate_that_runs(office: Office, laptop: Gate, provider: Provider) -> None:
    """Without a restart, without a change of trust; here what an MDM puts down, with a key. An expired one, there without having
    been installed, is not: what was shown before is shown on."""
    first = shown(laptop, office.root, OTHER)
    office.install(office.issue("second.pem", "--new-key", "--days", "30"))
    second = until(lambda: _other(shown(laptop, office.root, OTHER), first))
    assert second.not_valid_after_utc - first.not_valid_after_utc > timedelta(days=9)
    assert second.public_key() != first.public_key()
    assert len(secrets_in(office.state)) == 1

    place = office.state / "private" / "leaves.pem"
    good = place.read_bytes()
    place.write_bytes(office.expired().read_bytes())
    until(lambda: b"the certificates before stay" in laptop.output or None)
    assert shown(laptop, office.root, OTHER) == second
    place.write_bytes(good)


def _other(found: x509.Certificate, than: x509.Certificate) -> x509.Certificate | None:
    return found if found != than else None


def test_an_expired_file_is_refused(tmp_path: Path, provider: Provider) -> None:
    """At installing, with nothing written. A gate that starts with one shows none of it: its hosts are tunnelled and counted, and
    somebody is told."""
    office = Office(tmp_path)
    assert "expired on" in office.install(office.expired(), status=1)
    assert not secrets_in(office.state)

    office.install(office.issue("good.pem", "--new-key"))
    (office.state / "private" / "leaves.pem").write_bytes(office.expired().read_bytes())
    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        shown(gate, provider.ca, NAMED)
        unread, told = office.unread(), office.read("audit", "list")
    assert unread == {NAMED: "its certificate has expired"}
    assert b"certificates: expired on" in gate.output
    assert "certificates end" in json.dumps(told)
