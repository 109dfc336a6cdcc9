"""One gate's look at its ledger from outside: at the start, each minute, at the stop. Not for the event loop: it
writes to the disk.

What is found goes into the audit trail and into `heads.json`, in that order, so that a process killed in between tells it twice
rather than never. The heads are remembered only once the disk has what they are of: else a power cut, which may take the
ledger's last moments, would look like a ledger that somebody has cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads import Finding, Heads
from spendgate.ledger.heads_file import FINDINGS_MAX, HeadsFile, Remembered, SeenClock, Unreadable


class Kept(Protocol):
    """The ledger as it is looked at."""

    def heads(self) -> Heads: ...
    def unlike(self, seen: Heads) -> Finding | None: ...
    def in_place(self) -> bool: ...
    def durable(self) -> bool: ...
    def altered_sums(self, stopped: Callable[[], bool]) -> tuple[str, ...]: ...
    def altered_calls(self, stopped: Callable[[], bool]) -> tuple[str, ...]: ...
    def was_audited(self, what: AuditWord, detail: str) -> bool: ...
    def has_run(self) -> bool: ...
    def audit(self, line: Line) -> None: ...


class Keeper:
    """Looks after one ledger for one gate."""

    def __init__(self, file: HeadsFile, ledger: Kept, *, used_before: bool) -> None:
        """`used_before`: a gate has run on this state directory, as something else in it shows."""
        self._file = file
        self._ledger = ledger
        self._used_before = used_before
        self._looked = False
        self._gone = False

    def clock(self) -> SeenClock | None:
        """The clock as it was last seen, before anything is looked at; None where nothing says."""
        try:
            found = self._file.read()
        except Unreadable:
            return None
        return found.clock if found else None

    def look(self, clock: SeenClock) -> tuple[Finding, ...]:
        """Compare, tell the audit trail, remember. What is found anew. Raises StateError, LedgerUnavailable, OSError."""
        with self._file.locked():
            if not self._ledger.in_place():
                return self._put_aside(clock)
            before, found = self._against_memory(clock.at_ms)
            findings = tuple(self._audited(each) for each in before.with_findings(found))
            heads = self._ledger.heads()
            if not self._ledger.durable() and before.heads is not None and not found:
                heads = before.heads  # still true of it, and the next look goes further
            self._file.write(Remembered(heads=heads, clock=clock.after(before.clock), findings=findings))
        self._looked = True
        return found

    def recompute(self, clock: SeenClock, stopped: Callable[[], bool]) -> tuple[Finding, ...]:
        """Every balance against its calls, and the newest calls against their chain; what is found anew. A sum that somebody has
        changed would be a budget's new room, and so would a call that was made cheaper together with its sums.

        Reads all of the ledger, beside whoever writes. Raises StateError, LedgerUnavailable, OSError.
        """
        if not self._ledger.in_place():
            return ()
        faults = [(AuditWord.BALANCE_ALTERED, fault) for fault in self._ledger.altered_sums(stopped)]
        faults += [(AuditWord.LEDGER_ALTERED, fault) for fault in self._ledger.altered_calls(stopped)]
        if not faults:
            return ()
        with self._file.locked():
            before = self._file.read() or Remembered()
            found = tuple(
                Finding(word, fault, clock.at_ms) for word, fault in faults if not self._ledger.was_audited(word, fault)
            )
            written = tuple(self._audited(each) for each in found[:FINDINGS_MAX])
            self._file.write(replace(before, findings=before.with_findings(written)))
        return found

    def _against_memory(self, now_ms: int) -> tuple[Remembered, tuple[Finding, ...]]:
        """What was remembered, and how the ledger differs from it."""
        try:
            before = self._file.read()
        except Unreadable as fault:
            return Remembered(), (Finding(AuditWord.HEADS_MISSING, self._homeless(str(fault)), now_ms),)
        if before is not None and before.heads is not None:
            found = self._ledger.unlike(before.heads)
            return before, () if found is None else (replace(found, at_ms=now_ms),)
        return before or Remembered(), self._nothing_remembered(now_ms)

    def _homeless(self, text: str) -> str:
        """Without the folder, which may be in somebody's home: the audit trail is kept for good."""
        return text.replace(str(self._file.path), self._file.path.name)

    def _nothing_remembered(self, now_ms: int) -> tuple[Finding, ...]:
        """As it should be at the first start alone, and at the first of a version that remembers."""
        heads = self._ledger.heads()
        if self._looked or self._ledger.has_run():
            why = f"{self._file.path.name} is gone; ledger {heads.id} has {heads.calls.position} calls"
            return (Finding(AuditWord.HEADS_MISSING, why, now_ms),)
        if self._used_before and heads.calls.position == heads.audit.position == 0:
            why = f"a gate has run here before; ledger {heads.id} has nothing of it, and {self._file.path.name} is gone, too"
            return (Finding(AuditWord.LEDGER_NEW, why, now_ms),)
        return ()

    def _put_aside(self, clock: SeenClock) -> tuple[Finding, ...]:
        """The file that this gate writes to is not the one that others would open. Told once; what is remembered stays."""
        if self._gone:
            return ()
        heads = self._ledger.heads()
        why = f"ledger {heads.id}, which a gate writes to, was removed or put aside; restart the gate"
        found = self._audited(Finding(AuditWord.LEDGER_GONE, why, clock.at_ms))
        try:
            before = self._file.read() or Remembered()
        except Unreadable:
            before = Remembered(heads=heads)
        self._file.write(replace(before, clock=clock.after(before.clock), findings=before.with_findings((found,))))
        self._gone = True
        return (found,)

    def _audited(self, finding: Finding) -> Finding:
        """With a line in the audit trail, if it can be written now; else the next look writes it."""
        if finding.written:
            return finding
        try:
            self._ledger.audit(Line(finding.at_ms, finding.what, finding.detail))
        except LedgerUnavailable:
            return finding
        return replace(finding, written=True)
