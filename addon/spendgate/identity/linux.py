"""Linux: the kernel's word on who opened a connection.

`owner` asks by exact address and needs no privilege. `process` goes on to the program, its tool, its login account and its
repository, as far as the rights of this process reach: its own account's processes, all of them as root.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import psutil

from spendgate.attribution import Evidence, Peer
from spendgate.identity.accounts import Accounts, home_of, login_uid, people_from_uid
from spendgate.identity.browsers import browser_of
from spendgate.identity.cgroups import Cgroups
from spendgate.identity.interface import Endpoints, Program
from spendgate.identity.processes import Descriptions, Finder, Process, describe
from spendgate.identity.project import project_of
from spendgate.identity.sock_diag import Owner, SockDiag
from spendgate.identity.told import GONE, HIDDEN, NOT_HERE, TOO_MANY, program, told

_KEEP_S = 30
_KEPT_MAX = 1024


def _as_is(_uid: int) -> AbstractContextManager[None]:
    return nullcontext()


def program_of(pid: int) -> Program | None:
    """What runs as this process; None where it has gone."""
    found = describe(pid)
    try:
        uid = psutil.Process(pid).uids().effective
    except psutil.Error:
        return None
    if found is None:
        return None
    browser = browser_of(found.path or found.name, f"/proc/{pid}/exe")
    return program(found, Accounts().name(uid, now_s=0), browser)


class LinuxLookup:
    """The `Lookup` of Linux. `reading_as` gives the rights with which a user's own files are read (root must not read a
    repository's configuration with root's rights); without privileges they are the process's own."""

    def __init__(self, reading_as: Callable[[int], AbstractContextManager[None]] = _as_is) -> None:
        self._diag = SockDiag()
        self._accounts = Accounts()
        self._cgroups = Cgroups()
        self._finder = Finder()
        self._descriptions = Descriptions()
        self._kept: OrderedDict[int, tuple[Process, Peer, float]] = OrderedDict()
        self._reading_as = reading_as
        self._one_at_a_time = threading.Lock()

    def owner(self, ends: Endpoints) -> Peer:
        """Account and, once known, cgroup of the connection's client: about 0.03 ms. Its process too, where it is the one that
        was found last for this account and cgroup."""
        owner, why = self._ask(ends)
        if owner is None:
            return Peer(why_unknown=why)
        peer = self._peer(owner)
        return self._at_hand(peer, owner) or peer

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """The peer with its process. A peer whose account is not known stays as it is; one of another account now is another
        connection on the same addresses, and stays as it was."""
        if peer.uid is None:
            return peer
        owner, why = self._ask(ends)
        if owner is None or owner.uid != peer.uid or owner.inode == 0:
            return replace(peer, why_unknown=why or GONE)
        with self._one_at_a_time:
            peer = replace(peer, cgroup=peer.cgroup or self._cgroups.path(owner.cgroup_id))
            pid = self._finder.pid(owner.inode, owner.uid, owner.cgroup_id)
            found = self._descriptions.of(pid) if pid is not None else None
            if found is not None:
                return self._told(peer, found)
            return replace(peer, why_unknown=TOO_MANY if self._finder.aside(owner.uid) else HIDDEN)

    def _at_hand(self, peer: Peer, owner: Owner) -> Peer | None:
        """What `process` would say, where nothing has to be searched or read for it but what may have changed: 0.03 ms. None:
        ask `process`. Never waits, not even for one that is at work."""
        if (
            owner.inode == 0
            or not self._cgroups.settled(owner.cgroup_id)
            or not self._one_at_a_time.acquire(blocking=False)
        ):
            return None
        try:
            pid = self._finder.at_hand(owner.inode, owner.uid, owner.cgroup_id)
            found = self._descriptions.at_hand(pid) if pid is not None else None
            told = self._still(peer, found, time.monotonic()) if found is not None else None
            return replace(told, account=peer.account, cgroup=peer.cgroup) if told is not None else None
        finally:
            self._one_at_a_time.release()

    def _ask(self, ends: Endpoints) -> tuple[Owner | None, str | None]:
        try:
            owner = self._diag.owner(ends)
        except (OSError, ValueError) as error:
            return None, f"the kernel could not be asked: {error}"
        if owner is None:
            return None, NOT_HERE
        # Kernels before 6.17 report uid 0 for any socket that no process holds, and every kernel does in TIME_WAIT. A uid
        # other than 0 is the socket's own, also when its process has gone.
        if owner.inode == 0 and owner.uid == 0:
            return None, GONE
        return owner, None

    def _peer(self, owner: Owner) -> Peer:
        return Peer(
            uid=owner.uid,
            account=self._accounts.name(owner.uid, time.monotonic()),
            cgroup=self._cgroups.known(owner.cgroup_id),
            evidence=Evidence.SOCKET_OWNER,
        )

    def _told(self, peer: Peer, found: Process) -> Peer:
        """The peer with what its process tells. A process's answers are kept for half a minute: its next connection is mostly
        the same work, and reading the repository's configuration is most of the cost."""
        now_s = time.monotonic()
        told = self._still(peer, found, now_s)
        if told is None:
            told = self._read(peer, found, now_s)
            self._kept[found.pid] = (found, told, now_s)
            self._kept.move_to_end(found.pid)
            if len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        return replace(told, account=peer.account, cgroup=peer.cgroup)

    def _still(self, peer: Peer, found: Process, now_s: float) -> Peer | None:
        """What is kept of this process; None where that is too old, or of what it was before."""
        kept = self._kept.get(found.pid)
        if kept is None or kept[0] is not found or kept[1].uid != peer.uid or now_s - kept[2] > _KEEP_S:
            return None
        return kept[1]

    def _read(self, peer: Peer, found: Process, now_s: float) -> Peer:
        uid = peer.uid or 0
        login = login_uid(uid, found.audit_uid, found.ancestors, from_uid=people_from_uid())
        return told(
            peer,
            found,
            login_account=self._accounts.name(login, now_s) if login is not None else None,
            home=home_of(uid),
            project=self._project(found.directory, login or uid),
            browser=browser_of(found.path or found.name, f"/proc/{found.pid}/exe" if found.path else None),
        )

    def _project(self, directory: Path | None, uid: int) -> str | None:
        if directory is None:
            return None
        with self._reading_as(uid):
            return project_of(directory)
