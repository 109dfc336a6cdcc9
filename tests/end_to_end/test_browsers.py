"""`capture.browsers: never`, on a real browser: it sees the server's own certificate, and no trace is left."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from end_to_end.raw import trust, tunnel
from end_to_end.village import STANDIN, Village, village
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate, until
from redirect.lab import why_not

CHROMIUM = Path("/usr/lib/chromium/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
PAGE = "<html>"
AT_LEAST_BYTES = 500 * 1024 * 1024


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gate]:
    """A gate with the default capture, and nobody else on it."""
    folder = tmp_path_factory.mktemp("browsers")
    with running_gate(folder, provider, policy(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of Chromium's folder, whose program may be called anything."""
    folder = tmp_path_factory.mktemp("engine")
    if shutil.disk_usage(folder).free < AT_LEAST_BYTES:
        pytest.skip("needs half a gigabyte for a copy of Chromium")
    for part in CHROMIUM.parent.iterdir():
        if part.name != CHROMIUM.name:
            (folder / part.name).symlink_to(part)
    shutil.copy2(CHROMIUM, folder / "claude-app")
    return folder


def pin(certificate: bytes) -> str:
    """The hash by which Chromium can be told to accept one server's key, and no other that it does not trust."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def providers_pin(provider: Provider) -> str:
    """Of the stand-in, asked without a gate."""
    return pin(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", provider.port))))


def opened(program: Path, url: str, key: str, folder: Path, *more: str) -> str:
    """What a browser shows of a page where the server's key is this one; empty where it is another's."""
    command = [str(program), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    command += ["--disable-background-networking", "--no-first-run", f"--user-data-dir={folder / 'profile'}"]
    command += [f"--ignore-certificate-errors-spki-list={key}", *more, url]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "HOME": str(folder)},
    )
    return "" if "ERR_CERT" in done.stdout or "neterror" in done.stdout else done.stdout


def through(gate: Gate) -> str:
    """The option that sends a browser through a gate."""
    return f"--proxy-server=http://127.0.0.1:{gate.port}"


def gaps(gate_state: Path, host: str) -> list[str]:
    """Why connections to this host were counted as not read."""
    with contextlib.closing(sqlite3.connect(f"file:{gate_state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return [row[0] for row in ledger.execute("SELECT reason FROM coverage WHERE host = ?", (host,))]


def hosts(gate: Gate) -> set[str]:
    """Whose exchanges have rows."""
    return {str(row["host"]) for row in gate.calls()}


@pytest.mark.parametrize("host", ["claude.ai", "chatgpt.com", "openrouter.ai"])
def test_a_browser_sees_the_servers_own_certificate(alone: Gate, provider: Provider, tmp_path: Path, host: str) -> None:
    """On hosts that people open in it; nothing of that is written, not even that it was."""
    key = providers_pin(provider)
    assert PAGE in opened(CHROMIUM, f"https://{host}/api/page", key, tmp_path, through(alone))
    assert host not in hosts(alone)
    assert gaps(alone.state, host) == []


def test_on_a_host_that_is_an_api_a_browser_is_like_any_program(
    alone: Gate, provider: Provider, tmp_path: Path
) -> None:
    """There, a name like a browser's must not lead past a budget: the certificate is the gate's, which this one does not take."""
    assert (
        opened(CHROMIUM, "https://api.anthropic.com/api/page", providers_pin(provider), tmp_path, through(alone)) == ""
    )
    assert until(lambda: gaps(alone.state, "api.anthropic.com") or None)


def test_a_tool_sees_the_gates_certificate_on_the_same_host(alone: Gate) -> None:
    """A Python program, on the hosts of the test above: decrypted, and a row each."""
    for host in ("claude.ai", "chatgpt.com", "openrouter.ai"):
        with trust(alone).wrap_socket(tunnel(alone, host), server_hostname=host) as secure:
            secure.sendall(f"GET /api/page HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            assert secure.recv(20).startswith(b"HTTP/1.1 200")
    until(lambda: True if {"claude.ai", "chatgpt.com", "openrouter.ai"} <= hosts(alone) else None)


def test_an_app_with_a_browsers_engine_is_no_browser(
    alone: Gate, provider: Provider, engine: Path, tmp_path: Path
) -> None:
    """Electron's apps are Chromium under a name of their own: decrypted."""
    with trust(alone).wrap_socket(tunnel(alone, "claude.ai"), server_hostname="claude.ai") as secure:
        key = pin(secure.getpeercert(binary_form=True) or b"")
    app = engine / "claude-app"
    before = len(alone.calls())
    assert opened(app, "https://claude.ai/api/page", providers_pin(provider), tmp_path / "1", through(alone)) == ""
    assert PAGE in opened(app, "https://claude.ai/api/page", key, tmp_path / "2", through(alone))
    until(lambda: True if len(alone.calls()) > before else None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_browser_of_a_persons_own_is_let_alone_and_counted(
    alone: Gate, provider: Provider, engine: Path, tmp_path: Path
) -> None:
    """Anyone can give a program that name: on a website it is not looked into, but is seen; elsewhere it is decrypted."""
    own = engine / "chromium"
    (engine / "claude-app").rename(own)
    os.chown(own, 65534, 65534)
    try:
        key = providers_pin(provider)
        assert PAGE in opened(own, "https://claude.ai/api/page", key, tmp_path / "1", through(alone))
        until(lambda: True if "named like a browser; not an installed one" in gaps(alone.state, "claude.ai") else None)
        assert opened(own, "https://openrouter.ai/api/page", key, tmp_path / "2", through(alone)) == ""
    finally:
        own.rename(engine / "claude-app")
        os.chown(engine / "claude-app", 0, 0)


def test_what_is_not_decrypted_can_be_counted(provider: Provider, folder: Path, tmp_path: Path) -> None:
    """`capture.browsers: count`: a row for the connection, with bytes and times and nothing else; it is still not decrypted."""
    key = providers_pin(provider)
    with running_gate(folder, provider, policy(folder, more="capture: {browsers: count}\n")) as gate:
        assert PAGE in opened(CHROMIUM, "https://claude.ai/api/page?secret=1", key, tmp_path, through(gate))
        rows = until(lambda: [row for row in gate.calls() if row["host"] == "claude.ai"] or None)
    row = rows[0]
    assert (row["state"], row["provider"], row["path"], row["process"]) == (
        "unrecognized",
        "claude-ai",
        "*",
        "chromium",
    )
    assert "not decrypted" in row["flags"]
    assert row["cost_nanos"] in (None, 0)
    assert row["duration_ms"] is not None
    with contextlib.closing(sqlite3.connect(f"file:{gate.state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        up, down = ledger.execute(
            "SELECT request_bytes, response_bytes FROM call_rows WHERE host = 'claude.ai'"
        ).fetchone()
    assert up > 500
    assert down > 500


@pytest.fixture(scope="module", name="town")
def _town() -> Iterator[Village]:
    """Transparent capture, of a browser that knows of no proxy."""
    if reason := why_not():
        pytest.skip(reason)
    with village() as made:
        yield made


@pytest.mark.root
@pytest.mark.xdist_group("village")
def test_a_browser_that_knows_of_no_proxy_is_let_alone_too(town: Village, tmp_path: Path) -> None:
    """Under transparent capture, as an account that is not the gate's; its process is known through root's clerk."""
    person = town.laptop.people[0]
    script = f"import ssl; print(ssl.get_server_certificate(('{STANDIN}', 443)))"
    # Without a name in its hello the connection is nobody's, and shows the server's own certificate.
    bare = town.laptop.inside("python3", "-c", script, cwd="/")
    certificate, err = bare.communicate(timeout=PATIENCE_S)
    assert bare.returncode == 0, err
    key = pin(ssl.PEM_cert_to_DER_cert(certificate.strip()))
    home = f"/tmp/{town.laptop.name}-home"  # noqa: S108  no other account's files lie there, and its name is drawn by lot
    shell = (
        f"mkdir -p {home} && HOME={home} exec {CHROMIUM} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "
        f"--dump-dom --no-first-run --user-data-dir={home}/profile --ignore-certificate-errors-spki-list={key} $0"
    )
    pages = []
    for host in ("claude.ai", "api.anthropic.com"):
        asked = town.laptop.inside(
            "setpriv", f"--reuid={person}", "--clear-groups", "sh", "-c", shell, f"https://{host}/api/page", cwd="/"
        )
        out, err = asked.communicate(timeout=PATIENCE_S)
        pages.append("" if "ERR_CERT" in out else out)
    assert PAGE in pages[0]
    assert pages[1] == ""
    assert gaps(town.state, "claude.ai") == []
    assert until(lambda: gaps(town.state, "api.anthropic.com") or None)
