"""An organization's roll-out as its people do it: root, request, issue, install, run; and a laptop without any CA key."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, running_gate, until
from spendgate.capture import organization

BODY = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"x-api-key": "sk-ant-api03-made-up"}
PASSPHRASE = "correct horse battery"


class Office:
    """The admin's machine and a laptop, each a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.state = folder / "authority", folder / "state"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")

    def ran(self, *words: str | Path, status: int = 0) -> str:
        """A command's stderr and stdout."""
        done = subprocess.run(
            [*PRODUCT, *map(str, words)], capture_output=True, text=True, check=False,
            env=environment(self.folder), timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stderr + done.stdout

    def init(self, *more: str) -> None:
        unlock = ("--passphrase-file", self.passphrase)
        self.ran("ca", "org", "init", "--out", self.authority, "--name", "Acme GmbH", *unlock, *more)

    def request(self) -> Path:
        file = self.folder / "laptop.csr"
        self.ran("ca", "org", "request", "--device", "laptop-17", "--state", self.state, "--out", file)
        return file

    def issue(self, name: str, *more: str | Path) -> Path:
        file = self.folder / name
        unlock = ("--passphrase-file", self.passphrase)
        self.ran("ca", "org", "issue", "--root", self.authority, "--device", "laptop-17", "--out", file, *unlock, *more)
        return file

    def install(self, file: Path, *, status: int = 0) -> str:
        return self.ran("ca", "org", "install", file, "--state", self.state, status=status)

    @property
    def root(self) -> Path:
        return self.authority / "root.pem"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An authority for two hosts."""
    made = Office(tmp_path)
    made.init("--host", "api.anthropic.com", "--host", "api.openai.com")
    return made


def secrets_in(folder: Path) -> list[Path]:
    """Every file with a private key in it."""
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


def status(office: Office) -> dict[str, object]:
    words = [*PRODUCT, "status", "--state", str(office.state), "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment(office.folder))
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_an_organization_rolls_out(office: Office, provider: Provider) -> None:
    """Trusting only the organization's root, a client is answered; what has no leaf is tunnelled and counted; no key can sign."""
    office.install(office.issue("laptop.pem", "--request", office.request()))

    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        with httpx2.Client(proxy=gate.proxy, verify=ssl.create_default_context(cafile=str(office.root)), timeout=60) as http:
            answer = http.post("https://api.anthropic.com/v1/messages", json=BODY, headers=HEADERS)
            assert answer.status_code == 200
            assert gate.row(answer.headers["request-id"])["host"] == "api.anthropic.com"
        missing = "generativelanguage.googleapis.com"
        with pytest.raises(ssl.SSLCertVerificationError):
            shown(gate, office.root, missing)
        tunnelled = shown(gate, provider.ca, missing)
        found = status(office)
        canary = found["gate"]

    assert tunnelled.issuer == x509.load_pem_x509_certificate(provider.ca.read_bytes()).subject
    assert [(row["host"], row["reason"]) for row in found["coverage"]][:1] == [
        (missing, "the organization issued no certificate for it")
    ]  # fmt: skip
    assert canary == {"up": True, "gates": 1, "modes": ["regular"], "captures_nothing_through": []}
    assert found["certificates"] == {
        "of": "organization", "until": found["certificates"]["until"], "days_left": 44,
    }  # fmt: skip
    (only,) = secrets_in(office.state)
    leaf, *chain = x509.load_pem_x509_certificates(only.read_bytes())
    key = load_pem_private_key(only.read_bytes(), None)
    assert key.public_key() == leaf.public_key()
    assert not [each for each in chain if each.public_key() == key.public_key() and _is_ca(each)]
    assert not secrets_in(office.authority)
    assert PASSPHRASE not in "".join(gate.output.decode())


def _is_ca(certificate: x509.Certificate) -> bool:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_renewed_file_is_taken_by_the_gate_that_runs(office: Office, provider: Provider) -> None:
    """Without a restart, without a change of trust; what was installed by an MDM's file is renewed by a request, and the other way."""
    office.install(office.issue("first.pem", "--new-key", "--days", "20"))

    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        first = shown(gate, office.root, "api.openai.com")
        office.install(office.issue("second.pem", "--request", office.request(), "--days", "30"))
        second = until(lambda: _other(shown(gate, office.root, "api.openai.com"), first))

    assert second.not_valid_after_utc - first.not_valid_after_utc > timedelta(days=9)
    assert second.public_key() != first.public_key()
    assert len(secrets_in(office.state)) == 1
    assert re.search("certificates .*are in force", gate.output.decode())


def _other(found: x509.Certificate, than: x509.Certificate) -> x509.Certificate | None:
    return found if found != than else None


def test_an_expired_file_is_refused(office: Office, provider: Provider) -> None:
    """At installing, with nothing written; one that is put there all the same is never shown: its hosts are tunnelled and counted."""
    opened = organization.unlocked((office.authority / "root-key.p12").read_bytes(), PASSPHRASE.encode())
    long_ago = datetime.now(UTC) - timedelta(days=60)
    old = office.folder / "old.pem"
    old.write_bytes(organization.bundle(opened, "laptop-17", long_ago, timedelta(days=45), None))
    assert "expired on" in office.install(old, status=1)
    assert not secrets_in(office.state)

    office.install(office.issue("good.pem", "--new-key"))
    place = office.state / "private" / "leaves.pem"
    place.write_bytes(old.read_bytes())
    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        shown(gate, provider.ca, "api.anthropic.com")
        found = status(office)
    assert [(row["host"], row["reason"]) for row in found["coverage"]] == [
        ("api.anthropic.com", "its certificate has expired")
    ]
    assert b"expired on" in gate.output
