"""Enrolment over HTTPS as its people do it: an office that answers, laptops that ask, a gate that renews; and who tries more.

The office and the gate are programs of their own, the commands are run in this process.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import re
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from end_to_end.test_organization import (
    BODY,
    HEADERS,
    NAMED,
    OTHER,
    PASSPHRASE,
    Office,
    ran,
    shown,
)
from end_to_end.world import PATIENCE_S, PRODUCT, Provider, environment, policy, running_gate, until
from spendgate.capture import issued_files, organization
from spendgate.capture.issued import Issued
from spendgate.config.paths import State, prepare
from spendgate.enrolment import credentials, messages
from spendgate.enrolment import office as rooms
from spendgate.enrolment.books import Books, Line
from spendgate.enrolment.credentials import proof_of
from spendgate.standin.certificates import made


class Company(Office):
    """An authority with an office on this machine, and as many laptops as are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        old = organization.new_root((NAMED, OTHER), "Acme GmbH", datetime.now(UTC) - timedelta(days=99))
        self.root.write_bytes(old.pem)  # so that certificates can have been issued some weeks ago
        (self.authority / "root-key.p12").write_bytes(organization.locked(old, PASSPHRASE.encode()))
        chain, ca = made(("localhost",), dt.datetime.now(dt.UTC))
        (folder / "server.pem").write_bytes(chain)
        self.server_ca = folder / "server-ca.pem"
        self.server_ca.write_bytes(ca)
        self.said = bytearray()
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @contextlib.contextmanager
    def open(self) -> Iterator[subprocess.Popen[bytes]]:
        """The office, answering inside. It may be killed there."""
        words = ["ca", "org", "serve", "--root", self.authority, "--listen", f"127.0.0.1:{self.port}", "--days", "30"]
        words += ["--certificate", self.folder / "server.pem", *self._unlock]
        process = subprocess.Popen([*PRODUCT, *map(str, words)], stderr=subprocess.PIPE, env=environment(self.folder))
        began = len(self.said)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            self.port = int(until(lambda: re.search(rb"ready https://127\.0\.0\.1:(\d+)", self.said[began:]))[1])
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            reader.join(PATIENCE_S)
            process.stderr.close()  # type: ignore[union-attr]

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        while data := os.read(process.stderr.fileno(), 65536):  # type: ignore[union-attr]
            self.said += data

    def secret(self, device: str | None = None, *, uses: int = 1) -> str:
        """A credential that was made now, as `ca org token` makes it."""
        found, now_ms = credentials.new_secret(), int(datetime.now(UTC).timestamp() * 1000)
        digest = credentials.hashed(found)
        one = credentials.Credential(credentials.name_of(digest), device, uses, now_ms, now_ms + 3_600_000)
        with self.books.open() as page:
            page.make(one, digest)
        return found

    def enrol(self, device: str, secret: str, *, status: int = 0) -> tuple[str, Path]:
        """What a laptop is told, and its state directory."""
        state, file = self.folder / device, self.folder / f"{device}.token"
        file.write_text(secret + "\n")
        words = ("--device", device, "--root", self.root, "--token-file", file, "--state", state)
        with mock.patch.dict(os.environ, SSL_CERT_FILE=str(self.server_ca)):
            return ran("ca", "org", "enroll", self.url, *words, status=status), state

    def ask(
        self, path: str = messages.ENROLL, *, device: str = "x", secret: str = "", body: bytes = b"", **more: str
    ) -> int:
        """The status that a client which is none of ours gets; 0: the connection was ended."""
        given = base64.b64encode(f"{device}:{secret}".encode()).decode()
        headers = {"authorization": f"Basic {given}", "content-type": "application/pkcs10", **more}
        trust = ssl.create_default_context(cafile=str(self.server_ca))
        with httpx2.Client(verify=trust, timeout=PATIENCE_S, trust_env=False) as http:
            try:
                return http.post(f"https://localhost:{self.port}{path}", content=body, headers=headers).status_code
            except httpx2.TransportError:
                return 0

    @property
    def books(self) -> Books:
        return Books(self.authority / "enrolment.db")

    def trail(self) -> list[Line]:
        with self.books.open() as page:
            return page.lines()

    def left(self) -> dict[str, int]:
        """By id, how often each credential may still be used."""
        with self.books.open() as page:
            return {one.id: one.left for one, _ in page.credentials()}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Its office is open."""
    found = Company(tmp_path_factory.mktemp("company"))
    with found.open():
        yield found


def csr(device: str, *names: str, key: object = None) -> bytes:
    """In base64, as it is sent."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(san, critical=False)
    signed = builder.sign(key or organization.new_key(), SHA256())  # type: ignore[arg-type]
    return base64.b64encode(signed.public_bytes(Encoding.DER))


def test_a_laptop_enrols_and_its_gate_renews(company: Company, provider: Provider) -> None:
    """By a token that opens once. What it got is what clients take; before it ends the gate has another, for another key, without
    a change of trust. No secret is in the books, in a log or on the laptop."""
    made_one = ("ca", "org", "token", "--root", company.authority, "--device", "laptop-17", "--format", "json")
    told = ran(*made_one)
    secret = json.loads(told[told.index("[") :])[0]["token"]
    told, state = company.enrol("laptop-17", secret)
    assert "laptop-17 for 3 hosts" in told
    installed = (state / "private" / "leaves.pem").read_bytes()
    assert "is used up" in company.enrol("laptop-17", secret, status=1)[0]
    assert (state / "private" / "leaves.pem").read_bytes() == installed

    before = aged(company, "laptop-17", State(state))
    folder = company.folder / "laptop"
    folder.mkdir()
    state.rename(folder / "state")
    trust = {"SSL_CERT_FILE": str(company.server_ca)}
    with running_gate(folder, provider, policy(folder), **trust) as gate:
        leaf = until(lambda: newer(shown(gate, company.root, OTHER), before))
        with httpx2.Client(
            proxy=gate.proxy, verify=ssl.create_default_context(cafile=str(company.root)), timeout=PATIENCE_S
        ) as http:
            assert http.post(f"https://{NAMED}/v1/messages", json=BODY, headers=HEADERS).status_code == 200
        assert secret.encode() not in gate.output
    assert leaf.not_valid_after_utc - datetime.now(UTC) > timedelta(days=29)
    private = folder / "state" / "private"
    assert {file.name for file in private.iterdir()} == {"leaves.pem", "enrolment.json"}
    assert {file.stat().st_mode & 0o777 for file in private.iterdir()} == {0o600}
    assert [each.what for each in company.trail() if each.device == "laptop-17"] == ["enrolled", "enrolled", "renewed"]
    having = [
        file.name for file in company.folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()
    ]
    assert having == ["laptop-17.token"]
    assert secret.encode() not in company.said


def test_the_office_shows_its_renewed_certificate_without_a_restart(company: Company) -> None:
    """Half of a file is told, and the one before shown; the whole is then what laptops are shown."""
    chain, ca = made(("localhost",), dt.datetime.now(dt.UTC))
    began, file = len(company.said), company.folder / "server.pem"
    file.write_bytes(chain[:-200])
    until(lambda: b"the one before goes on being shown" in company.said[began:])
    assert "renewed-1 for 3 hosts" in company.enrol("renewed-1", company.secret())[0]
    file.write_bytes(chain)
    until(lambda: b"renewed, and shown from now on" in company.said[began:])
    company.server_ca.write_bytes(ca)
    assert "renewed-2 for 3 hosts" in company.enrol("renewed-2", company.secret())[0]


def newer(leaf: x509.Certificate, than: Issued) -> x509.Certificate | None:
    """For another key, or None."""
    return leaf if leaf.public_key() != than.key.public_key() else None


def aged(company: Company, device: str, state: State) -> Issued:
    """What the office would have issued 25 days ago of 30, in its books and on the laptop."""
    then = datetime.now(UTC) - timedelta(days=25)
    root = organization.unlocked((company.authority / "root-key.p12").read_bytes(), PASSPHRASE.encode())
    secret = company.secret(device)
    key = issued_files.requested(state)
    der, _ = messages.body_of(organization.new_request(device, key))
    found = rooms.Office(root, company.books, timedelta(days=30)).enrol(
        messages.Question(device, secret, der), "here", then
    )
    assert isinstance(found, rooms.Issued)
    return issued_files.install(
        state, messages.bundle_of(found.body), then, (NAMED, OTHER), place="", root=root.pem, asked_now=True
    )


def forms(company: Company) -> dict[str, dict[str, object]]:
    """What is tried with a token that is good for `laptop-1`, by what it is."""
    secret, good = company.secret("laptop-1"), csr("laptop-1")
    mine: dict[str, object] = {"device": "laptop-1", "secret": secret, "body": good}
    return {
        "another token": {**mine, "secret": secret[:-1] + ("A" if secret[-1] != "A" else "B")},
        "no token": {**mine, "authorization": ""},
        "another scheme": {**mine, "authorization": f"Bearer {secret}"},
        "another name": {**mine, "device": "laptop-2", "body": csr("laptop-2")},
        "a path as a name": {**mine, "device": "../laptop-1"},
        "another name in the request": {**mine, "body": csr("laptop-2")},
        "a bank's name": {**mine, "body": csr("laptop-1", "bank.example")},
        "a host of the root's": {**mine, "body": csr("laptop-1", NAMED)},
        "no base64": {**mine, "body": b"\x00\xff" * 20},
        "no request": {**mine, "body": base64.b64encode(b"nonsense")},
        "nothing": {**mine, "body": b""},
        "a certificate": {**mine, "body": base64.b64encode(b"".join(company.root.read_bytes().split(b"\n")[1:-2]))},
        "100 MB": {**mine, "body": b"A" * 100_000_000},
        "a head of 1 MB": {**mine, "x-more": "A" * 1_000_000},
        "another type": {**mine, "content-type": "text/plain"},
        "another path": {**mine, "path": "/.well-known/est/fullcmc"},
        "a renewal by a token": {**mine, "path": messages.REENROLL},
    }


def test_whoever_tries_more_gets_nothing(company: Company) -> None:
    """Each is refused, out of none comes a line of the trail or a use of the token; who has it is answered afterwards."""
    before, tried = company.trail(), forms(company)
    found = {name: company.ask(**words) for name, words in tried.items()}  # type: ignore[arg-type]
    assert found == {
        **dict.fromkeys(("another token", "no token", "another scheme", "a path as a name"), 401),
        **dict.fromkeys(("another name", "a renewal by a token"), 403),
        **dict.fromkeys(("another name in the request", "a bank's name", "a host of the root's"), 400),
        **dict.fromkeys(("no base64", "no request", "nothing", "a certificate"), 400),
        "100 MB": found["100 MB"],
        "a head of 1 MB": found["a head of 1 MB"],
        "another type": 415,
        "another path": 404,
    }
    assert {found["100 MB"], found["a head of 1 MB"]} <= {0, 400, 413, 431}
    assert company.trail() == before
    assert company.ask(**tried["another token"] | {"secret": tried["no base64"]["secret"]}) == 200  # type: ignore[arg-type]
    assert company.ask(**tried["another token"] | {"secret": tried["no base64"]["secret"]}) == 403  # type: ignore[arg-type]
    assert len(company.trail()) == len(before) + 1


def test_a_token_opens_once_however_many_ask_at_once(company: Company) -> None:
    """And a fleet's credential as often as it may."""
    once, thrice = company.secret(), company.secret(uses=3)
    asked = [(f"{name}-{at}", secret) for name, secret in (("a", once), ("b", thrice)) for at in range(6)]
    with ThreadPoolExecutor(len(asked)) as many:
        found = list(many.map(lambda each: company.ask(device=each[0], secret=each[1], body=csr(each[0])), asked))
    assert (sorted(found[:6]), sorted(found[6:])) == ([200] + [403] * 5, [200] * 3 + [403] * 3)


def test_a_stolen_credential_of_the_fleet(company: Company) -> None:
    """Becomes no laptop that is there, nor one that was blocked, and opens no more once it is revoked."""
    fleet, bound = company.secret(uses=9), company.secret("ann")

    def ask(device: str, secret: str = fleet) -> int:
        return company.ask(device=device, secret=secret, body=csr(device))

    assert ask("ann", bound) == 200
    assert ask("ann") == 403
    assert ask("new") == 200
    ran("ca", "org", "revoke", "--root", company.authority, "--device", "new")  # the command itself
    assert ask("new") == 403
    assert ask("new", company.secret("new")) == 200
    used = next(each.credential for each in reversed(company.trail()) if each.device == "new" and each.credential)
    assert company.left()[used] == 0
    (opened,) = {name for name, left in company.left().items() if left == 8}
    ran("ca", "org", "revoke", "--root", company.authority, "--token", opened)
    assert ask("newer") == 403


def test_a_copied_key_is_found(company: Company) -> None:
    """Who has it renews, and then the other cannot: the trail says that there are two."""
    key, first, second = (organization.new_key() for _ in range(3))
    secret = company.secret("twice")
    assert company.ask(device="twice", secret=secret, body=csr("twice", key=key)) == 200

    def renews(by: object, of: object) -> int:
        body = csr("twice", key=of)
        proof = proof_of(by, base64.b64decode(body))  # type: ignore[arg-type]
        return company.ask(messages.REENROLL, device="twice", secret=proof, body=body)

    assert renews(key, first) == 200
    assert renews(key, first) == 200  # the same question again, as of who got no answer
    assert renews(key, second) == 403
    assert renews(second, second) == 403
    whats = [each.what for each in company.trail() if each.device == "twice"]
    assert whats == ["enrolled", "renewed", "answered again", "refused: a copied key"]
    with company.books.open() as page:
        assert page.block("twice", int(datetime.now(UTC).timestamp() * 1000))
    assert renews(first, organization.new_key()) == 403


def test_killed_at_any_moment_nothing_is_used_twice_or_lost(tmp_path: Path) -> None:
    """As many lines as uses, whatever was under way; and a laptop whose answer was lost goes on by the same command."""
    company = Company(tmp_path)
    uses = 40
    fleet = company.secret(uses=uses)
    for turn in range(3):
        with company.open() as process, ThreadPoolExecutor(6) as many:
            names = [f"l-{turn}-{at}" for at in range(12)]
            asked = [many.submit(company.ask, device=name, secret=fleet, body=csr(name)) for name in names]
            until(lambda asked=asked, turn=turn: sum(each.done() for each in asked) > turn or None)
            process.send_signal(signal.SIGKILL)
            answered = sum(each.result() == 200 for each in asked)
        (left,) = company.left().values()
        lines = company.trail()
        assert uses - left == len(lines) == len({each.device for each in lines}) >= answered

    lost = company.secret("lost")
    state = State(company.folder / "lost")
    with company.open():
        key = issued_files.requested(prepare(state))
        assert company.ask(device="lost", secret=lost, body=csr("lost", key=key)) == 200
        company.enrol("lost", lost)
    assert issued_files.load(state).key.public_key() == key.public_key()
