"""What stands about a ledger outside it: what was found and not yet acknowledged, and whether windows follow the wall clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from spendgate.audit_words import AuditWord
from spendgate.cli.moments import iso
from spendgate.config.paths import State, write_private
from spendgate.gate.clock import Clock
from spendgate.gate.provider_time import ProviderTime
from spendgate.ledger.heads import Finding
from spendgate.ledger.heads_file import HeadsFile, Remembered, SeenClock, Unreadable
from spendgate.ledger.queries import Reader


@dataclass(frozen=True, slots=True)
class Outside:
    """What `status` shows of it."""

    findings: tuple[Finding, ...] = ()
    clock: SeenClock | None = None

    def rows(self) -> list[dict[str, object]]:
        """The findings for programs. `found_at` None: by this very command, no gate has found it yet."""
        return [
            {"what": each.what.value, "detail": each.detail, "found_at": iso(each.at_ms) if each.at_ms else None}
            for each in self.findings
        ]

    def warnings(self) -> Iterator[str]:
        """The lines for people; none where all is well."""
        for each in self.findings:
            yield f"{each.what}: {each.detail}"
        if self.findings:
            yield "see `spendgate audit verify`; once it is cleared up, `spendgate audit ack`"
        if self.clock is not None and self.clock.off_ms is not None:
            yield f"this machine's clock is {self.clock.off_ms // 1000:+d} s off: windows do not follow it"

    def clock_row(self) -> dict[str, object]:
        """The clock for programs: how far the wall clock is ahead where windows do not follow it."""
        off_ms = self.clock.off_ms if self.clock else None
        return {"windows_follow": "wall clock" if off_ms is None else "providers", "off_ms": off_ms or 0}


def heads_file(state: State) -> HeadsFile:
    """The file of this state directory."""
    return HeadsFile(state.root, write_private)


def outside(state: State, reader: Reader) -> Outside:
    """Read the file first, then the ledger, which only grows: what it remembers must be there."""
    try:
        kept = heads_file(state).read()
    except Unreadable as fault:
        return Outside((*reader.unacknowledged(), Finding(AuditWord.HEADS_MISSING, str(fault))))
    if kept is None:
        return Outside(reader.unacknowledged())
    now = reader.unlike(kept.heads) if kept.heads else None
    return Outside((*to_acknowledge(kept, reader), *((now,) if now else ())), kept.clock)


def to_acknowledge(kept: Remembered, reader: Reader) -> tuple[Finding, ...]:
    """What is remembered as found, and what only the trail says: whoever empties the file has acknowledged nothing."""
    found = {(each.what, each.detail): each for each in (*reader.unacknowledged(), *kept.findings)}
    return tuple(sorted(found.values(), key=lambda each: each.at_ms))


def now_ms(state: State, clock: Clock | None = None) -> int:
    """The time that windows go by, as a gate that started now would know it. `clock`: the system's, unless a test steps one."""
    time = ProviderTime(clock or Clock())
    with contextlib.suppress(Unreadable):
        kept = heads_file(state).read()
        time.go_on(kept.clock if kept else None)
    return time.now_ms()
