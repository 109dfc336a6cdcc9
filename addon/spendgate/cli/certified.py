"""The certificates of a gate that runs: a renewed file of an organization's takes force, and that an end comes near is told.

The file is looked at by its date every two seconds, which every file system reports; what is in it is judged off the loop.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.capture import issued, issued_files
from spendgate.capture.certificates import Term
from spendgate.capture.issued import Issued
from spendgate.capture.leaves import Leaves
from spendgate.cli import serves
from spendgate.cli.house import House, wall_clock
from spendgate.cli.output import note
from spendgate.config.reading import apart
from spendgate.errors import StateError
from spendgate.gate.gate import Gate

LOOKS_EVERY_S: Final = 2.0


async def follow(house: House, gate: Gate) -> None:
    """Until cancelled."""
    seen, told = "", date.min
    while True:
        leaves = house.authority
        if isinstance(leaves, Leaves) and leaves.issued is not None and (stamp := _stamp(house)) != seen:
            await _look(house, gate, leaves, leaves.issued, first=not seen)
            seen = stamp
        now = wall_clock()
        if now.date() != told and (said := _end(house.authority.term, now)):
            told = now.date()
            gate.audit(AuditWord.CERTIFICATES_END, said)
            note(f"certificates: {said}; `spendgate ca show`")
        await serves.look(house, gate)
        await asyncio.sleep(LOOKS_EVERY_S)


def _end(term: Term | None, now: datetime) -> str:
    return term.end(now) if term is not None and term.due(now) else ""


async def _look(house: House, gate: Gate, leaves: Leaves, before: Issued, *, first: bool) -> None:
    """Take what is there now, where it is another and good; say so, or why not."""
    try:
        found = await apart(lambda: issued_files.load(house.state))
        if found.root != before.root:
            raise StateError(
                f"{house.state.leaves} is of another root than clients were told to trust: restart the gate"
            )
        if found.leaves != before.leaves:
            _in_time(house, found)
            leaves.take(found)
        elif not first or not found.term.holds(wall_clock()):
            return  # nothing new; that they have ended is told by itself
    except (StateError, OSError) as fault:  # whatever it is, this gate goes on with what it has
        gate.audit(AuditWord.CERTIFICATES_REFUSED, f"those {before.said} stay")
        note(f"the certificates before stay: {fault}")
        return
    gate.audit(AuditWord.CERTIFICATES_IN_FORCE, found.said)
    note(f"certificates {found.said} are in force")
    house.tell()


def _in_time(house: House, found: Issued) -> None:
    try:
        issued.in_time(found, wall_clock())
    except ValueError as fault:
        raise StateError(f"{house.state.leaves} {fault}") from fault


def _stamp(house: House) -> str:
    try:
        found = house.state.leaves.stat()
    except OSError as fault:
        return fault.strerror or "gone"
    return f"{found.st_mtime_ns} {found.st_ino} {found.st_size}"
