"""The look-up of Windows, with psutil's own answers on this system: live connections and processes of several accounts."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from identity.connecting import accepted, client, end
from spendgate.attribution import BROWSER, NAMED_BROWSER, Evidence
from spendgate.identity import windows
from spendgate.identity.interface import Connection, Endpoints
from spendgate.identity.processes import describe
from spendgate.identity.told import GONE, NOT_HERE
from spendgate.identity.windows import NO_ACCOUNT, WindowsLookup

HERE, GATE = ("127.0.0.1", 50_001), ("127.0.0.1", 8080)
ENDS = Endpoints(HERE, GATE)
posix = pytest.mark.skipif(sys.platform == "win32", reason="other accounts and programs as POSIX has them")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Listens for the clients of a test."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@posix
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="needs root to act as another account")
def test_each_connection_has_the_process_and_the_account_it_runs_under(server: socket.socket) -> None:
    """Of two accounts, at once, in mixed order."""
    started = {name: client(server, 3, uid=uid) for name, uid in (("daemon", 1), ("nobody", 65_534))}
    asked = WindowsLookup()
    peers = []
    for _ in range(6):
        connection, ends = accepted(server)
        with connection:
            owner = asked.owner(ends)
            assert (owner.account, owner.pid, owner.evidence) == (None, None, Evidence.SOCKET_OWNER)
            peers.append(asked.process(owner, ends))
    for process in started.values():
        end(process)

    assert {(peer.account, peer.pid) for peer in peers} == {(name, process.pid) for name, process in started.items()}
    assert {(peer.uid, peer.tool, peer.project, peer.evidence) for peer in peers} == {
        (None, "python", None, Evidence.SOCKET_OWNER)
    }


@posix
def test_the_repository_of_ones_own_process_is_known(server: socket.socket, tmp_path: Path) -> None:
    """As on Linux; another account's is not read."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text('[remote "origin"]\n url = https://git.example.com/team/it.git\n')
    started = client(server, cwd=tmp_path)
    connection, ends = accepted(server)
    with connection:
        peer = WindowsLookup().process(WindowsLookup().owner(ends), ends)
    end(started)

    assert (peer.account, peer.project) == (windows.own_account(), "git.example.com/team/it")


@pytest.mark.parametrize(
    ("held", "why"),
    [
        pytest.param([], NOT_HERE, id="another machine's"),
        pytest.param([Connection(GATE, HERE, os.getpid())], NOT_HERE, id="the gate's end of it"),
        pytest.param(
            [Connection(("127.0.0.2", 50_001), GATE, os.getpid())], NOT_HERE, id="the same ports at another address"
        ),
        pytest.param([Connection(HERE, GATE, None)], GONE, id="nobody's"),
        pytest.param([Connection(HERE, GATE, 2**22 + 1)], GONE, id="its process has gone"),
        pytest.param([Connection(("?", 50_001), GATE, 1)], "the system could not be asked", id="no address"),
        pytest.param(
            [Connection(HERE, ("::ffff:127.0.0.1", 8080), None), Connection(HERE, GATE, os.getpid())],
            None,
            id="of two the held one",
        ),
    ],
)
def test_what_is_not_sure_is_not_said(held: list[Connection], why: str | None) -> None:
    """With the reason, and as not known: nobody's row is anybody's."""
    asked = WindowsLookup(lambda: held)
    peer = asked.process(asked.owner(ENDS), ENDS)
    if why is None:
        assert (peer.account, peer.pid, peer.why_unknown) == (windows.own_account(), os.getpid(), None)
    else:
        assert (peer.account, peer.pid, peer.evidence) == (None, None, Evidence.NONE)
        assert (peer.why_unknown or "").startswith(why)


@pytest.mark.parametrize(
    "fault", [psutil.AccessDenied(1), OSError(5, "no"), RuntimeError("GetExtendedTcpTable failed")]
)
def test_a_system_that_does_not_answer_is_a_reason(fault: Exception) -> None:
    """Nothing is raised."""

    def fail() -> Iterable[Connection]:
        raise fault

    peer = WindowsLookup(fail).process(WindowsLookup(fail).owner(ENDS), ENDS)
    assert (peer.account, peer.evidence) == (None, Evidence.NONE)
    assert (peer.why_unknown or "").startswith("the system could not be asked")


def test_whose_a_process_is_may_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the process is told, and why its account is not; asked again at its next connection, until it is known."""
    asked, denied = WindowsLookup(lambda: [Connection(HERE, GATE, os.getpid())]), True
    real = psutil.Process.username

    def username(process: psutil.Process) -> str:
        if denied:
            raise psutil.AccessDenied(process.pid)
        return real(process)

    monkeypatch.setattr(psutil.Process, "username", username)
    peer = asked.process(asked.owner(ENDS), ENDS)
    assert (peer.account, peer.pid, peer.evidence, peer.why_unknown) == (None, os.getpid(), Evidence.NONE, NO_ACCOUNT)
    denied = False
    assert asked.process(asked.owner(ENDS), ENDS).account == windows.own_account()
    denied = True
    assert asked.process(asked.owner(ENDS), ENDS).account is not None


@pytest.mark.parametrize(
    ("name", "account"),
    [
        (r"LAPTOP-OF-ALICE\alice", "alice"),
        (r"ACME\alice", r"ACME\alice"),
        (r"AzureAD\AliceSmith", r"AzureAD\AliceSmith"),
        (r"NT AUTHORITY\SYSTEM", r"NT AUTHORITY\SYSTEM"),
    ],
)
def test_accounts_of_the_machine_are_written_as_elsewhere(
    monkeypatch: pytest.MonkeyPatch, name: str, account: str
) -> None:
    """Of a computer's name 15 letters are in its accounts'; a domain's keep the domain, since they are others."""
    monkeypatch.setattr(platform, "node", lambda: "Laptop-of-Alice-in-Berlin")
    monkeypatch.setattr(psutil.Process, "username", lambda _: name)
    assert windows.own_account() == account


@pytest.mark.parametrize(
    ("program", "browser"),
    [
        (r"C:\Program Files\Google\Chrome\Application\chrome.exe", BROWSER),
        (r"c:\PROGRAM FILES\Mozilla Firefox\firefox.exe", BROWSER),
        (r"C:\Users\alice\AppData\Local\Google\Chrome\Application\chrome.exe", NAMED_BROWSER),
        (r"C:\Program Files Of Mine\chrome.exe", NAMED_BROWSER),
        ("chrome.exe", NAMED_BROWSER),
        (r"C:\Program Files\nodejs\node.exe", None),
    ],
)
def test_programs_of_windows_are_told(monkeypatch: pytest.MonkeyPatch, program: str, browser: str | None) -> None:
    """Its name, its path without a person's folder, and a browser where an administrator put it."""
    monkeypatch.setenv("ProgramFiles", r"C:\Program Files")
    mine = describe(os.getpid())
    assert mine is not None
    monkeypatch.setattr(windows, "describe", lambda _pid: replace(mine, path=program))
    asked = WindowsLookup(lambda: [Connection(HERE, GATE, os.getpid())])
    peer = asked.process(asked.owner(ENDS), ENDS)
    assert (peer.browser, peer.process) == (browser, program.rpartition("\\")[2])
    assert "alice" not in (peer.process_path or "")
