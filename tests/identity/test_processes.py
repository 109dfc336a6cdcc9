"""Socket to process, and what is remembered of it."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spendgate.identity import processes, system_lookup
from spendgate.identity.cgroups import Cgroups, mount_point
from spendgate.identity.interface import Endpoints
from spendgate.identity.processes import Finder, describe
from spendgate.identity.unsupported import UnsupportedLookup

linux = pytest.mark.skipif(platform.system() != "Linux", reason="/proc is Linux")


@linux
def test_a_socket_is_found_in_its_process_and_then_without_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first socket of a process costs a scan; its others, seen by that scan, cost none."""
    scanned: list[int] = []
    real = processes._sockets
    monkeypatch.setattr(processes, "_sockets", lambda pid, enough: scanned.append(pid) or real(pid, enough))
    finder = Finder()
    with socket.socket() as one, socket.socket() as two:
        inodes = [os.fstat(each.fileno()).st_ino for each in (one, two)]
        first = finder.pid(inodes[0], os.getuid(), 1)
        scans = len(scanned)
        second = finder.pid(inodes[1], os.getuid(), 1)

    assert first == second == os.getpid()
    assert scans == len(scanned) > 0


@linux
def test_a_process_that_had_a_socket_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new socket of a known process costs reading that process's files alone."""
    finder = Finder()
    with socket.socket() as one:
        finder.pid(os.fstat(one.fileno()).st_ino, os.getuid(), 1)

    monkeypatch.setattr(processes, "_candidates", lambda _uid: ([], []))  # none to be scanned
    with socket.socket() as two:
        assert finder.pid(os.fstat(two.fileno()).st_ino, os.getuid(), 1) == os.getpid()


@linux
def test_a_socket_where_the_last_one_was_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever closes a socket and opens the next needs no search; one at another descriptor, or of another owner, does."""
    finder, uid = Finder(), os.getuid()
    with socket.socket() as one:
        inode, place = os.fstat(one.fileno()).st_ino, one.fileno()
        assert finder.at_hand(inode, uid, 1) is None
        finder.pid(inode, uid, 1)

    monkeypatch.setattr(processes, "_sockets", lambda *_: pytest.fail("a process's files were read"))
    with socket.socket() as two, socket.socket() as elsewhere:
        assert two.fileno() == place
        inode = os.fstat(two.fileno()).st_ino
        found = [finder.at_hand(inode, uid, cgroup) for cgroup in (1, 2)]
        found.append(finder.at_hand(os.fstat(elsewhere.fileno()).st_ino, uid, 1))
    assert found == [os.getpid(), None, None]
    assert finder.at_hand(inode, uid, 1) is None, "it is closed"


@linux
def test_an_account_whose_files_take_too_long_is_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nobody else waiting: its search ends in time, in the middle of a process, and there is no next one for a while."""
    now, read = [0.0], list[int]()

    def points(_path: str) -> str:
        now[0] += processes.SEARCH_S / processes._FILES_AT_ONCE
        return "/dev/null"

    finder, files = Finder(lambda: now[0]), [os.dup(0) for _ in range(2 * processes._FILES_AT_ONCE)]
    monkeypatch.setattr(processes, "_points", points)
    monkeypatch.setattr(processes, "_candidates", lambda uid: read.append(uid) or ([os.getpid()], [1]))
    try:
        found = [finder.pid(7, uid, None) for uid in (1001, 1001, 1002)]
        took = now[0]
        now[0] += processes.ASIDE_S
        finder.pid(7, 1001, None)
    finally:
        for file in files:
            os.close(file)
    assert (found, read) == ([None] * 3, [1001, 1002, 1001])
    assert took == pytest.approx(2 * processes.SEARCH_S)


@linux
def test_the_places_kept_are_bounded() -> None:
    """Four of a process, of no more processes than are remembered."""
    finder = Finder()
    for pid in range(processes._OWNERS_MAX + 2):
        for place in range(processes._PLACES_MAX + 2):
            finder._note(pid, str(place))
    assert len(finder._places) == processes._OWNERS_MAX
    assert {len(each) for each in finder._places.values()} == {processes._PLACES_MAX}


@linux
def test_a_socket_nobody_holds_has_no_process() -> None:
    """No process, no error."""
    assert Finder().pid(0xFFFFFFFF, os.getuid(), None) is None


@linux
def test_what_is_remembered_is_bounded() -> None:
    """Owners that come and go do not grow the memory."""
    finder = Finder()
    finder._recent.update({(uid, None): processes.OrderedDict() for uid in range(10_000, 10_256)})
    finder.pid(0xFFFFFFFF, os.getuid(), None)

    assert len(finder._recent) == 256


def test_this_process_is_described() -> None:
    """Name, program, start, directory: what psutil says of it."""
    found = describe(os.getpid())

    assert found is not None
    assert (found.pid, found.directory) == (os.getpid(), Path.cwd())
    assert found.path
    assert found.started_ms > 1_500_000_000_000
    assert os.getuid() in found.ancestors or found.ancestors


def test_no_more_ancestors_are_climbed_than_a_person_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shells in shells in shells: each costs time of whoever answers for all accounts."""
    monkeypatch.setattr(processes, "_ANCESTORS_MAX", 1)
    found = describe(os.getpid())
    assert found is not None
    assert len(found.ancestors) == 1


def test_a_process_that_has_gone_is_not_described() -> None:
    """None, not an error."""
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()

    assert describe(ended.pid) is None


@linux
@pytest.mark.skipif(mount_point() is None, reason="needs cgroup v2")
def test_a_cgroup_id_is_its_directorys_inode() -> None:
    """Known after a walk, not before; an id that is not there is no path."""
    root = mount_point()
    assert root is not None
    cgroups = Cgroups(root)
    number = root.stat().st_ino

    assert cgroups.known(number) is None
    assert cgroups.path(number) == "/"
    assert cgroups.known(number) == "/"
    assert cgroups.path(2**60) is None


def test_the_cgroup_mount_is_found_in_any_layout(tmp_path: Path) -> None:
    """Unified, hybrid, none."""
    line = "32 24 0:28 / {} rw,nosuid shared:9 - {} cgroup rw\n"
    file = tmp_path / "mountinfo"
    file.write_text(line.format("/sys/fs/cgroup/unified", "cgroup2") + line.format("/sys/fs/cgroup/cpu", "cgroup"))

    assert mount_point(file) == Path("/sys/fs/cgroup/unified")
    file.write_text(line.format("/sys/fs/cgroup/cpu", "cgroup"))
    assert mount_point(file) is None
    assert mount_point(tmp_path / "none") is None


def test_a_system_without_a_look_up_says_so() -> None:
    """Everybody is unknown, with the reason."""
    lookup = UnsupportedLookup("Plan 9")
    peer = lookup.owner(Endpoints(("192.0.2.1", 1), ("192.0.2.2", 2)))

    assert (peer.account, peer.why_unknown) == (None, "connections are not looked up on Plan 9")
    assert lookup.process(peer, Endpoints(("192.0.2.1", 1), ("192.0.2.2", 2))) == peer


@pytest.mark.skipif(sys.platform == "win32", reason="its own has no accounts of POSIX")
@pytest.mark.parametrize(
    ("system", "lookup"), [("Darwin", "MacLookup"), ("Windows", "WindowsLookup"), ("Plan 9", "UnsupportedLookup")]
)
def test_each_system_has_its_own(monkeypatch: pytest.MonkeyPatch, system: str, lookup: str) -> None:
    """By its name."""
    monkeypatch.setattr(platform, "system", lambda: system)
    assert type(system_lookup()).__name__ == lookup
