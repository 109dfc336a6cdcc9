"""Many ledgers into one file: every call once, in whatever order and however often they are named.

A source is read in one snapshot on a read-only connection, also while a gate writes to it, and is never written to. Its rows, its
audit trail, its imports and how far all that goes are one transaction of the merged file: a merge that is killed has taken a
source or has not, and the next one goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from spendgate.errors import StateError
from spendgate.ledger import merged
from spendgate.ledger.merge_one import OneSource, Outcome, Taking
from spendgate.ledger.seen_ids import Seen
from spendgate.ledger.verified_beside import Beside, Verified

_CACHE_KIB: Final = 100_000


def merge(into: Path, paths: Iterable[Path], now_ms: int, *, anyway: bool = False) -> Iterator[Taking]:
    """Take every file into `into`, and say of each what became of it, in their order.

    `anyway`: also those that are not as they were written. Raises StateError where `into` is no merged ledger, or cannot be one,
    and where no file is there: nothing is then made.
    """
    named = tuple(dict.fromkeys(path.absolute() for path in paths))
    if named and not any(path.exists() for path in named):
        raise StateError(f"{named[0]}: there is no such file; name ledgers, or state directories that hold one")
    if into.exists() and any(path.exists() and path.samefile(into) for path in named):
        raise StateError(f"{into} cannot be merged into itself")
    try:
        into.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as fault:
        raise StateError(f"{into.parent} cannot be made: {fault.strerror}") from fault
    try:
        merged.make(into, now_ms)
        with closing(merged.connect(into, "rw")) as conn:
            known = {each.id: (each.links, each.head) for each in merged.sources(conn)}
            if len(named) > 2 * len(known):
                merged.drop_indexes(conn)
            seen = None if merged.is_indexed(conn) else Seen(conn)
        if seen is not None:
            merged.journal(into, "DELETE")
        with closing(Beside(named, known)) as beside:
            for path, said in beside:
                yield _take(into, path, said, now_ms, seen, anyway=anyway)
        with closing(merged.connect(into, "rw")) as conn:
            merged.index(conn)
        merged.journal(into, "WAL")
    except sqlite3.Error as fault:
        raise StateError(f"{into} cannot be merged into: {fault}") from fault


def _take(into: Path, path: Path, said: Verified, now_ms: int, seen: Seen | None, *, anyway: bool) -> Taking:
    if not path.exists():
        return Taking(path, Outcome.BROKEN, fault="there is no such file")
    if said.unreadable:
        return Taking(path, Outcome.BROKEN, fault=said.unreadable)
    try:
        conn = merged.connect(path, "ro")
    except sqlite3.Error as fault:
        return Taking(path, Outcome.BROKEN, fault=f"cannot be read: {fault}")
    with closing(conn):
        conn.execute("ATTACH ? AS into_", (f"{into.absolute().as_uri()}?mode=rw",))
        conn.execute(f"PRAGMA into_.cache_size = -{_CACHE_KIB:d}")
        if seen is None:
            conn.execute("PRAGMA into_.synchronous = NORMAL")  # of a log, which that leaves whole whatever happens
        conn.execute("BEGIN IMMEDIATE")
        try:
            done = OneSource(conn, path, now_ms, seen).take(said, anyway=anyway)
        except StateError as fault:
            conn.execute("ROLLBACK")
            return Taking(path, Outcome.BROKEN, fault=str(fault))
        except sqlite3.Error as fault:
            conn.execute("ROLLBACK")
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                return Taking(path, Outcome.BROKEN, fault=f"cannot be read to its end: {fault}")
            raise
        except BaseException:
            conn.execute("ROLLBACK")
            raise
        # A fault leaves nothing behind, also not the half that was already copied.
        conn.execute("COMMIT" if done.outcome is Outcome.TAKEN else "ROLLBACK")
        if seen is not None and done.outcome is Outcome.TAKEN:
            seen.keep()
        return done
