"""The development entry inside a stock mitmdump: it meters, says what does not hold, and does not start on a bad policy."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from capture.rig import ANTHROPIC, HEADERS, URL, body
from spendgate.standin.server import StandIn

ROOT = Path(__file__).parents[2]
DETOURS = "from spendgate.capture.detour import Detours\naddons = [Detours()]\n"


def start(tmp_path: Path, *sets: str) -> subprocess.Popen[bytes]:
    """mitmdump with the entry and a detour to the stand-in."""
    script = tmp_path / "detours.py"
    script.write_text(DETOURS)
    scripts = ["-s", str(ROOT / "addon/spendgate/capture/entry.py"), "-s", str(script)]
    options = [f"spendgate_state={tmp_path / 'state'}", f"confdir={tmp_path / 'conf'}", *sets]
    command = [str(Path(sys.executable).parent / "mitmdump"), *scripts]
    for option in options:
        command += ["--set", option]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)


async def test_a_call_through_mitmdump_has_its_row(tmp_path: Path) -> None:
    """A provider's call is settled in the ledger, and the promises that do not hold are printed."""
    provider = StandIn()
    await provider.start()
    trusted = tmp_path / "provider.pem"
    trusted.write_bytes(provider.ca_pem)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    process = start(
        tmp_path,
        "listen_host=127.0.0.1",
        f"listen_port={port}",
        f"ssl_verify_upstream_trusted_ca={trusted}",
        f"connect_to={ANTHROPIC}=127.0.0.1:{provider.port}",
    )
    try:
        assert (await _answer(tmp_path, port)).status_code == 200
        row = await _row(tmp_path / "state" / "ledger.db")
        assert row == ("settled", "reported", 12, 7)
    finally:
        process.terminate()
        _, said = await asyncio.to_thread(process.communicate)
        await provider.stop()
    assert b"promises do not hold here" in said


def test_a_bad_policy_ends_mitmdump_at_once(tmp_path: Path) -> None:
    """What was to be metered does not pass unmetered."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nnonsense: yes\n")
    process = start(tmp_path, f"spendgate_policy={bad}", "listen_port=0")
    said = b"".join(process.communicate(timeout=120))
    assert process.returncode != 0
    assert b"bad.yaml:2" in said


def test_a_trust_file_ends_mitmdump_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry looks at no signature, so it does not start where one is asked for, nor where the file cannot be believed."""
    trust = tmp_path / "trust.yaml"
    key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
    monkeypatch.setenv("SPENDGATE_TRUST", str(trust))
    for text, told in (
        (f"version: 1\nkeys: [{{name: a, key: {key}}}]\n", b"use `spendgate run`"),
        ("keys: x\n", b"trust.yaml:1"),
    ):
        trust.write_text(text)
        trust.chmod(0o644)
        process = start(tmp_path, "listen_port=0")
        said = b"".join(process.communicate(timeout=120))
        assert process.returncode != 0
        assert told in said


async def _answer(tmp_path: Path, port: int) -> httpx.Response:
    """The first answer, once mitmdump is up."""
    async with asyncio.timeout(120):
        while True:
            await asyncio.sleep(0.2)
            try:
                trust = ssl.create_default_context(cafile=tmp_path / "conf" / "mitmproxy-ca-cert.pem")
                trust.verify_flags &= ~ssl.VERIFY_X509_STRICT  # mitmproxy's own CA does not pass it
                async with httpx.AsyncClient(proxy=f"http://127.0.0.1:{port}", verify=trust, trust_env=False) as client:
                    return await client.post(URL, json=body(stream=True), headers=HEADERS)
            except (OSError, httpx.TransportError):
                continue  # not up yet


async def _row(ledger: Path) -> tuple[object, ...]:
    """The one billable call, once it has ended."""
    query = "select state, basis, input_tokens, output_tokens from calls where state != 'open'"
    async with asyncio.timeout(60):
        while True:
            connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
            rows = connection.execute(query).fetchall()
            connection.close()
            if rows:
                found: tuple[object, ...] = rows[0]
                return found
            await asyncio.sleep(0.1)
