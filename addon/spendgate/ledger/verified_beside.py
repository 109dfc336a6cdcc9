"""Sources are verified beside the merge that copies them, by a process for each core: recomputing a hundred thousand links takes
longer than copying them.

A process is asked, in a line of JSON, for one ledger at a time and answers in one (`python -m spendgate.ledger.verified_beside`).
What it says holds for the links that it has read: the merge itself goes on from there, in its own snapshot.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import msgspec
from msgspec import Struct

from spendgate.errors import StateError
from spendgate.ledger import chain, merged, verify
from spendgate.ledger.followed import ended


class _Asked(Struct, frozen=True):
    path: str
    known: dict[str, tuple[int, bytes]]
    """By ledger how many links are verified already, and the head of the last."""


class Verified(Struct, frozen=True):
    """What was found of one source."""

    links: int = 0
    """Its links up to this one hold, together with their calls."""
    head: bytes = bytes(32)
    ended: int = -1
    """How many calls had ended, each of them in a link."""
    fault: str = ""
    """The first thing that is not as it was written."""
    unreadable: str = ""
    """Why it is no ledger that can be merged."""


class Beside:
    """What is found of each path, in their order, while the caller works on the one before. Close it."""

    def __init__(self, paths: Sequence[Path], known: Mapping[str, tuple[int, bytes]]) -> None:
        self._paths, self._known = paths, dict(known)
        many = max(1, min(len(paths), os.cpu_count() or 1))
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._children = [_child() for _ in range(many)]
        for child in self._children:
            self._idle.put(child)
        self._pool = ThreadPoolExecutor(many)

    def __iter__(self) -> Iterator[tuple[Path, Verified]]:
        found: list[tuple[Path, Future[Verified]]] = [
            (path, self._pool.submit(self._ask, path)) for path in self._paths
        ]
        for path, future in found:
            yield path, future.result()

    def close(self) -> None:
        """End the processes, also those at work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.kill()
        self._pool.shutdown()  # whoever still waits for an answer has read the end of its pipe
        for child in self._children:
            with child:
                pass  # closes its pipes, and waits for it

    def _ask(self, path: Path) -> Verified:
        child = self._idle.get()
        assert child.stdin is not None and child.stdout is not None  # noqa: S101 - both are pipes, see _child
        child.stdin.write(msgspec.json.encode(_Asked(str(path), self._known)) + b"\n")
        child.stdin.flush()
        answer = child.stdout.readline()
        self._idle.put(child)
        if not answer:
            raise StateError(
                "the process that verifies ledgers has ended: run the same merge again, it goes on from here"
            )
        return msgspec.json.decode(answer, type=Verified)


def _child() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "spendgate.ledger.verified_beside"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - this very module


def verified(path: Path, known: Mapping[str, tuple[int, bytes]]) -> Verified:
    """Recompute what is new of one source, in one snapshot."""
    try:
        conn = merged.readable(path)
    except StateError as fault:
        return Verified(unreadable=str(fault))
    with closing(conn):
        try:
            conn.text_factory = verify.text
            conn.execute("BEGIN")
            ledger_id = conn.execute("SELECT id FROM ledger").fetchone()[0]
            links, head = known.get(ledger_id, (0, bytes(32)))
            at = conn.execute("SELECT head FROM chain WHERE position = ?", (links,)).fetchone()
            if links and (at is None or at[0] != head):
                return Verified()  # an older copy or another history: the merge tells which, from its first link on
            faults = tuple(islice(verify.links(conn, links, head), 1))
            links, head = chain.last(conn)
            return Verified(links, head, ended(conn), str(faults[0]) if faults else "")
        except sqlite3.Error as fault:
            return Verified(unreadable=f"cannot be read to its end: {fault}")


def main() -> None:
    """Answer until nobody asks any more."""
    try:
        for line in sys.stdin.buffer:
            asked = msgspec.json.decode(line, type=_Asked)
            sys.stdout.buffer.write(msgspec.json.encode(verified(Path(asked.path), asked.known)) + b"\n")
            sys.stdout.buffer.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # whoever asked has gone: nobody is left to be told


if __name__ == "__main__":
    main()
