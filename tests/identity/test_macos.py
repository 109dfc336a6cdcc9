"""The look-up of macOS, with live processes: the table is made from psutil's of this system, or a Mac's own."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("accounts as POSIX has them", allow_module_level=True)

from identity.connecting import accepted, client, end
from identity.darwin import Line, live, table
from spendgate.attribution import Evidence, Peer
from spendgate.identity import macos
from spendgate.identity.interface import Endpoints
from spendgate.identity.macos import MacLookup
from spendgate.identity.processes import describe
from spendgate.identity.told import GONE, HIDDEN, NOT_HERE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as another account")
ENDS = Endpoints(("127.0.0.1", 50_001), ("127.0.0.1", 8080))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Listens for the clients of a test."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def lookup() -> MacLookup:
    """With a Mac's own table where there is one."""
    return MacLookup() if sys.platform == "darwin" else MacLookup(live)


@needs_root
def test_each_connection_has_the_account_and_process_that_opened_it(server: socket.socket) -> None:
    """Of two accounts, at once, in mixed order; what the process is comes with it."""
    started = {uid: client(server, 3, uid=uid) for uid in (60_001, 60_002)}
    asked = lookup()
    peers = []
    for _ in range(6):
        connection, ends = accepted(server)
        with connection:
            owner = asked.owner(ends)
            peers.append((owner, asked.process(owner, ends)))
    for process in started.values():
        end(process)

    assert {(owner.uid, owner.account, owner.pid) for owner, _ in peers} == {
        (uid, f"uid:{uid}", None) for uid in started
    }
    assert {(peer.uid, peer.pid) for _, peer in peers} == {(uid, process.pid) for uid, process in started.items()}
    assert {(peer.tool, peer.project, peer.evidence) for _, peer in peers} == {("python", None, Evidence.SOCKET_OWNER)}


def test_the_repository_of_ones_own_process_is_known(server: socket.socket, tmp_path: Path) -> None:
    """As on Linux; another account's is not read, not even by root."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text('[remote "origin"]\n url = https://git.example.com/team/it.git\n')
    tmp_path.chmod(0o755)
    started = client(server, cwd=tmp_path)
    connection, ends = accepted(server)
    with connection:
        asked = lookup()
        peer = asked.process(asked.owner(ends), ends)
    end(started)

    assert (peer.uid, peer.pid, peer.project) == (os.geteuid(), started.pid, "git.example.com/team/it")


@pytest.mark.parametrize(
    ("ancestors", "login"),
    [((0, 0, 501), "uid:501"), ((0, 0xFFFFFFFE, 501), None), ((0, 200, 501), None)],
    ids=["sudo", "nobody", "a service"],
)
def test_behind_sudo_is_who_called_it(
    monkeypatch: pytest.MonkeyPatch, ancestors: tuple[int, ...], login: str | None
) -> None:
    """By the ancestors' accounts, since macOS writes down no login. People begin at 501."""
    mine = describe(os.getpid())
    assert mine is not None
    monkeypatch.setattr(macos, "describe", lambda _pid: replace(mine, ancestors=ancestors))
    asked = MacLookup(lambda: table([Line(ENDS.local, ENDS.remote, os.geteuid(), os.getpid())]))
    assert asked.process(asked.owner(ENDS), ENDS).login_account == login


@pytest.mark.parametrize(
    ("lines", "uid", "why"),
    [
        pytest.param([], None, NOT_HERE, id="another machine's"),
        pytest.param([Line(ENDS.local, ENDS.remote, so=0)], None, GONE, id="nobody holds it: never root"),
        pytest.param([Line(ENDS.local, ENDS.remote, 60_001, 0)], 60_001, GONE, id="no process is named"),
        pytest.param([Line(ENDS.local, ENDS.remote, 60_001, 2**22 + 1)], 60_001, HIDDEN, id="its process has gone"),
        pytest.param(
            [Line(ENDS.local, ENDS.remote, 60_001, os.getpid())], 60_001, HIDDEN, id="another account's process"
        ),
        pytest.param(
            [Line(ENDS.local, ENDS.remote, 0, os.getpid(), so=0)], os.geteuid(), None, id="a flow without a socket"
        ),
        pytest.param(
            [Line(ENDS.local, ENDS.remote, 0, 2**22 + 1, so=0)], None, GONE, id="such a flow, its process gone"
        ),
    ],
)
def test_what_is_not_sure_is_not_said(lines: list[Line], uid: int | None, why: str | None) -> None:
    """The account stays the socket's; a process is named where it is that account's."""
    asked = MacLookup(lambda: table(lines))
    owner = asked.owner(ENDS)
    peer = asked.process(owner, ENDS)
    assert (owner.uid, peer.uid, peer.why_unknown) == (uid, uid, why)
    assert peer.pid == (os.getpid() if why is None else None)


def test_another_owner_on_the_same_ends_is_another_connection() -> None:
    """A peer keeps the account that was seen when its connection opened."""
    seen = Peer(uid=12345, account="someone", evidence=Evidence.SOCKET_OWNER)
    asked = MacLookup(lambda: table([Line(ENDS.local, ENDS.remote, os.geteuid(), os.getpid())]))
    assert asked.process(seen, ENDS).pid is None


@pytest.mark.parametrize("fault", [OSError(1, "no"), AttributeError("sysctlbyname")])
def test_a_kernel_that_does_not_answer_is_a_reason(fault: Exception) -> None:
    """Nothing is raised, whatever is asked."""

    def fail() -> bytes:
        raise fault

    tables: list[Callable[[], bytes]] = [fail, lambda: b"\0" * 40]
    for each in tables:
        peer = MacLookup(each).owner(ENDS)
        assert (peer.uid, peer.evidence) == (None, Evidence.NONE)
        assert (peer.why_unknown or "").startswith("the kernel could not be asked")
    nowhere = MacLookup(lambda: table([])).owner(Endpoints(("/run/socket", 0), ("", 0)))
    assert nowhere.why_unknown is not None
