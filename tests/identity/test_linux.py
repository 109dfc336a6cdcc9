"""Connection to account to process to repository, with live sockets and live processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from spendgate.attribution import Evidence, Peer
from spendgate.identity.interface import Endpoints

if sys.platform != "linux":
    pytest.skip("netlink and /proc are Linux", allow_module_level=True)

from identity.connecting import CLIENT, accepted, client, end
from spendgate.identity import linux
from spendgate.identity.linux import LinuxLookup
from spendgate.identity.told import GONE


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Listens for the clients of a test."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as made:
        yield made


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as another account")


def test_a_connection_is_tied_to_account_process_and_tool(server: socket.socket) -> None:
    """All of what the kernel tells, with its evidence."""
    started = client(server)
    connection, ends = accepted(server)
    lookup = LinuxLookup()
    with connection:
        owner = lookup.owner(ends)
        peer = lookup.process(owner, ends)
    end(started)

    assert (owner.uid, owner.evidence, owner.pid) == (os.getuid(), Evidence.SOCKET_OWNER, None)
    assert (peer.pid, peer.tool) == (started.pid, "python")
    assert peer.process is not None
    assert peer.process.startswith("python3")
    assert peer.started_ms is not None
    assert peer.why_unknown is None


def test_the_repository_is_that_of_the_working_directory(server: socket.socket, tmp_path: Path) -> None:
    """The process's directory, not the gate's."""
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/deep").mkdir()
    (tmp_path / "repository/.git/config").write_text('[remote "origin"]\n url = git@git.example.com:team/it.git\n')
    started = client(server, cwd=tmp_path / "repository/deep")
    connection, ends = accepted(server)
    lookup = LinuxLookup()
    with connection:
        peer = lookup.process(lookup.owner(ends), ends)
    end(started)

    assert peer.project == "git.example.com/team/it"


@needs_root
def test_five_hundred_connections_of_two_accounts_are_each_tied_to_their_own(server: socket.socket) -> None:
    """At once, looked up in mixed order and from several threads, each connection has the uid and pid that opened it."""
    started = {uid: client(server, 250, uid=uid) for uid in (60_001, 60_002)}
    lookup = LinuxLookup()
    open_now = [accepted(server) for _ in range(500)]
    with ThreadPoolExecutor(8) as pool:
        peers = list(pool.map(lambda one: lookup.process(lookup.owner(one[1]), one[1]), open_now))
    for connection, _ in open_now:
        connection.close()
    for process in started.values():
        end(process)

    assert {(peer.uid, peer.pid) for peer in peers} == {(uid, process.pid) for uid, process in started.items()}
    assert sorted(peer.account or "" for peer in peers) == ["uid:60001"] * 250 + ["uid:60002"] * 250


def test_a_process_that_exits_at_once_is_never_root(server: socket.socket) -> None:
    """Looked up after it has gone, a connection is unknown with the reason, or still its own account's."""
    for _ in range(20):
        started = client(server, 1, "exit")
        started.communicate()
        connection, ends = accepted(server)
        peer = LinuxLookup().owner(ends)
        connection.close()

        assert peer.uid is None or peer.uid == os.getuid() != 0
        # On a busy machine the kernel may have dropped the closed socket by then, as if there had been none.
        assert peer.uid is not None or (peer.why_unknown or "").startswith((GONE, "no such connection on this host"))


@needs_root
def test_an_account_outlives_its_process(server: socket.socket) -> None:
    """Where the kernel keeps the socket's uid (Linux 6.17 on), a person's connection is theirs also after the process has
    gone; an older kernel says uid 0, which is unknown."""
    started = client(server, 1, "exit", uid=60_001)
    started.communicate()
    connection, ends = accepted(server)
    lookup = LinuxLookup()
    owner = lookup.owner(ends)
    peer = lookup.process(owner, ends)
    connection.close()

    assert owner.account in ("uid:60001", None)
    assert (peer.pid, peer.why_unknown) == (None, GONE)


@needs_root
def test_the_login_uid_of_the_audit_system_settles_who_logged_in(server: socket.socket) -> None:
    """Root's process in a person's login session counts for that person, whatever its ancestors are."""
    code = f"open('/proc/self/loginuid', 'w').write('60003')\n{textwrap.dedent(CLIENT)}"
    started = subprocess.Popen(
        ["/usr/bin/python3", "-c", code, str(server.getsockname()[1]), "1"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    server.settimeout(20)
    try:
        connection, ends = accepted(server)
    except TimeoutError:
        pytest.skip(f"the login uid cannot be set here: {started.communicate()[1]!r}")
    lookup = LinuxLookup()
    with connection:
        peer = lookup.process(lookup.owner(ends), ends)
    end(started)

    assert (peer.account, peer.login_account, peer.spender) == ("root", "uid:60003", "uid:60003")


@needs_root
def test_without_rights_the_account_is_still_known(server: socket.socket) -> None:
    """An unprivileged gate sees another account's uid, and says that the process is not visible."""
    started = client(server)
    connection, ends = accepted(server)
    code = """
        import sys
        from spendgate.identity.interface import Endpoints
        from spendgate.identity.linux import LinuxLookup
        ends = Endpoints(("127.0.0.1", int(sys.argv[1])), ("127.0.0.1", int(sys.argv[2])))
        lookup = LinuxLookup()
        import os; os.setuid(60001)
        peer = lookup.process(lookup.owner(ends), ends)
        print(peer.account, peer.pid, peer.why_unknown)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(ends.local[1]), str(ends.remote[1])]
    addon = str(Path(__file__).parents[2] / "addon")
    said = subprocess.run(command, env={"PYTHONPATH": addon}, capture_output=True, text=True, check=True).stdout
    connection.close()
    end(started)

    assert said.strip() == "root None the process is not visible to the gate's account"


def test_another_owner_on_the_same_addresses_is_another_connection(server: socket.socket) -> None:
    """A peer keeps the account that was seen when its connection opened."""
    started = client(server)
    connection, ends = accepted(server)
    seen = Peer(uid=12345, account="someone", evidence=Evidence.SOCKET_OWNER)
    with connection:
        peer = LinuxLookup().process(seen, ends)
    end(started)

    assert (peer.account, peer.pid) == ("someone", None)


def test_an_unknown_peer_stays_unknown(server: socket.socket) -> None:
    """Nothing is made up for a connection that the kernel did not know."""
    lookup = LinuxLookup()
    ends = Endpoints(("192.0.2.1", 1), ("192.0.2.2", 2))
    peer = lookup.owner(ends)

    assert (peer.account, peer.evidence) == (None, Evidence.NONE)
    assert "no such connection" in (peer.why_unknown or "")
    assert lookup.process(peer, ends) == peer


def test_what_is_no_address_is_unknown_and_raises_nothing() -> None:
    """A look-up never raises, whatever it is given."""
    peer = LinuxLookup().owner(Endpoints(("/run/socket", 0), ("", 0)))

    assert peer.why_unknown is not None
    assert peer.why_unknown.startswith("the kernel could not be asked")


def test_a_process_name_is_plain_text(server: socket.socket, tmp_path: Path) -> None:
    """A program named with terminal escapes does not reach an admin's terminal as such."""
    copied = tmp_path / "c\x1b]0;x\x07"
    copied.write_bytes(Path("/usr/bin/python3").resolve().read_bytes())
    copied.chmod(0o755)
    started = subprocess.Popen(
        [str(copied), "-c", textwrap.dedent(CLIENT), str(server.getsockname()[1]), "1"],
        stdin=subprocess.PIPE, env={"PYTHONHOME": "/usr"},
    )  # fmt: skip
    connection, ends = accepted(server)
    lookup = LinuxLookup()
    with connection:
        peer = lookup.process(lookup.owner(ends), ends)
    end(started)

    assert peer.process == "c?]0;x?"
    assert (peer.process_path or "").isprintable()


def test_a_process_that_opens_one_connection_after_the_other_is_known_at_once(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`owner` says then what `process` says, until that is too old, or the process runs in another directory."""
    lookup, here = LinuxLookup(), Path.cwd()

    def met() -> tuple[Peer, Peer]:
        with socket.create_connection(server.getsockname()):
            there, ends = accepted(server)
            with there:
                owner = lookup.owner(ends)
                return owner, lookup.process(replace(owner, pid=None), ends)

    first, told = met()
    assert (first.pid, told.pid) == (None, os.getpid())
    again, told = met()
    assert again == told

    monkeypatch.chdir("/")
    moved, told = met()
    assert (moved.pid, told.pid) == (None, os.getpid())
    monkeypatch.chdir(here)
    met()
    monkeypatch.setattr(linux, "_KEEP_S", -1)
    assert met()[0].pid is None


def test_a_look_up_at_work_is_not_waited_for(server: socket.socket) -> None:
    """The loop asks; whoever reads a repository meanwhile may take long."""
    lookup = LinuxLookup()
    for _ in range(2):
        with socket.create_connection(server.getsockname()):
            there, ends = accepted(server)
            with there, lookup._one_at_a_time:
                assert lookup.owner(ends).pid is None
            with there:
                lookup.process(lookup.owner(ends), ends)
