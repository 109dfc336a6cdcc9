"""What one gate leaves behind of itself: lines of its start, stop, mode, failures, clocks, and looks at the ledger from outside.

Nothing here decides about a call, and nothing fails a gate: what cannot be written now is queued, what cannot be looked at now
is looked at in a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from spendgate import __version__
from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable, StateError
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.fallback import Counts, Fallback
from spendgate.gate.provider_time import ProviderTime
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads import Finding
from spendgate.ledger.heads_file import SeenClock

if TYPE_CHECKING:
    from spendgate.policy import Mode

logger = logging.getLogger(__name__)

LOOK_EVERY_MS: Final = 60_000
RECOMPUTE_EVERY_MS: Final = 3_600_000
"""How often every balance is compared with its calls: a minute after the start, then each hour."""
_MENTIONED_MS: Final = 3_600_000
"""A pause that a line of a start names, where it rests on the wall clock alone."""
CLOCK_STEP_MS: Final = 2_000
"""A wall clock that moves against the boot clock by more is written to the audit trail."""


class Looks(Protocol):
    """Looks at the ledger from outside (`ledger.keeping.Keeper`)."""

    def clock(self) -> SeenClock | None: ...
    def look(self, clock: SeenClock) -> tuple[Finding, ...]: ...
    def recompute(self, clock: SeenClock, stopped: Callable[[], bool]) -> tuple[Finding, ...]: ...


class Audited(Protocol):
    """The ledger as far as its audit trail goes."""

    @property
    def gate_id(self) -> int: ...
    def audit(self, line: Line) -> None: ...
    def last_audited(self, what: AuditWord) -> str | None: ...
    def in_place(self) -> bool: ...


@dataclass(slots=True)
class _Failure:
    since_ms: int
    why: str
    before: Counts
    """What was decided without the ledger until then."""


class Evidence:
    """Of one gate and one event loop."""

    def __init__(
        self, ledger: Audited, backlog: Backlog, fallback: Fallback, time: ProviderTime, wall: Clock, *,
        looks: Looks | None, account: str,
    ) -> None:  # fmt: skip
        """`looks` None: nothing is remembered outside the ledger (simulations). `account`: who runs this gate."""
        self._ledger = ledger
        self._backlog = backlog
        self._fallback = fallback
        self._time = time
        self._wall = wall
        self._looks = looks
        self._account = account
        self._looked_ms = 0
        self._step_from_ms = 0
        self._off = False
        """Windows follow the providers, as the trail was told."""
        self._failure: _Failure | None = None
        self._in_place = True
        self._recompute_at_ms = 0
        self._recomputing: asyncio.Task[None] | None = None
        self._stopping = False

    def tell(self, what: AuditWord, detail: str, who: str = "") -> None:
        """A line, now or as soon as the ledger can be written. Never raises."""
        line = Line(self._time.now_ms(), what, detail, who)
        self._backlog.write(lambda: self._ledger.audit(line))

    # -- a gate's life -------------------------------------------------------------------------------------------

    async def begin(self, mode: Mode) -> None:
        """Before anything else is written: go on with the clock that was remembered, look, and tell of the start."""
        self._step_from_ms = self._offset_ms()
        self._recompute_at_ms = self._wall.boot_ms() + LOOK_EVERY_MS
        seen = self._looks.clock() if self._looks is not None else None
        self._time.go_on(seen)
        await self._look()
        started = f"gate {self._ledger.gate_id}, process {os.getpid()}, Spendgate {__version__}"
        self.tell(AuditWord.GATE_STARTED, f"{started}{self._unconfirmed(seen)}", self._account)
        self.mode(mode)
        self._watch_off()

    def _unconfirmed(self, seen: SeenClock | None) -> str:
        """What a reviewer must know of a start whose clock may have been set ahead meanwhile: nobody can tell yet."""
        if seen is None or self._time.witnessed or (passed_ms := self._time.now_ms() - seen.at_ms) < _MENTIONED_MS:
            return ""
        return f"; {_span(passed_ms)} after the last look, by a clock that no provider has confirmed yet"

    def end(self, open_calls: int) -> None:
        """The stop, before the last writes."""
        self._stopping = True
        self._watch_failure()
        left = f", {open_calls} calls open" if open_calls else ""
        self.tell(AuditWord.GATE_STOPPED, f"gate {self._ledger.gate_id}{left}", self._account)

    async def last_look(self) -> None:
        """After the last writes."""
        if self._recomputing is not None:
            await self._recomputing
        await self._look()

    def mode(self, mode: Mode) -> None:
        """Which mode holds from here on, where the trail says another one, or none yet."""
        words: str = mode.default
        if mode.enforce and mode.default == "observe":
            words += f", but enforce for calls that fit one of {len(mode.enforce)}"
        try:
            last = self._ledger.last_audited(AuditWord.MODE_CHANGED)
        except LedgerUnavailable:
            last = None  # once too often rather than not at all
        if last != words:
            self.tell(AuditWord.MODE_CHANGED, words)

    # -- while it runs -------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Every other second."""
        self._watch_step()
        self._watch_off()
        self._watch_failure()

    async def look_when_due(self) -> None:
        """Each minute, and at once where the ledger's file has gone."""
        if self._looks is None:
            return
        in_place = self._ledger.in_place()
        gone, self._in_place = self._in_place and not in_place, in_place
        if gone or self._wall.boot_ms() - self._looked_ms >= LOOK_EVERY_MS:
            await self._look()
        if self._wall.boot_ms() >= self._recompute_at_ms and (self._recomputing is None or self._recomputing.done()):
            self._recompute_at_ms = self._wall.boot_ms() + RECOMPUTE_EVERY_MS
            self._recomputing = asyncio.create_task(self._recompute(self._looks), name="ledger-recompute")

    async def _recompute(self, looks: Looks) -> None:
        await self._told(lambda: looks.recompute(self._time.seen(), lambda: self._stopping))

    async def _look(self) -> None:
        looks = self._looks
        if looks is not None:
            self._looked_ms = self._wall.boot_ms()
            await self._told(lambda: looks.look(self._time.seen()))
            if not self._time.witnessed and (seen := looks.clock()) is not None:
                self._time.believe(seen)

    @staticmethod
    async def _told(look: Callable[[], tuple[Finding, ...]]) -> None:
        """Look, beside the loop, and say on stderr what was found. Never raises."""
        try:
            found = await asyncio.to_thread(look)
        except (LedgerUnavailable, StateError, OSError) as fault:
            logger.warning("the ledger could not be looked at from outside: %s", fault)
            return
        for finding in found:
            logger.warning(
                "%s: %s; see `spendgate audit verify`, then `spendgate audit ack`", finding.what, finding.detail
            )

    def _offset_ms(self) -> int:
        return self._wall.now_ms() - self._wall.boot_ms()

    def _watch_step(self) -> None:
        offset_ms = self._offset_ms()
        step_ms, self._step_from_ms = offset_ms - self._step_from_ms, offset_ms
        if abs(step_ms) > CLOCK_STEP_MS:
            self.tell(AuditWord.CLOCK_STEPPED, f"{step_ms:+d} ms")

    def _watch_off(self) -> None:
        off_ms = self._time.off_ms()
        if (off_ms is not None) == self._off:
            return
        self._off = off_ms is not None
        if off_ms is None:
            self.tell(AuditWord.CLOCK_RIGHT, "windows follow the wall clock")
            return
        by = "the providers' dates" if self._time.witnessed else "when a gate last looked"
        told = f"the wall clock is {_span(abs(off_ms))} {'ahead of' if off_ms > 0 else 'behind'} {by}"
        self.tell(AuditWord.CLOCK_OFF, f"{told}; windows do not follow it")
        logger.warning("%s; windows do not follow it", told)

    # -- failures ------------------------------------------------------------------------------------------------

    def failed(self, why: str) -> None:
        """A call is being decided without the ledger. Before it is counted."""
        if self._failure is None:
            self._failure = _Failure(self._time.now_ms(), why, self._fallback.counts)

    def _watch_failure(self) -> None:
        """Tell of a failure once it is over."""
        if self._backlog.failing:
            self.failed(self._backlog.failing)
        elif (failure := self._failure) is not None and not self._backlog:
            self._failure = None
            counts, before = self._fallback.counts, failure.before
            decided = f"allowed {counts.allowed - before.allowed} calls, refused {counts.refused - before.refused}"
            span = f"from {_iso(failure.since_ms)} to {_iso(self._time.now_ms())}"
            self.tell(AuditWord.GATE_FAILED, f"{span}: {failure.why}; on_failure {decided}")


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _span(ms: int) -> str:
    """`31 d`, `2 h 5 min`: enough to see what happened."""
    minutes = (ms + 30_000) // 60_000
    days, hours = minutes // 1_440, minutes // 60 % 24
    parts = ((days, "d"), (hours, "h"), (0 if days else minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or f"{ms // 1000} s"
