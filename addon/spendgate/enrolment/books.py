"""What an enrolment office writes down: credentials by their hash, devices, and a line for each thing that was issued. SQLite.

Rule: a question is decided and written in one `BEGIN IMMEDIATE` transaction, committed to the disk before its answer leaves. So a
credential is used as often as it may be, whoever else asks at that moment and whenever the process ends; and nothing is out of
which there is no line.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spendgate.capture.ca_files import KEY_MODE, check_private
from spendgate.enrolment.credentials import Credential, Device
from spendgate.errors import StateError

FILE: Final = "enrolment.db"
_WAITS_S: Final = 30.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS credentials (
    id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, device TEXT, uses INTEGER NOT NULL, left INTEGER NOT NULL CHECK (left >= 0),
    made_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, revoked_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS devices (
    name TEXT PRIMARY KEY, key BLOB NOT NULL, until_ms INTEGER NOT NULL, before BLOB, before_until_ms INTEGER NOT NULL,
    blocked_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS trail (
    position INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, what TEXT NOT NULL, device TEXT NOT NULL,
    credential TEXT, serial TEXT, until_ms INTEGER, address TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS trail_device ON trail (device, at_ms);
"""


@dataclass(frozen=True, slots=True)
class Line:
    """Of the trail. `serial`: of the issuer, which is made for this device and this once; None where nothing was issued."""

    at_ms: int
    what: str
    device: str
    credential: str | None = None
    serial: str | None = None
    until_ms: int | None = None
    address: str | None = None


class Page:
    """The books inside one transaction."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def credential(self, digest: bytes) -> Credential | None:
        """The one of this hash."""
        row = self._conn.execute("SELECT * FROM credentials WHERE hash = ?", (digest,)).fetchone()
        return _credential(row) if row else None

    def make(self, one: Credential, digest: bytes) -> None:
        """A new one."""
        values = (one.id, digest, one.device, one.left, one.left, one.made_ms, one.until_ms)
        self._conn.execute("INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", values)

    def use(self, credential: Credential) -> None:
        """Once. What is used up breaks the table's rule, and so the transaction."""
        self._conn.execute("UPDATE credentials SET left = left - 1 WHERE id = ?", (credential.id,))

    def revoke(self, name: str, now_ms: int) -> bool:
        """Whether there is one of this name."""
        asked = "UPDATE credentials SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?"
        return self._conn.execute(asked, (now_ms, name)).rowcount == 1

    def device(self, name: str) -> Device | None:
        """What was issued to it last."""
        row = self._conn.execute("SELECT * FROM devices WHERE name = ?", (name,)).fetchone()
        return Device(*row) if row else None

    def put(self, device: Device) -> None:
        """In place of what is there."""
        values = (
            device.name,
            device.key,
            device.until_ms,
            device.before,
            device.before_until_ms,
            device.blocked_ms,
        )
        self._conn.execute("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?)", values)

    def block(self, name: str, now_ms: int) -> bool:
        """Whether there is such a device."""
        return self._conn.execute("UPDATE devices SET blocked_ms = ? WHERE name = ?", (now_ms, name)).rowcount == 1

    def issued_since(self, name: str, since_ms: int) -> int:
        """How often something was issued to a device."""
        asked = "SELECT count(*) FROM trail WHERE device = ? AND at_ms >= ? AND serial IS NOT NULL"
        return int(self._conn.execute(asked, (name, since_ms)).fetchone()[0])

    def refused_since(self, name: str, address: str, since_ms: int) -> tuple[int, int]:
        """How many lines of refusals a device has: for this address, and for all."""
        asked = "SELECT total(address = ?), count(*) FROM trail WHERE device = ? AND at_ms >= ? AND serial IS NULL"
        here, everywhere = self._conn.execute(asked, (address, name, since_ms)).fetchone()
        return int(here), int(everywhere)

    def write(self, line: Line) -> None:
        """At the trail's end."""
        values = (line.at_ms, line.what, line.device, line.credential, line.serial, line.until_ms, line.address)
        self._conn.execute("INSERT INTO trail VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", values)

    def lines(self) -> list[Line]:
        """The whole trail, oldest first."""
        asked = "SELECT at_ms, what, device, credential, serial, until_ms, address FROM trail ORDER BY position"
        return [Line(*row) for row in self._conn.execute(asked)]

    def credentials(self) -> list[tuple[Credential, int]]:
        """All, oldest first, each with how many uses it was made for."""
        rows = self._conn.execute("SELECT * FROM credentials ORDER BY made_ms, id").fetchall()
        return [(_credential(row), int(row[3])) for row in rows]


@dataclass(frozen=True, slots=True)
class Books:
    """One file, which the office and its admin's commands may have open at once."""

    file: Path

    @contextmanager
    def open(self) -> Iterator[Page]:
        """One transaction: committed at its end, undone where it fails. Raises StateError."""
        try:
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, KEY_MODE))
            check_private(self.file, KEY_MODE, "it lies beside the root's key")
            with closing(sqlite3.connect(self.file, timeout=_WAITS_S, isolation_level=None)) as conn:
                conn.execute("PRAGMA synchronous = FULL")
                if not conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    conn.executescript(_SCHEMA)
                conn.execute("BEGIN IMMEDIATE")
                try:
                    yield Page(conn)
                    conn.execute("COMMIT")
                except BaseException:
                    conn.rollback()
                    raise
        except (OSError, sqlite3.Error) as fault:
            said = fault.strerror if isinstance(fault, OSError) else str(fault)
            raise StateError(f"{self.file} cannot be used: {said}") from fault


def _credential(row: tuple[str, bytes, str | None, int, int, int, int, int | None]) -> Credential:
    name, _, device, _, left, made_ms, until_ms, revoked_ms = row
    return Credential(name, device, left, made_ms, until_ms, revoked_ms is not None)
