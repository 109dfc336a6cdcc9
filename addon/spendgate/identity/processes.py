"""From a socket's inode to the process that holds it, and what that process is.

The kernel names a socket's account at once but its process only through /proc/PID/fd, which takes root or the same account
and about 9 ms on a small host. So every scan is remembered: the process that opened one connection mostly opened the next.
What a process is comes from psutil, which reads it the same way on every system and guards against a pid used again.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psutil

_PROC = Path("/proc")
_RECENT_PIDS_MAX = 64
_OWNERS_MAX = 256
_DESCRIBED_MAX = 1024
_STAT_BYTES_MAX = 4_096
"""Of `/proc/PID/stat`: 52 numbers and a name of at most 64 bytes."""
_PLACES_MAX = 4
"""Descriptors at which a process's last sockets were: it closes one before it opens the next, or a little later."""
SEARCH_S = 0.5
"""The longest search: whoever asks for all accounts must not be kept by one with a million open files. Some 50,000 of them."""
ASIDE_S = 30.0
"""So long no process of an account is searched for whose own took that."""
_FILES_AT_ONCE = 1024
_ANCESTORS_MAX = 128
"""Each costs 1 ms, and anybody may start shells in shells."""

_Recent = OrderedDict[int, dict[int, str]]


@dataclass(frozen=True, slots=True)
class Process:
    """One process as the system shows it. `directory` and `arguments` are for naming it and never kept."""

    pid: int
    started_ms: int
    name: str
    path: str | None
    directory: Path | None
    arguments: tuple[str, ...]
    audit_uid: int | None
    ancestors: tuple[int, ...]
    """Real uids of parent, grandparent, …; none on Windows, whose accounts have no numbers."""


class Finder:
    """inode → pid, remembering by (uid, cgroup id) which processes had which sockets. Not for several threads at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: OrderedDict[tuple[int, int | None], _Recent] = OrderedDict()
        self._places: OrderedDict[int, OrderedDict[str, None]] = OrderedDict()
        """By process, the descriptors at which sockets were found, the last one last."""
        self._aside: OrderedDict[int, float] = OrderedDict()
        """Until when an account's processes are not searched."""

    def at_hand(self, inode: int, uid: int, cgroup_id: int | None) -> int | None:
        """The process that was found last, where it holds this socket at a descriptor of its last ones: 3 us for each. None: ask
        `pid`."""
        recent = self._recent.get((uid, cgroup_id))
        if not recent:
            return None
        pid = next(reversed(recent))
        wanted = f"socket:[{inode}]"
        return pid if any(_points(f"/proc/{pid}/fd/{at}") == wanted for at in self._places.get(pid, ())) else None

    def pid(self, inode: int, uid: int, cgroup_id: int | None) -> int | None:
        """The process that holds the socket; None where it has gone, its files may not be seen, or take too long to be."""
        recent = self._recent.setdefault((uid, cgroup_id), OrderedDict())
        self._recent.move_to_end((uid, cgroup_id))
        if len(self._recent) > _OWNERS_MAX:
            self._recent.popitem(last=False)
        for pid, held in recent.items():
            if inode in held:
                return pid
        if self.aside(uid):
            return None
        until_s = self._clock() + SEARCH_S
        own, others = _candidates(uid)
        asked = list(reversed(recent))
        asked += [pid for pid in own if pid not in recent]
        found = self._among(asked, inode, recent, until_s)
        if found is None and self._clock() >= until_s:
            self._put_aside(uid)
            return None
        return found or self._among((pid for pid in others if pid not in recent), inode, recent, until_s)

    def aside(self, uid: int) -> bool:
        """Whether its processes are not searched now."""
        return self._aside.get(uid, 0.0) > self._clock()

    def _among(self, pids: Iterable[int], inode: int, recent: _Recent, until_s: float) -> int | None:
        for pid in pids:
            held = _sockets(pid, lambda: self._clock() >= until_s)
            if inode in held:
                recent[pid] = held
                recent.move_to_end(pid)
                if len(recent) > _RECENT_PIDS_MAX:
                    recent.popitem(last=False)
                self._note(pid, held[inode])
                return pid
            if self._clock() >= until_s:
                return None
        return None

    def _put_aside(self, uid: int) -> None:
        self._aside[uid] = self._clock() + ASIDE_S
        self._aside.move_to_end(uid)
        if len(self._aside) > _OWNERS_MAX:
            self._aside.popitem(last=False)

    def _note(self, pid: int, place: str) -> None:
        places = self._places.setdefault(pid, OrderedDict())
        places[place] = None
        places.move_to_end(place)
        if len(places) > _PLACES_MAX:
            places.popitem(last=False)
        self._places.move_to_end(pid)
        if len(self._places) > _OWNERS_MAX:
            self._places.popitem(last=False)


def _candidates(uid: int) -> tuple[list[int], list[int]]:
    """Every pid: the account's own, newest first, and the others (a process may have changed its account since)."""
    own: list[int] = []
    others: list[int] = []
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            try:
                (own if entry.stat().st_uid == uid else others).append(int(entry.name))
            except OSError:
                continue  # ended while we read
    return sorted(own, reverse=True), sorted(others, reverse=True)


def _sockets(pid: int, enough: Callable[[], bool]) -> dict[int, str]:
    """Inodes of the sockets that the process holds, each with its descriptor, as far as they are read before it is `enough`; none
    where it has ended or is not ours to see."""
    found: dict[int, str] = {}
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            while some := [(_points(entry.path), entry.name) for entry in islice(entries, _FILES_AT_ONCE)]:
                found |= {int(link[8:-1]): place for link, place in some if link.startswith("socket:[")}
                if enough():
                    break
    except OSError:
        return {}
    return found


def _points(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  Path.readlink costs four times as much, here thousands of times
    except OSError:
        return ""  # closed while we read, or not ours to see


class Descriptions:
    """What processes are, each asked about once for as long as it runs the same program in the same directory.

    Asking psutil costs 2 ms with all ancestors; seeing that nothing has changed costs three reads, 0.03 ms.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[tuple[str, ...], Process]] = OrderedDict()

    def at_hand(self, pid: int) -> Process | None:
        """As `of`, where that is known and has not changed."""
        known = self._known.get(pid)
        return known[1] if known is not None and known[0] == _mark(pid) else None

    def of(self, pid: int) -> Process | None:
        """As `describe`."""
        mark = _mark(pid)
        known = self._known.get(pid)
        if known is not None and mark is not None and known[0] == mark:
            return known[1]
        found = describe(pid)
        if found is not None and mark is not None:
            self._known[pid] = (mark, found)
            self._known.move_to_end(pid)
            if len(self._known) > _DESCRIBED_MAX:
                self._known.popitem(last=False)
        return found


def _mark(pid: int) -> tuple[str, ...] | None:
    """What changes when a process becomes another: its start, its program, its directory. None where it has gone."""
    folder = f"/proc/{pid}"
    try:
        file = os.open(f"{folder}/stat", os.O_RDONLY | os.O_CLOEXEC)  # Path.read_text costs four times as much
    except OSError:
        return None
    try:
        stat = os.read(file, _STAT_BYTES_MAX)
    except OSError:
        return None  # it ended while we read
    finally:
        os.close(file)
    return stat.rpartition(b")")[2].split()[19].decode(), _points(f"{folder}/exe"), _points(f"{folder}/cwd")


def describe(pid: int) -> Process | None:
    """What the process is; None where it has gone. Each part that may not be seen is left empty."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            path = _seen(process, "exe")
            directory = _seen(process, "cwd")
            words = _seen(process, "cmdline")
            return Process(
                pid=pid,
                started_ms=round(process.create_time() * 1000),
                name=process.name(),
                path=path if isinstance(path, str) and path else None,
                directory=Path(directory) if isinstance(directory, str) and directory else None,
                arguments=tuple(words[1:]) if isinstance(words, list) else (),
                audit_uid=_audit_uid(pid),
                ancestors=tuple(_ancestors(process)),
            )
    except psutil.Error:
        return None


def _seen(process: psutil.Process, what: str) -> object:
    try:
        return getattr(process, what)()
    except (psutil.AccessDenied, FileNotFoundError):
        return None


def _audit_uid(pid: int) -> int | None:
    try:
        return int((_PROC / str(pid) / "loginuid").read_text())
    except (OSError, ValueError):
        return None


def _ancestors(process: psutil.Process) -> Iterator[int]:
    if psutil.WINDOWS:
        return
    for _ in range(_ANCESTORS_MAX):
        try:
            parent = process.parent()
            if parent is None:
                return
            yield parent.uids().real
        except psutil.Error:
            return  # the chain is broken here: what lies above is not this process's history
        process = parent
