"""A real Connect server and client (connect-es on Node.js, as Cursor has them), and a gate between them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import functools
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from end_to_end.clients import INSTALL_S
from end_to_end.world import PATIENCE_S, ROOT, Gate, Way, environment, started_gate
from spendgate.standin.certificates import made
from spendgate.standin.tunnel import Tunnel

PACKAGES = ("@connectrpc/connect@2.1.2", "@connectrpc/connect-node@2.1.2", "@bufbuild/protobuf@2.17.0")
CACHE = ROOT / ".cache" / "connect"
SCRIPTS = Path(__file__).parent / "connect"
HOST = "api2.cursor.sh"
COMPOSER = "composer-2.5"
Said = dict[str, Any]


def node() -> str:
    """Node.js, with the packages installed by npm at the first use. Skips the test where that cannot be."""
    if reason := _installed():
        pytest.skip(reason)
    found = shutil.which("node")
    assert found is not None
    return found


@functools.cache
def _installed() -> str | None:
    """Why they are not here; None: they are. Tried once in a process, by one process at a time."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "a real Connect client needs Node.js and npm, which are not here"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (CACHE / "node_modules" / "@connectrpc" / "connect-node").exists():
            return None
        command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        try:
            subprocess.run([*command, "--prefix", CACHE, *PACKAGES], check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            said = (getattr(fault, "stderr", None) or b"").decode(errors="replace").strip().partition("\n")[0]
            return f"npm could not install {' '.join(PACKAGES)}: {said or type(fault).__name__}"
    return None


@dataclass(slots=True)
class Server:
    """The Connect server as a program of its own; `said` are its lines, one for each call that ended."""

    port: int
    ca: Path
    said: queue.Queue[Said]

    def ended(self) -> Said:
        """What the next call that ended received and sent."""
        return self.said.get(timeout=PATIENCE_S)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """A provider at the name of Cursor's."""
    pem, authority = made((HOST,), dt.datetime.now(dt.UTC))
    (folder / "server.pem").write_bytes(pem)
    ca = folder / "provider-ca.pem"
    ca.write_bytes(authority)
    command = [node(), str(SCRIPTS / "server.cjs"), str(folder / "server.pem")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_surroundings(folder))
    said: queue.Queue[Said] = queue.Queue()
    reader = threading.Thread(target=_lines, args=(process, said), daemon=True)
    reader.start()
    try:
        yield Server(said.get(timeout=PATIENCE_S)["port"], ca, said)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        reader.join(PATIENCE_S)
        if process.stdout:
            process.stdout.close()


@dataclass(frozen=True, slots=True)
class Plain:
    """A way to the server without a gate."""

    port: int
    ca: Path


@contextlib.contextmanager
def no_gate_before(server: Server) -> Iterator[Plain]:
    """A forward proxy that decrypts nothing: what the clients see without us."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    tunnel = Tunnel(frozenset({HOST}), server.port)
    try:
        yield Plain(asyncio.run_coroutine_threadsafe(tunnel.start(), loop).result(PATIENCE_S), server.ca)
    finally:
        asyncio.run_coroutine_threadsafe(tunnel.stop(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


@contextlib.contextmanager
def gate_before(server: Server, folder: Path, file: Path) -> Iterator[Gate]:
    """A gate in regular mode whose upstream is the Connect server."""
    options = (f"connect_to={HOST}=127.0.0.1:{server.port}", f"ssl_verify_upstream_trusted_ca={server.ca}")
    with started_gate(folder, file, *[word for option in options for word in ("--set", option)]) as gate:
        yield gate


def client(gate: Way, folder: Path, version: str, what: str, *, messages: int = 1, pause_ms: int = 0,
           conversation: str = "c0ffee00-0000-4000-8000-000000000001", model: str = COMPOSER) -> Said:  # fmt: skip
    """What a client saw. `what`: `run` (both sides talk), `sse` (what stands for it over HTTP/1.1), `name` (free)."""
    arguments = [str(gate.port), HOST, str(gate.ca), version, what, str(messages), str(pause_ms), conversation, model]
    done = subprocess.run(
        [node(), str(SCRIPTS / "client.cjs"), *arguments],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S + messages * pause_ms / 1000, env=_surroundings(folder),
    )  # fmt: skip
    assert done.stdout, done.stderr
    found: Said = json.loads(done.stdout)
    return found


def _surroundings(folder: Path) -> dict[str, str]:
    return {**environment(folder), "NODE_PATH": str(CACHE / "node_modules"), "PATH": os.environ.get("PATH", "")}


def _lines(process: subprocess.Popen[str], said: queue.Queue[Said]) -> None:
    for line in process.stdout or ():
        said.put(json.loads(line))
