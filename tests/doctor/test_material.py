"""Where our certificate is found: PEM among others, Java's stores, and settings of Claude Code."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from spendgate.capture import ca
from spendgate.doctor.material import JAVA, Certificate, material
from spendgate.doctor.settings import with_settings

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def pems() -> tuple[str, str]:
    """Ours and another's."""
    return ca.create(["api.anthropic.com"], NOW).pem.decode(), ca.create(["api.openai.com"], NOW).pem.decode()


def test_found_in_a_bundle(pems: tuple[str, str], tmp_path: Path) -> None:
    """Among others, in other line ends and lengths; not in what has others alone, and unknown where nothing can be read."""
    ours, other = Certificate(pems[0]), pems[1]
    for text, held in (
        (f"# roots\n{other}\n{pems[0]}", True),
        (pems[0].replace("\n", "\r\n"), True),
        (pems[0].replace("-----\n", "-----\n\n").replace("\n\n", "\n"), True),
        (other, False),
        ("", False),
    ):
        (tmp_path / "bundle.pem").write_text(text)
        assert ours.is_in(tmp_path / "bundle.pem") is held
    assert ours.is_in(tmp_path / "gone.pem") is None
    assert ours.is_in(tmp_path) is None


def test_found_in_javas_store(pems: tuple[str, str], tmp_path: Path) -> None:
    """In what `exec` writes, and what the options name decides."""
    ours, store = Certificate(pems[0]), tmp_path / "store.p12"
    for pem, held in ((pems[0], True), (pems[1], False)):
        kept = PKCS12Certificate(x509.load_pem_x509_certificate(pem.encode()), b"x")
        store.write_bytes(serialize_java_truststore([kept], BestAvailableEncryption(b"changeit")))
        found = material(ours, "/ca", {JAVA: f"-Xmx1g -Djavax.net.ssl.trustStore={store}"}, (JAVA,), {})
        assert found.holds == {JAVA: held}
    assert material(ours, "/ca", {JAVA: "-Xmx1g"}, (JAVA,), {}).variables == {}


def test_settings_set_variables(tmp_path: Path) -> None:
    """The account's over the environment, the machine's over both, its drop-ins in their order; what cannot be read sets none."""
    home, managed = tmp_path / "home", tmp_path / "managed"
    for file, env in (
        (home / ".claude" / "settings.json", {"A": "own", "B": "own"}),
        (managed / "managed-settings.json", {"B": "machine", "C": "machine"}),
        (managed / "managed-settings.d" / "50-spendgate.json", {"C": "dropped in"}),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"env": env}))
    (managed / "managed-settings.d" / "90-broken.json").write_text("{")
    found = with_settings({"A": "shell", "PATH": "/bin"}, home, managed)
    assert found == {"A": "own", "B": "machine", "C": "dropped in", "PATH": "/bin"}
    assert with_settings({"A": "shell"}, tmp_path / "nobody", tmp_path / "nothing") == {"A": "shell"}


def test_a_fifo_is_not_waited_for(pems: tuple[str, str], tmp_path: Path) -> None:
    """A variable may name anything."""
    subprocess.run(["mkfifo", tmp_path / "fifo"], check=True)
    assert Certificate(pems[0]).is_in(tmp_path / "fifo") is None
