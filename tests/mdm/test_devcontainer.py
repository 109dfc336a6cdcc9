"""The devcontainer feature: by the public reference, and run where an image's root folder would be."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

import own_files
from cli.kit import app
from mdm.kit import made, root_pem
from service import clean_debian
from spendgate.capture.ca import Authority, create
from spendgate.config.paths import State, prepare
from spendgate.mdm.devcontainer import ID, METADATA, SCRIPT, feature, variables
from spendgate.runtimes import ADDING, PROXY, REPLACING

HOST = "api.anthropic.com"
NOW = datetime.now(UTC)
KEYS = {"id": str, "version": str, "name": str, "description": str, "containerEnv": dict}
"""Those of the reference's table that are used, and their types. The schema beside it allows no others than it names."""
CLIENTS = {
    "curl": "curl -sSf --resolve {host}:{port}:127.0.0.1 https://{host}:{port}/",
    "python3": "python3 -c \"import socket, ssl; ssl.create_default_context().wrap_socket("
    "socket.create_connection(('127.0.0.1', {port})), server_hostname='{host}')\"",
    "node": "node -e \"require('tls').connect({{port: {port}, host: '127.0.0.1', servername: '{host}'}},"
    " function () {{ this.destroy() }})\"",
}  # fmt: skip


def files(pem: bytes) -> dict[str, str]:
    return {each.path.rpartition("/")[2]: each.content.decode() for each in feature(pem)}


def test_it_is_a_feature_as_the_reference_has_it() -> None:
    """Its folder is called as it is, every key is known, and each runtime's variable is set to what the script makes."""
    authority = create((HOST,), NOW)
    assert [each.path for each in feature(authority.pem)] == [f"{ID}/{METADATA}", f"{ID}/{SCRIPT}"]
    told = json.loads(files(authority.pem)[METADATA])
    assert {key: type(value) for key, value in told.items()} == KEYS
    assert told["id"] == ID
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", told["version"])
    assert told["containerEnv"] == variables()
    assert told["containerEnv"].keys() == {*REPLACING, ADDING}
    assert not {*PROXY} & told["containerEnv"].keys()  # the gate's loopback is not the container's


def test_a_newer_certificate_is_a_newer_version_and_the_same_one_the_same_bytes() -> None:
    """Tools do not fetch a version again that they have."""
    old, new = create((HOST,), NOW - timedelta(days=300)), create((HOST,), NOW)
    assert feature(old.pem) == feature(old.pem)
    versions = [json.loads(files(each.pem)[METADATA])["version"] for each in (old, new)]
    assert versions == sorted(versions, key=lambda text: [int(part) for part in text.split(".")])
    assert versions[0] != versions[1]


def test_no_secret_gets_in() -> None:
    """Of a file with a key in it, the certificate alone."""
    authority = create((HOST,), NOW)
    key = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = files(authority.pem + key)[SCRIPT]
    assert text.count("-----BEGIN") == text.count("-----BEGIN CERTIFICATE") == 1
    assert authority.pem.decode() in text


def test_an_mdm_gets_it_of_the_organizations_root(tmp_path: Path) -> None:
    """Among the material, and in its index."""
    pem = root_pem()
    out = made(tmp_path, pem=pem)
    assert (out / "devcontainer" / ID / SCRIPT).read_text() == files(pem)[SCRIPT]
    assert f"devcontainer/{ID}/{METADATA}" in (out / "README.md").read_text()


def test_a_machines_own_certificate_is_written_beside_devcontainer_json(tmp_path: Path) -> None:
    """By one command; a second run changes nothing; the script may be run."""
    state, authority = prepare(State(tmp_path / "state")), create((HOST,), NOW)
    state.ca_certificate.parent.mkdir(parents=True, exist_ok=True)
    state.ca_certificate.write_bytes(authority.pem)
    for _ in range(2):
        done = CliRunner().invoke(app, ["ca", "devcontainer", "--state", str(state.root), "--out", str(tmp_path)])
        assert done.exit_code == 0, done.output
        assert f'"features": {{"./{ID}": {{}}}}' in done.stdout
    assert {path.name: path.read_text() for path in (tmp_path / ID).iterdir()} == files(authority.pem)
    assert os.access(tmp_path / ID / SCRIPT, os.X_OK)


def test_an_image_without_a_known_store_is_told_so(tmp_path: Path) -> None:
    """Nothing is written then: exit status 1 ends the building of the image."""
    if os.geteuid() != 0:
        pytest.skip("the script asks for root first")
    shell = shutil.which("sh")
    assert shell is not None
    (tmp_path / "id").write_text(f"#!{shell}\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    script = files(create((HOST,), NOW).pem)[SCRIPT]
    done = subprocess.run(
        [shell], input=script, env={"PATH": str(tmp_path)}, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no trust store that is known here" in done.stderr


@contextmanager
def shown_by(authority: Authority, folder: Path) -> Iterator[int]:
    """A server that shows what the gate would for `HOST`, on this port of loopback."""
    leaf = authority.leaf(HOST, NOW)
    chain = folder / "chain.pem"
    chain.write_bytes(
        leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + leaf.certificate.public_bytes(Encoding.PEM)
        + authority.issuer.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that do not trust it are the point
        running = Thread(target=server.serve_forever)
        running.start()
        yield server.server_port
        server.shutdown()
        running.join()


class Hello(BaseHTTPRequestHandler):
    """Answers anything."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def asked(port: int, to: str, *, trusting: bool) -> str:
    """Shell that writes down which clients took the server's certificate, with the variables that a container has."""
    names = variables() if trusting else {}
    env = " ".join(
        ["env", "-u", ADDING, *(f"-u {name}" for name in REPLACING), *(f"{n}={v}" for n, v in names.items())]
    )
    lines = [
        f"{env} sh -c {shlex.quote(line.format(host=HOST, port=port))} >/dev/null 2>&1 && echo {name} >>{to}"
        for name, line in CLIENTS.items()
    ]
    return "\n".join([f": >{to}", *(f"{line} || true" for line in lines), ""])


@pytest.mark.root
def test_curl_python_and_node_trust_the_gate_afterwards(tmp_path: Path) -> None:
    """In this Debian's own folders, with its own programs: none before, all after. The variables are set already as it
    runs, as tools do. What was trusted before is trusted still."""
    if reason := own_files.why_not():
        pytest.skip(reason)
    here = [name for name in CLIENTS if shutil.which(name)]
    authority = create((HOST,), NOW)
    (tmp_path / SCRIPT).write_text(files(authority.pem)[SCRIPT])
    env = " ".join(f"{name}={value}" for name, value in variables().items())
    with shown_by(authority, tmp_path) as port:
        steps = f"""
            rm -f {own_files.JAVA_HOOK}
            {asked(port, "before", trusting=False)}
            cp /etc/ssl/certs/ca-certificates.crt bundle-before
            {env} sh {tmp_path}/{SCRIPT} >said 2>&1
            {asked(port, "after", trusting=True)}
            cat /etc/spendgate/bundle.pem >bundle
            ls -lR /etc/spendgate >listed
        """
        text = own_files.run(tmp_path, steps, {})
    assert text["before"] == ""
    assert text["after"].split() == here
    assert text["bundle"].count("BEGIN CERTIFICATE") == text["bundle-before"].count("BEGIN CERTIFICATE") + 1
    assert text["listed"].count("\n-rw-r--r-- ") == 1


@pytest.mark.root
@pytest.mark.heavy
def test_a_clean_debian_without_a_trust_store_gets_one(tmp_path: Path) -> None:
    """The smallest Debian, in which the script fetches ca-certificates first, and runs twice; the three trust the gate then."""
    if reason := clean_debian.why_not():
        pytest.skip(reason)
    root = tmp_path / "debian"
    clean_debian.make_image(root, "curl,python3-minimal,nodejs")
    authority = create((HOST,), NOW)
    (root / SCRIPT).write_text(files(authority.pem)[SCRIPT])
    env = [f"{name}={value}" for name, value in variables().items()]
    with shown_by(authority, tmp_path) as port:
        steps = f"{asked(port, '/before', trusting=False)}for twice in 1 2; do env {' '.join(env)} sh /{SCRIPT}; done\n"
        steps += asked(port, "/after", trusting=True)
        subprocess.run(["chroot", str(root), "sh", "-euc", steps], check=True)
    assert (root / "before").read_text() == ""
    assert (root / "after").read_text().split() == list(CLIENTS)
