"""When the rules led traffic to no gate although they had done so before: from when, until when, and why. Pure.

What sets the rules knows it best, and tells the gate that it leads to next; it forgets when it ends, and then the gate remembers
when it was last asked for a sign of life. Judged by a clock that never goes back, told by the wall clock; while a machine sleeps
the former stands still, as its traffic does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Why(StrEnum):
    """The values are words of the audit trail."""

    SILENT = "no sign of life in time: the gate, or what redirects, hung or was stopped"
    GATE_GONE = "no gate was there"
    UNABLE = "the gate had no certificate to show"
    CHANGED = "somebody had taken the rules away, or changed them"
    FAILED = "the rules could not be set"
    RULES_GONE = "what redirects was gone"


@dataclass(frozen=True, slots=True)
class Instant:
    """`steady_s` never goes back; `wall_ms` is epoch milliseconds."""

    steady_s: float
    wall_ms: int

    def after(self, ms: int) -> Instant:
        return Instant(self.steady_s + ms / 1000, self.wall_ms + ms)


@dataclass(frozen=True, slots=True)
class Lapse:
    """One stretch, in epoch milliseconds."""

    from_ms: int
    until_ms: int
    why: Why
    held: bool
    """Whether calls to providers' known addresses were refused meanwhile; else they went direct."""

    @property
    def said(self) -> str:
        """For the audit trail."""
        went = "calls to providers were refused" if self.held else "traffic went direct"
        return f"from {_iso(self.from_ms)} to {_iso(self.until_ms)}: {self.why}; {went}"


class Acting:
    """Until when the rules act, as one side knows it. They act for `timeout_ms` after each renewal."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._until: Instant | None = None
        """None: never yet."""
        self._why = Why.SILENT

    def renewed(self, now: Instant, *, held: bool) -> Lapse | None:
        """They act from now on; the lapse that this ends."""
        until, why = self._until, self._why
        self._until, self._why = now.after(self._timeout_ms), Why.SILENT
        if until is None or now.steady_s <= until.steady_s:
            return None
        # Whoever took the rules away took what holds with them.
        return Lapse(min(until.wall_ms, now.wall_ms), now.wall_ms, why, held and why is not Why.CHANGED)

    def ended(self, at: Instant, why: Why) -> None:
        """They act no more since then. Where they did not before, that stays the beginning, and its reason the reason."""
        if self._until is None or at.steady_s < self._until.steady_s:
            self._until, self._why = at, why

    def if_lapsed(self, why: Why) -> None:
        """Where nothing else has ended them and they lapse all the same, this is why."""
        if self._why is Why.SILENT:
            self._why = why


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
