"""What the ledger itself knows of the fleet: times without a gate or without traffic led to it, failures of the gate,
connections that could not be read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from spendgate.audit_words import AuditWord
from spendgate.ledger.queries import Reader
from spendgate.reconcile.facts import Facts, Interval, Unread

_GATE: Final = re.compile(r"^gate (\d+)")
_FROM_TO: Final = re.compile(r"^from (\S+Z) to (\S+Z): ([^;]*)")
_REFUSED: Final = "; calls to providers were refused"
"""How a lapse of capture ends that let nothing past (`redirect.lapses`)."""


def with_own(reader: Reader, facts: Facts, until_ms: int) -> Facts:
    """`facts`, and what the ledger knows up to then."""
    failed: list[Interval] = []
    died: list[Interval] = []
    stopped: list[Interval] = []
    # Gates of one ledger follow on one another; those of another laptop's say nothing about them.
    for trail, signs in reader.trails():
        lines = [each for each in trail if each["at_ms"] < until_ms]
        machines = {machine for machine, _ in signs.values()}
        machine = machines.pop() if len(machines) == 1 else ""
        for line in lines:
            if line["what"] == AuditWord.GATE_FAILED:
                failed += _told(line, "", "the gate failed")
            elif line["what"] == AuditWord.CAPTURE_LAPSED and not line["detail"].endswith(_REFUSED):
                failed += _told(line, machine, "capture had lapsed")
        gone, ended = _without(lines, signs)
        died, stopped = died + gone, stopped + ended
    unread = tuple(Unread(*(row[name] for name in Unread.__struct_fields__)) for row in reader.coverage())
    return replace(
        facts,
        outages=(*facts.outages, *failed, *died),
        stops=(*facts.stops, *stopped),
        unread=(*facts.unread, *unread),
    )


def _told(line: dict[str, Any], machine: str, what: str) -> list[Interval]:
    """The stretch of a line that says from when to when; none where it says otherwise."""
    found = _FROM_TO.match(line["detail"])
    if found is None:
        return []
    return [Interval(machine, _ms(found[1]), _ms(found[2]), why=f"{what} ({found[3].strip()})")]


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _without(lines: list[dict[str, Any]], signs: dict[int, tuple[str, int]]) -> tuple[list[Interval], list[Interval]]:
    """Between the last sign of a gate that died, or the end of one that was stopped, and the next start on its machine."""
    starts = [(line["at_ms"], _number(line)) for line in lines if line["what"] == AuditWord.GATE_STARTED]
    died, stopped = [], []
    for line in lines:
        number = _number(line)
        machine, sign_ms = signs.get(number, ("", 0))
        if line["what"] == AuditWord.GATE_DIED:
            began = max((at for at, other in starts if other == number), default=0)
            from_ms = max(began, sign_ms)
            until_ms = min((at for at, other in starts if other != number and at >= from_ms), default=line["at_ms"])
            if 0 < from_ms < until_ms:
                died.append(Interval(machine, from_ms, until_ms, why="the gate had died"))
        elif line["what"] == AuditWord.GATE_STOPPED:
            until_ms = min((at for at, _ in starts if at >= line["at_ms"]), default=0)
            if until_ms > line["at_ms"]:
                stopped.append(Interval(machine, line["at_ms"], until_ms, why="no gate was running"))
    return died, stopped


def _number(line: dict[str, Any]) -> int:
    found = _GATE.match(line["detail"])
    return int(found[1]) if found else 0
