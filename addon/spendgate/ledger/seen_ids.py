"""Which calls are in a merged file that has no index of them yet, by 64 bits of each id: some 70 bytes of memory for a call."""

from __future__ import annotations

import sqlite3


class Seen:
    """The ids of a file's calls. Only a hash is kept: what it finds twice must be looked at."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._hashes = _hashes(conn.execute("SELECT id FROM call_rows"))
        self._new: set[int] = set()

    def twice(self, conn: sqlite3.Connection, after: int) -> list[str]:
        """Ids of the source `main` after that row which are here already, or look as if. The others are noted with `keep`."""
        sql = "SELECT id FROM main.call_rows WHERE seq > ? ORDER BY seq"
        self._new = _hashes(conn.execute(sql, (after,)))
        if self._hashes.isdisjoint(self._new):
            return []
        return [call for (call,) in conn.execute(sql, (after,)) if hash(call) in self._hashes]

    def keep(self) -> None:
        """What was asked about last is here now."""
        self._hashes |= self._new
        self._new = set()


def _hashes(ids: sqlite3.Cursor) -> set[int]:
    return {hash(call) for (call,) in ids}
