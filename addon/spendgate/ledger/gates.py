"""A gate process and the lock file that it holds for life: the one proof that it is alive.

The operating system drops the lock when the process ends, however it ends, and keeps it while a laptop sleeps. So a hold is
an orphan only when its gate's lock can be taken; never because of its age. Where the file itself is missing (a restored
state directory) the process with that id and start time decides.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import time
from pathlib import Path

import psutil

from spendgate.errors import StateError

PROBE_EVERY_S = 1.0
"""How often a hold that meets other gates' waiters may ask whether such a gate lives."""


class GateLock:
    """An exclusive lock on one file, held until `release` or the end of the process."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file

    @classmethod
    def take(cls, path: Path, *, create: bool) -> GateLock | None:
        """Take the lock without waiting; None when another process holds it. Raises OSError when the file cannot be opened."""
        file = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        if _lock(file):
            return cls(path, file)
        os.close(file)
        return None

    def drop(self) -> None:
        """Let go and leave the file: it was only looked at."""
        os.close(self._file)

    def release(self) -> None:
        """Let go and remove the file. Removed while still locked, so that nobody can take a file about to go."""
        if sys.platform == "win32":
            os.close(self._file)
            self.path.unlink(missing_ok=True)
        else:
            self.path.unlink(missing_ok=True)
            os.close(self._file)


class Gates:
    """This process's gate, and what it knows of the others on the same ledger."""

    def __init__(self, folder: Path) -> None:
        """Take a lock of our own in `folder`. Raises StateError."""
        self.folder = folder
        self.name = secrets.token_hex(8)
        self.id = 0
        """Row id in `gates`; set by `enter`."""
        self._probed: dict[int, float] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = GateLock.take(self._path(self.name), create=True)
        except OSError as fault:
            raise StateError(f"{folder} cannot hold this gate's lock file: {fault}") from fault
        if lock is None:
            raise StateError(f"{folder} gives locks that cannot be taken: use a local disk")
        self._lock = lock

    def enter(self, conn: sqlite3.Connection, now_ms: int) -> None:
        """Write this gate's row."""
        me = psutil.Process()
        found = conn.execute(
            """INSERT INTO gates (name, pid, pid_started_ms, opened_ms, from_seq)
               SELECT ?, ?, ?, ?, coalesce(max(seq), 0) FROM call_rows RETURNING id""",
            (self.name, me.pid, int(me.create_time() * 1000), now_ms),
        ).fetchone()
        self.id = int(found[0])

    def end(self, conn: sqlite3.Connection) -> bool:
        """Close this gate's row if none of its calls is open; else they are left to whoever resolves orphans."""
        ended = conn.execute(
            """UPDATE gates SET ended = 1 WHERE id = ? AND NOT EXISTS (SELECT 1 FROM call_rows
               WHERE state = 'open' AND gate = gates.id AND seq > gates.from_seq)""",
            (self.id,),
        )
        return ended.rowcount == 1

    def leave(self, *, ended: bool) -> None:
        """Let the lock go. The file goes too where the row is closed; else it is the proof that the gate has died."""
        if ended:
            self._lock.release()
        else:
            self._lock.drop()

    def claim(self, conn: sqlite3.Connection, gate: int) -> GateLock | None:
        """The lock of a gate that has died, so that only one process resolves its calls; None while it lives."""
        found = conn.execute("SELECT name, pid, pid_started_ms FROM gates WHERE id = ?", (gate,)).fetchone()
        if found is None or gate == self.id:
            return None
        name, pid, pid_started_ms = found
        path = self._path(name)
        try:
            return GateLock.take(path, create=False)
        except FileNotFoundError:
            return None if _runs(pid, pid_started_ms) else GateLock.take(path, create=True)
        except OSError:
            return None  # cannot tell: a hold that stays is safe, one that is freed wrongly is not

    def is_dead(self, conn: sqlite3.Connection, gate: int) -> bool:
        """Whether another gate's lock can be taken; asked at most once in PROBE_EVERY_S for each gate."""
        now_s = time.monotonic()
        if now_s - self._probed.get(gate, -PROBE_EVERY_S) < PROBE_EVERY_S:
            return False
        self._probed[gate] = now_s
        lock = self.claim(conn, gate)
        if lock is None:
            return False
        lock.drop()
        return True

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"


def living(folder: Path) -> tuple[str, ...]:
    """The gates that run on the ledger whose lock files are in `folder`, by name. For a reading command; changes nothing."""
    alive = []
    for path in sorted(folder.glob("*.lock")):
        try:
            lock = GateLock.take(path, create=False)
        except FileNotFoundError:
            continue  # it ended just now
        except OSError:
            alive.append(path.stem)  # another account's lock file, which only a service has
            continue
        if lock is None:
            alive.append(path.stem)
        else:
            lock.drop()
    return tuple(alive)


def _runs(pid: int, started_ms: int) -> bool:
    """Whether that very process (not another with its id) still runs."""
    try:
        return abs(psutil.Process(pid).create_time() * 1000 - started_ms) < 2_000
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        # flock, not lockf: lockf's locks belong to the process, so a probe of our own file would drop them.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
