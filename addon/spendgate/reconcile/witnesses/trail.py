"""When a gate ran, by the audit trail: from the words that the gate itself wrote there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.reconcile.witnesses.interface import instant_ms

_GATE: Final = re.compile(r"gate (\d+)\b", re.ASCII)
_FAILED: Final = re.compile(r"from (\S+) to (\S+): .*allowed (\d+) calls", re.ASCII | re.DOTALL)


class GateRun(Struct, frozen=True):
    """One gate's life. Epoch milliseconds."""

    gate: int
    from_ms: int
    until_ms: int | None
    """Its stop, or the last sign of one that died; None: it runs, as far as the trail says."""
    died_ms: int | None = None
    """When its death was noticed."""

    def covers(self, at_ms: int) -> bool:
        """Whether it ran then."""
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms <= self.until_ms)


class Failure(Struct, frozen=True):
    """A time in which the gate decided without its ledger."""

    from_ms: int
    until_ms: int
    allowed: int


def runs(lines: Iterable[Mapping[str, Any]], last_signs: Mapping[int, int]) -> tuple[GateRun, ...]:
    """The gates of a trail (`Reader.audit`, oldest first). `last_signs`: the end of the last call of each."""
    found: dict[int, GateRun] = {}
    for line in lines:
        named = _GATE.match(line["detail"])
        if named is None:
            continue
        gate, at_ms = int(named[1]), int(line["at_ms"])
        if line["what"] == AuditWord.GATE_STARTED:
            found[gate] = GateRun(gate, at_ms, None)
        elif (run := found.get(gate)) is None:
            continue
        elif line["what"] == AuditWord.GATE_STOPPED:
            found[gate] = GateRun(gate, run.from_ms, at_ms)
        elif line["what"] == AuditWord.GATE_DIED:
            found[gate] = GateRun(gate, run.from_ms, max(run.from_ms, last_signs.get(gate, 0)), at_ms)
    return tuple(found.values())


def failures(lines: Iterable[Mapping[str, Any]]) -> tuple[Failure, ...]:
    """When calls were let pass while the ledger could not be written."""
    found = []
    for line in lines:
        told = _FAILED.match(line["detail"]) if line["what"] == AuditWord.GATE_FAILED else None
        if told is not None and int(told[3]):
            since, until = instant_ms(told[1]), instant_ms(told[2])
            if since is not None and until is not None:
                found.append(Failure(since, until, int(told[3])))
    return tuple(found)
