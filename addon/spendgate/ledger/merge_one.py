"""One ledger into a merged one, inside a transaction that is open: what is new of it, or why nothing is taken.

What ended is never changed in either file, so only newer rows are copied, and those that were open the last time are looked at
again. Every link and row that is new is recomputed first, in the same snapshot.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain as chain_of
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from spendgate.ledger import audit_log, chain, merged, merged_beside, merged_days, verify
from spendgate.ledger.followed import ended
from spendgate.ledger.merged import GATE_BITS, SEQ_BITS, Source
from spendgate.ledger.seen_ids import Seen
from spendgate.ledger.verified_beside import Verified


class Outcome(StrEnum):
    """What became of one file that was named."""

    TAKEN = "taken"
    UNCHANGED = "unchanged"
    """Everything in it is here already."""
    OLDER = "older"
    """A copy of a ledger of which more is here already."""
    BROKEN = "broken"
    """It is not as it was written, or cannot be read: nothing of it was taken, unless `fault` says that it was wanted anyway."""
    COLLIDES = "collides"
    """One of its calls is here from another ledger, or its history is another one than the one that is here."""


class Taking(Struct, frozen=True):
    """What a merge did with one file."""

    path: Path
    outcome: Outcome
    id: str = ""
    machine: str = ""
    calls: int = 0
    """New ones."""
    ended: int = 0
    """Those that were open the last time, and have ended."""
    imports: int = 0
    purged: int = 0
    """Those that were here, and that the source has purged since."""
    left: bool = False
    """It has factors of estimates, or counts of what is billed and not captured, which stay where they are."""
    fault: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether a person must look at it."""
        return bool(self.fault)


class OneSource:
    """One source inside its transaction: `main` is the source, read only, and `into_` the merged file."""

    def __init__(self, conn: sqlite3.Connection, path: Path, now_ms: int, seen: Seen | None) -> None:
        self._conn = conn
        self._seen = seen
        self._path = path
        self._now_ms = now_ms
        self._id, self._created_ms = conn.execute("SELECT id, created_ms FROM main.ledger").fetchone()
        others = {each.number: each for each in merged.sources(conn, "into_")}
        self._others = others
        self._was = next((each for each in others.values() if each.id == self._id), None)
        self._number = self._was.number if self._was else merged.number_of(self._id, frozenset(others))
        self._base = self._number << SEQ_BITS

    def take(self, said: Verified, *, anyway: bool) -> Taking:
        """Everything that is new, or why not."""
        links, head = chain.last(self._conn)
        upto = self._count("SELECT coalesce(max(seq), 0) FROM main.call_rows")
        lines, line_head = audit_log.last(self._conn)
        if self._was is not None and (found := self._gone_another_way(links, upto, lines)) is not None:
            return found
        fault = said.fault or next(self._since(said), "")
        self._conn.text_factory = str
        if fault and not anyway:
            return self._said(Outcome.BROKEN, fault=fault)
        collision = self._collision()
        if collision:
            return self._said(Outcome.COLLIDES, fault=collision)
        # First what was purged: a call that was open here and is gone there has no end to be copied.
        purged, days = merged_days.follow(
            self._conn, self._number, self._base, self._was.audit_lines if self._was else 0
        )
        calls, ended, imports = self._calls(upto), self._ended(), merged_beside.imports(self._conn)
        new_lines = merged_beside.audit(self._conn, self._number, self._was.audit_lines if self._was else 0)
        coverage = merged_beside.coverage(self._conn, self._number)
        if not (calls or ended or imports or new_lines or coverage or days) and self._was is not None:
            return self._said(Outcome.UNCHANGED, fault=self._was.fault)
        fault = fault or (self._was.fault if self._was else "")
        machine = self._machine()
        row = Source(self._number, self._id, self._created_ms, machine, upto, links, head, lines, line_head, not fault,
                     fault, self._now_ms)  # fmt: skip
        marks = ", ".join("?" * len(Source.__struct_fields__))
        values = tuple(getattr(row, name) for name in Source.__struct_fields__)
        self._conn.execute(f"INSERT OR REPLACE INTO into_.merged_from VALUES ({marks})", values)  # noqa: S608 - marks only
        done = self._said(Outcome.TAKEN, fault=fault)
        left = merged_beside.left(self._conn)
        return replace(done, machine=machine, calls=calls, ended=ended, imports=imports, purged=purged, left=left)

    def _said(self, outcome: Outcome, *, fault: str = "") -> Taking:
        machine = self._was.machine if self._was else ""
        return Taking(self._path, outcome, self._id, machine, fault=fault)

    def _gone_another_way(self, links: int, upto: int, lines: int) -> Taking | None:
        """An older copy of what is here; or one whose history went on in another way than the one that is here."""
        was = self._was
        assert was is not None  # noqa: S101 - the caller has asked
        here, its = (was.links, was.upto_seq, was.audit_lines), (links, upto, lines)
        older = any(mine < there for mine, there in zip(its, here, strict=True))
        if older and any(mine > there for mine, there in zip(its, here, strict=True)):
            return self._said(Outcome.COLLIDES, fault=self._other_history("each has what the other lacks"))
        if not older and was.links:
            found = self._conn.execute("SELECT head FROM main.chain WHERE position = ?", (was.links,)).fetchone()
            if found is None or found[0] != was.head:
                return self._said(Outcome.COLLIDES, fault=self._other_history(f"link {was.links} is another one"))
        if older:
            # What is here no longer was purged since that copy was made.
            other = self._conn.execute(
                """SELECT mine.id FROM main.call_rows AS mine JOIN into_.call_rows AS here ON here.seq = mine.seq + ?
                   WHERE mine.seq <= ? AND here.id IS NOT mine.id LIMIT 1""",
                (self._base, min(upto, was.upto_seq)),
            )
            if (row := other.fetchone()) is not None:
                return self._said(Outcome.COLLIDES, fault=self._other_history(f"its call {row[0]} is not here"))
        return self._said(Outcome.OLDER) if older else None

    def _other_history(self, why: str) -> str:
        return f"this is ledger {self._id}, of which another history is here already ({why}): two copies of it went on apart"

    def _since(self, said: Verified) -> Iterator[str]:
        """Faults of what was written since it was verified beside, in the snapshot that is copied."""
        at = self._conn.execute("SELECT head FROM main.chain WHERE position = ?", (said.links,)).fetchone()
        if said.links and (at is None or at[0] != said.head):
            yield f"link {said.links} was changed while it was read"
            return
        self._conn.text_factory = verify.text
        as_it_was = chain.last(self._conn) == (said.links, said.head) and ended(self._conn) == said.ended
        links = () if as_it_was else verify.links(self._conn, said.links, said.head)
        found = (verify.lines(self._conn), links, verify.purged(self._conn))
        yield from map(str, islice(chain_of(*found), 1))

    def _collision(self) -> str:
        """A call of this source's new ones that is here from another ledger."""
        after = self._was.upto_seq if self._was else 0
        if self._seen is None:
            found = self._conn.execute(
                """SELECT mine.id, here.seq FROM main.call_rows AS mine CROSS JOIN into_.call_rows AS here ON here.id = mine.id
                   WHERE mine.seq > ? LIMIT 1""",
                (after,),
            ).fetchone()
        else:
            each = (
                self._conn.execute("SELECT id, seq FROM into_.call_rows WHERE id = ?", (call,)).fetchone()
                for call in self._seen.twice(self._conn, after)
            )
            found = next(filter(None, each), None)
        if found is None:
            return ""
        other = self._others[found[1] >> SEQ_BITS]
        return f"call {found[0]} is in ledger {self._id} and in ledger {other.id} ({other.machine}): one of them is not its own"

    def _calls(self, upto: int) -> int:
        columns = [name for name in merged_beside.shared(self._conn, "call_rows") if name not in ("seq", "gate")]
        names = ", ".join(columns)
        gate = self._number << GATE_BITS
        return self._conn.execute(
            f"""INSERT INTO into_.call_rows (seq, gate, {names}) SELECT seq + ?, gate + ?, {names} FROM main.call_rows
                WHERE seq > ? AND seq <= ? ORDER BY seq""",  # noqa: S608 - columns of our own schema
            (self._base, gate, self._was.upto_seq if self._was else 0, upto),
        ).rowcount

    def _ended(self) -> int:
        """Calls that were open when their source was last read, as they are now; how many of them have ended."""
        if self._was is None:
            return 0
        columns = ", ".join(
            name for name in merged_beside.shared(self._conn, "call_rows") if name not in ("seq", "gate", "id")
        )
        open_ = "state = 'open' AND seq > ? AND seq <= ?"
        bounds = (self._base, self._base + self._was.upto_seq)
        before = self._count(f"SELECT count(*) FROM into_.call_rows WHERE {open_}", *bounds)  # noqa: S608 - as above
        if before:
            # What an open call holds moves, too; only an end is told, since only an end is new to anybody who adds up.
            self._conn.execute(
                f"""UPDATE into_.call_rows SET ({columns}) = (SELECT {columns} FROM main.call_rows AS mine
                    WHERE mine.seq = call_rows.seq - ?) WHERE {open_}""",  # noqa: S608
                (self._base, *bounds),
            )
        return before - (self._count(f"SELECT count(*) FROM into_.call_rows WHERE {open_}", *bounds))  # noqa: S608

    def _machine(self) -> str:
        found = self._conn.execute("SELECT machine FROM main.call_rows ORDER BY seq DESC LIMIT 1").fetchone()
        return str(found[0]) if found else ""

    def _count(self, sql: str, *values: object) -> int:
        return int(self._conn.execute(sql, values).fetchone()[0])
