"""macOS: the kernel's word on who opened a connection, for whatever account the gate runs under.

The table of connections has the account that opened each socket and the process that used it last (`pcblist`). Of a process
that is another account's, macOS shows program, start and ancestors to everybody, and arguments and directory to nobody but root
(xnu, `bsd/kern/proc_info.c`): a script's tool and the repository are then not known. Never run on a Mac.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil

from spendgate.attribution import Evidence, Peer
from spendgate.identity import pcblist
from spendgate.identity.accounts import Accounts, home_of, login_uid
from spendgate.identity.browsers import browser_of
from spendgate.identity.interface import Connection, Endpoints, Program
from spendgate.identity.processes import Process, describe
from spendgate.identity.project import project_of
from spendgate.identity.told import GONE, HIDDEN, NOT_HERE, program, told

PEOPLE_FROM_UID = 501
"""The first account that the system's setup makes; below it are services."""
_ADMINISTRATORS = ("/Applications/", "/System/")
"""Where programs are an administrator's to install. Elsewhere a person may link to root's files under any name."""


def connections() -> Iterator[Connection]:
    """Those of this machine, of every account. Raises OSError, ValueError."""
    for row in pcblist.rows(pcblist.read()):
        yield Connection(row.local, row.remote, row.pid, row.state in (pcblist.ESTABLISHED, pcblist.SYN_SENT))


def program_of(pid: int) -> Program | None:
    """What runs as this process; None where it has gone."""
    found, uids = describe(pid), _uids(pid)
    if found is None or not uids:
        return None
    return program(found, Accounts().name(uids[0], now_s=0), _browser(found))


class MacLookup:
    """The `Lookup` of macOS. `table` reads what `pcblist` understands."""

    def __init__(self, table: Callable[[], bytes] = pcblist.read) -> None:
        self._table = table
        self._accounts = Accounts()
        self._one_at_a_time = threading.Lock()

    def owner(self, ends: Endpoints) -> Peer:
        """The account that opened the connection, by one reading of the table; where its process is named, that one's."""
        row, why = self._ask(ends)
        uid = _uid(row) if row is not None else None
        if uid is None:
            return Peer(why_unknown=why or GONE)
        return Peer(uid=uid, account=self._accounts.name(uid, time.monotonic()), evidence=Evidence.SOCKET_OWNER)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """The peer with the process that uses the connection, where that is its account's, too; else it stays as it was."""
        if peer.uid is None:
            return peer
        row, why = self._ask(ends)
        if row is None or row.pid is None or _uid(row) != peer.uid:
            return replace(peer, why_unknown=why or GONE)
        with self._one_at_a_time:
            found = describe(row.pid)
            if found is None or peer.uid not in _uids(row.pid):
                return replace(peer, why_unknown=HIDDEN)  # the connection was handed on, or the pid is another's by now
            return self._read(peer, found)

    def _ask(self, ends: Endpoints) -> tuple[pcblist.Row | None, str | None]:
        if ends.pid is not None:
            return pcblist.Row(ends.local, ends.remote, None, ends.pid, pcblist.ESTABLISHED), None
        try:
            row = pcblist.find(self._table(), ends)
        except (OSError, ValueError, AttributeError) as error:
            return None, f"the kernel could not be asked: {error}"
        return row, None if row is not None else NOT_HERE

    def _read(self, peer: Peer, found: Process) -> Peer:
        uid = peer.uid or 0
        login = login_uid(uid, None, found.ancestors, from_uid=PEOPLE_FROM_UID)
        return told(
            peer,
            found,
            login_account=self._accounts.name(login, time.monotonic()) if login is not None else None,
            home=home_of(uid),
            # With nobody's rights but that person's own: root must not read a repository's configuration with root's.
            project=project_of(found.directory) if found.directory is not None and uid == os.geteuid() else None,
            browser=_browser(found),
        )


def _browser(found: Process) -> str | None:
    file = found.path if found.path and found.path.startswith(_ADMINISTRATORS) else None
    return browser_of(found.path or found.name, file)


def _uid(row: pcblist.Row) -> int | None:
    """The account: the socket's, or where there is none that of the process."""
    if row.uid is not None or row.pid is None:
        return row.uid
    found = _uids(row.pid)
    return found[0] if found else None


def _uids(pid: int) -> tuple[int, ...]:
    """Effective and real; none where the process has gone."""
    try:
        found = psutil.Process(pid).uids()
    except psutil.Error:
        return ()
    return found.effective, found.real
