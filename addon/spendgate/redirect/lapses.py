"""When the rules led traffic to no gate although they had done so before: from when, until when, and why. Pure.

What sets the rules knows it best, and tells the gate that it leads to next; it forgets when it ends, and then the gate remembers
when it was last asked for a sign of life. Judged by a clock that never goes back, told by the wall clock; while a machine sleeps
the former stands still, as its traffic does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


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
    held: bool | None
    """Whether calls to providers' known addresses were refused meanwhile; else they went direct. None: not all the time, as
    far as is known."""

    @property
    def said(self) -> str:
        """For the audit trail."""
        return f"from {_iso(self.from_ms)} to {_iso(self.until_ms)}: {self.why}; {_WENT[self.held]}"


_WENT: Final = {
    True: "calls to providers were refused",
    False: "traffic went direct",
    None: "calls to providers were not refused all the time, as far as is known",
}


class Acting:
    """Until when the rules act, as one side knows it. They act for `timeout_ms` after each renewal."""

    def __init__(self, timeout_ms: int, *, held: bool = False) -> None:
        """`held`: whether calls are refused where they do not act."""
        self._timeout_ms = timeout_ms
        self._held = held
        self._went: frozenset[bool] = frozenset()
        """How calls went in the lapse that lasts, before what is so now: refused, or not."""
        self._until: Instant | None = None
        """None: never yet."""
        self._why = Why.SILENT

    def renewed(self, now: Instant) -> Lapse | None:
        """They act from now on; the lapse that this ends."""
        lapse = self.lasts(now)
        self._until, self._why, self._went = now.after(self._timeout_ms), Why.SILENT, frozenset()
        return lapse

    def lasts(self, now: Instant) -> Lapse | None:
        """The lapse as it is until now; None: they act, or never did."""
        if self._until is None or now.steady_s <= self._until.steady_s:
            return None
        went = self._went | {self._held}
        # Whoever took the rules away took what holds with them.
        held = self._why is not Why.CHANGED and (self._held if len(went) == 1 else None)
        return Lapse(min(self._until.wall_ms, now.wall_ms), now.wall_ms, self._why, held)

    def holds(self, now: Instant, *, held: bool) -> None:
        """Whether calls are refused from now on where they do not act."""
        if self._until is not None and now.steady_s > self._until.steady_s:
            self._went |= {self._held}
        self._held = held

    def ended(self, at: Instant, why: Why) -> None:
        """They act no more since then. Where they did not before, that stays the beginning, and its reason the reason.

        Rules that never acted begin nothing when somebody changes them: what led nothing to a gate was that none was there.
        """
        if why is Why.CHANGED:
            if self._until is None:
                return
            self._went |= {False}
        if self._until is None or at.steady_s < self._until.steady_s:
            self._until, self._why = at, why

    def told(self, now: Instant) -> None:
        """Somebody has told of the lapse that lasts, and ends: what follows is one without a gate."""
        if self.lasts(now) is not None:
            self._until, self._why, self._went = now, Why.GATE_GONE, frozenset()

    def if_lapsed(self, why: Why) -> None:
        """Where nothing else has ended them and they lapse all the same, this is why."""
        if self._why is Why.SILENT:
            self._why = why


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
