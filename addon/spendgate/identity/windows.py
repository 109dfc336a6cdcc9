"""Windows: which process has a connection, by the system's table, and under which account that process runs.

psutil reads the table (GetExtendedTcpTable), which shows every account's processes to everybody; whose a process is, its
arguments and directory are shown to that account, to administrators and to the system's own services. A socket is its maker's
there, whoever it was handed to. Never run on Windows.
"""

from __future__ import annotations

import os
import platform
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PureWindowsPath

import psutil

from spendgate.attribution import BROWSER, NAMED_BROWSER, Evidence, Peer
from spendgate.identity.browsers import is_browser
from spendgate.identity.connections import connections
from spendgate.identity.interface import Address, Connection, Endpoints, Program, address
from spendgate.identity.processes import Process, describe
from spendgate.identity.project import project_of
from spendgate.identity.told import GONE, NOT_HERE, program, told

NO_ACCOUNT = "whose the process is, is not shown to the gate's account: run it as an administrator or as the system"
_COMPUTER_LETTERS = 15
"""Of a computer's name in that of its accounts (NetBIOS)."""
_KEPT_MAX = 1024
HIDDEN_ACCOUNT = "an account that is not shown"


def program_of(pid: int) -> Program | None:
    """What runs as this process; None where it has gone. An account that is not shown is said to be so."""
    found = describe(pid)
    if found is None:
        return None
    return program(found, account_of(pid) or HIDDEN_ACCOUNT, _browser(found.path or found.name))


class WindowsLookup:
    """The `Lookup` of Windows. Accounts have names and no numbers: `uid` is never known."""

    def __init__(self, held: Callable[[], Iterable[Connection]] = connections) -> None:
        self._held = held
        self._own = own_account()
        self._accounts: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def owner(self, _ends: Endpoints) -> Peer:
        """Nobody yet, and that there is somebody to look for: reading the table takes milliseconds, which is `process`'s."""
        return Peer(evidence=Evidence.SOCKET_OWNER)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """Process and account."""
        pid, why = self._ask(ends)
        if pid is None:
            return replace(peer, evidence=Evidence.NONE, why_unknown=why or GONE)
        with self._one_at_a_time:
            found = describe(pid)
            if found is None:
                return replace(peer, evidence=Evidence.NONE, why_unknown=GONE)
            return self._read(peer, found, self._account(found))

    def _ask(self, ends: Endpoints) -> tuple[int | None, str | None]:
        if ends.pid is not None:
            return ends.pid, None
        try:
            wanted = _ends(ends.local, ends.remote)
            # Most of the table has other ports, and need not be understood.
            near = (each for each in self._held() if (each.local[1], each.remote[1]) == (ends.local[1], ends.remote[1]))
            held = [each.pid for each in near if _ends(each.local, each.remote) == wanted]
        except (psutil.Error, OSError, RuntimeError, ValueError) as error:
            return None, f"the system could not be asked: {error}"
        if not held:
            return None, NOT_HERE
        return next((pid for pid in held if pid is not None), None), None

    def _account(self, found: Process) -> str | None:
        """Asked once for each process: a directory server may have to be asked for the name."""
        key = found.pid, found.started_ms
        known = self._accounts.get(key) or account_of(found.pid)
        if known is not None:
            self._accounts[key] = known
            self._accounts.move_to_end(key)
            if len(self._accounts) > _KEPT_MAX:
                self._accounts.popitem(last=False)
        return known

    def _read(self, peer: Peer, found: Process, account: str | None) -> Peer:
        own = account is not None and account == self._own
        return told(
            replace(
                peer,
                account=account,
                evidence=Evidence.SOCKET_OWNER if account else Evidence.NONE,
                why_unknown=None if account else NO_ACCOUNT,
            ),
            found,
            login_account=None,
            home=None,
            # With nobody's rights but that person's own: a service must not follow what another's repository points to.
            project=project_of(found.directory) if own and found.directory is not None else None,
            browser=_browser(found.path or found.name),
            paths=PureWindowsPath,
        )


def own_account() -> str:
    """The account of this process, as the gate names it. Raises psutil.Error."""
    return _short(psutil.Process().username())


def account_of(pid: int) -> str | None:
    """The account that the process runs under: `alice` for one of this machine, else `ACME\\alice`. None: gone, or not shown."""
    try:
        return _short(psutil.Process(pid).username())
    except (psutil.Error, OSError):
        return None


def _short(name: str) -> str:
    """Without the machine's own name, as accounts are written on other systems: the same policy serves all."""
    domain, _, account = name.rpartition("\\")
    return account if domain.casefold() == platform.node()[:_COMPUTER_LETTERS].casefold() else name


def _browser(program: str) -> str | None:
    """A browser is an administrator's where its file is: in the folders in which nobody else may write."""
    if not is_browser(program):
        return None
    folders = (os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)", "ProgramW6432"))
    path = PureWindowsPath(program)
    return BROWSER if any(folder and path.is_relative_to(folder) for folder in folders) else NAMED_BROWSER


def _ends(local: Address, remote: Address) -> tuple[object, int, object, int]:
    return address(local[0]), local[1], address(remote[0]), remote[1]
