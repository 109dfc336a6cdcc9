"""The processes that a benchmark compares: origin, stock mitmdump, gate. Each a program of its own, measured from outside."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLICY = """\
version: 1
owner: bench@acme.example
budgets:
  - {name: person, per: person, limit: ["$100,000 per day", "$1,000,000 per month"]}
  - {name: session, per: session, limit: "$100,000"}
"""
"""Three budgets that fit every call, none of which is ever spent."""


@dataclass(frozen=True, slots=True)
class System:
    """A proxy under measurement."""

    name: str
    pid: int
    port: int
    ca: str

    def cpu_s(self) -> float:
        """Seconds on a CPU, all threads, to the nanosecond, those that have ended too (`clock_getcpuclockid(3)`)."""
        return time.clock_gettime(_cpu_clock(self.pid))

    def rss_mb(self) -> float:
        """Resident memory in megabytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]  # Linux always gives it


def _cpu_clock(pid: int) -> int:
    """The id of a process's CPU clock, as glibc makes it: the pid inverted, and CPUCLOCK_SCHED in the low bits."""
    return (~pid << 3) | 2


@contextlib.contextmanager
def origin(folder: Path, program: str = "parts.bench_origin", *names: str) -> Iterator[tuple[int, str]]:
    """A running origin: its port, and the authority's file. `names` are the hosts that it is to be, where it may be several."""
    command = [sys.executable, "-m", program, str(folder / "origin"), *names]
    with running(command, {}) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        yield port, str(folder / "origin" / "origin-ca.pem")


@contextlib.contextmanager
def stock(folder: Path, name: str, upstream_ca: str) -> Iterator[System]:
    """mitmdump as it comes, streaming, without an addon."""
    confdir = folder / name
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--mode", "regular@0", "--listen-host", "127.0.0.1"]
    port = free_port()
    command[3] = f"regular@{port}"
    options = (f"confdir={confdir}", "stream_large_bodies=1", f"ssl_verify_upstream_trusted_ca={upstream_ca}")
    for option in options:
        command += ["--set", option]
    with running(command, {}) as process:
        wait_for(port, process)
        yield System(name, process.pid, port, str(confdir / "mitmproxy-ca-cert.pem"))


@contextlib.contextmanager
def gate(folder: Path, upstream_ca: str, policy: str = POLICY) -> Iterator[System]:
    """`spendgate run` in full."""
    state, file = folder / "state", folder / "policy.yaml"
    file.write_text(policy)
    port = free_port()
    command = [sys.executable, "-m", "spendgate", "run", "--policy", str(file), "--state", str(state)]
    command += ["--port", str(port), "--set", f"ssl_verify_upstream_trusted_ca={upstream_ca}"]
    with running(command, {"HOME": str(folder)}) as process:
        wait_for(port, process)
        yield System("spendgate", process.pid, port, str(state / "ca" / "ca-cert.pem"))


@contextlib.contextmanager
def running(command: list[str], more: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, **more, "PYTHONPATH": f"{ROOT / 'addon'}:{ROOT / 'tests'}:{ROOT / 'scripts'}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    said = bytearray()
    drain = threading.Thread(target=lambda: said.extend(process.stderr.read() if process.stderr else b""), daemon=True)
    drain.start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        drain.join(5)
        if process.returncode not in (0, -15, 143):
            sys.stderr.write(said.decode(errors="replace"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            time.sleep(0.3)
            return
        time.sleep(0.1)
    raise SystemExit(f"{process.args!r} does not listen on {port}")
