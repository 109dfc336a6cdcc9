"""A roll-out whose root is in a token: clients that trust it go through a laptop's gate, which knows nothing of a token."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import softhsm
from end_to_end.test_organization import BODY, HEADERS, NAMED, OTHER, Office, ran, secrets_in, shown
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate
from softhsm import PIN

WHY_NOT = softhsm.why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


class TokenOffice(Office):
    """The admin's machine with a token in it."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.authority, self.state = folder / "authority", folder / "state"
        pin = folder / "pin"
        pin.write_text(PIN)
        pin.chmod(0o600)
        self._unlock = ("--passphrase-file", pin)
        hosts = ("--host", NAMED, "--host", OTHER)
        named = ("--out", self.authority, "--name", "Acme GmbH", "--token", uri)
        self.told = ran("ca", "org", "init", *named, *hosts, *self._unlock)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenOffice]:
    """An authority, and a laptop with what it asked for; the token is gone when its gate starts."""
    folder = tmp_path_factory.mktemp("token")
    with softhsm.hsm(folder / "hsm") as hsm:
        made = TokenOffice(folder, hsm.uri("Acme root"))
        made.install(made.issue("laptop.pem", "--request", made.request(), "--days", "20"))
    assert "SOFTHSM2_CONF" not in os.environ
    yield made


@pytest.fixture(scope="module")
def laptop(office: TokenOffice, provider: Provider) -> Iterator[Gate]:
    """The laptop's gate."""
    with running_gate(office.folder, provider, policy(office.folder)) as gate:
        yield gate


def test_clients_that_trust_the_root_are_answered(office: TokenOffice, laptop: Gate) -> None:
    """Python's ssl verifies each named host, and the call has its row."""
    trust = ssl.create_default_context(cafile=str(office.root))
    with httpx2.Client(proxy=laptop.proxy, verify=trust, timeout=PATIENCE_S) as http:
        answer = http.post(f"https://{NAMED}/v1/messages", json=BODY, headers=HEADERS)
    assert answer.status_code == 200
    assert laptop.row(answer.headers["request-id"])["host"] == NAMED
    shown(laptop, office.root, OTHER)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize(("host", "passes"), [(NAMED, True), (OTHER, True), ("bank.example", False)])
def test_openssl_verifies_the_chain(office: TokenOffice, laptop: Gate, host: str, passes: bool) -> None:
    """By itself, through the gate; and not under another name."""
    words = [
        "openssl",
        "s_client",
        "-proxy",
        f"127.0.0.1:{laptop.port}",
        "-connect",
        f"{NAMED if not passes else host}:443",
    ]
    checks = ["-servername", NAMED if not passes else host, "-verify_hostname", host, "-verify_return_error"]
    files = ["-CAfile", str(office.root), "-no-CApath", "-no-CAstore"]
    done = subprocess.run(
        [*words, *checks, *files], input="", capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert ("Verify return code: 0 (ok)" in done.stdout, done.returncode == 0) == (passes, passes), done.stderr


def test_no_key_of_the_root_is_on_either_machine(office: TokenOffice, laptop: Gate) -> None:
    """The admin's folder holds none, the laptop its leaves' own; the PIN is in its own file alone."""
    assert not secrets_in(office.authority)
    assert len(secrets_in(office.state)) == 1
    having = [file.name for file in office.folder.rglob("*") if file.is_file() and PIN.encode() in file.read_bytes()]
    assert having == ["pin"]
    assert PIN.encode() not in laptop.output
    assert PIN not in office.told
