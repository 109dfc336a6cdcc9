"""What a gate tells systemd, as a socket of the test's own hears it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spendgate.service.notify import Manager

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


def _listening(name: str) -> socket.socket:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(name)
    heard.settimeout(PATIENCE_S)
    return heard


@pytest.mark.parametrize(
    "abstract",
    [pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="such names are Linux's")), False],
)
def test_it_says_that_it_is_ready_and_that_it_stops(tmp_path: Path, abstract: bool) -> None:
    """At a path, and at a name without a file."""
    name = secrets.token_hex(8)
    address = f"@{name}" if abstract else str(tmp_path / "notify")
    with _listening(f"\0{name}" if abstract else address) as heard:
        manager = Manager.of({"NOTIFY_SOCKET": address}, 1)
        manager.ready("up")
        manager.stopping()

        assert [heard.recv(100), heard.recv(100)] == [b"READY=1\nSTATUS=up", b"STOPPING=1"]


def test_nobody_else_speaks_for_the_gate() -> None:
    """The variables are gone for what it starts, and a watchdog over another process is not answered."""
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7", "PATH": "/bin"}

    mine = Manager.of(dict(environ), 7)
    other = Manager.of(environ, 8)

    assert (mine.every_s, other.every_s) == (1.0, None)
    assert environ == {"PATH": "/bin"}


def test_without_systemd_nothing_is_told() -> None:
    """The task that would tell it ends at once, and words go nowhere."""
    manager = Manager.of({}, 1)
    manager.ready("up")

    asyncio.run(manager.keep_telling())


def test_a_manager_that_has_gone_costs_the_gate_nothing(tmp_path: Path) -> None:
    """Nobody listens there."""
    Manager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 1).ready("up")


def test_a_running_gate_lives_while_its_loop_does(tmp_path: Path) -> None:
    """Ready with where it listens, a sign of life again and again, none while it is stopped, and a word when it ends."""
    with _listening(str(tmp_path / "notify")) as heard:
        env = {
            **os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000",
            "PYTHONPATH": str(ROOT / "addon"),
        }  # fmt: skip
        words = (sys.executable, "-m", "spendgate", "run", "--state", str(tmp_path / "state"), "--port", "0")
        gate = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL)
        try:
            said = _until(heard, b"READY=1")
            assert b"STATUS=spendgate " in said
            assert b" at regular=127.0.0.1:" in said
            assert [heard.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3

            gate.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, gate.pid, os.WSTOPPED | os.WNOWAIT)
            _drain(heard)
            time.sleep(1)
            heard.setblocking(False)
            with pytest.raises(BlockingIOError):
                heard.recv(100)
            heard.settimeout(PATIENCE_S)
            gate.send_signal(signal.SIGCONT)
            assert _until(heard, b"WATCHDOG=1")
            gate.terminate()
            assert _until(heard, b"STOPPING=1")
            assert gate.wait(PATIENCE_S) == 0
        finally:
            gate.kill()
            gate.wait()


def _until(heard: socket.socket, word: bytes) -> bytes:
    while True:
        said = heard.recv(300)
        if word in said:
            return said


def _drain(heard: socket.socket) -> None:
    heard.setblocking(False)
    try:
        while heard.recv(300):
            pass
    except BlockingIOError:
        pass
