"""Bills that tell each request by its moment, and calls whose counts are estimated (Cursor): paired one by one by time.

Such a line proves that its request was made, and what it cost; no count of the call's can show that it is the same. Each gap is
then that of one pair: an estimate that is off, a request that a plan pays or nobody charges, a request or a call without its
pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import ASKED, Kind
from spendgate.statement import Billed, Line

APART_MS: Final = 300_000
"""How far a request's moment on the bill may be from when its call left (facts/reconciliation.md 10.6)."""
_AT_MOST: Final = 2_000
"""Lines and calls of one group: beyond it each is tried with too many others."""


class Pairs(Struct, frozen=True):
    """All lines and calls of a group."""

    pairs: tuple[tuple[Line, Part], ...]
    lines: tuple[Line, ...]
    """Without a call."""
    calls: tuple[Part, ...]
    """Without a line."""

    def of(self, billed: Billed) -> list[tuple[Line, Part]]:
        """Pairs whose line is of this kind."""
        return [each for each in self.pairs if each[0].billed is billed]


def listed(line: Line) -> int:
    """A metered line's money at list price."""
    if line.billed is not Billed.METERED:
        return 0
    return (line.billed_nanos if line.list_nanos is None else line.list_nanos) or 0


def pairs(group: Group) -> Pairs | None:
    """Which line is which call's; None: its lines are no single requests, or its calls are counted, and counts tell more."""
    asked = {kind for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED and part.calls}
    singles = list(group.captured_in.items())
    if asked != {Kind.ESTIMATED} or not group.moments or len(group.moments) != group.lines or group.revised:
        return None
    if sum(part.calls for _, part in singles) != group.kind(Kind.ESTIMATED).calls or any(
        part.calls != 1 for _, part in singles
    ):
        return None
    if len(singles) > _AT_MOST or len(group.moments) > _AT_MOST:
        return None
    return _paired(group.moments, singles)


def _paired(lines: Sequence[Line], calls: Sequence[tuple[int, Part]]) -> Pairs:
    """Nearest first."""
    near = sorted(
        (abs(line.starts_ms - at_ms), line_at, call_at)
        for line_at, line in enumerate(lines)
        for call_at, (at_ms, _) in enumerate(calls)
        if abs(line.starts_ms - at_ms) <= APART_MS
    )
    of_line: dict[int, int] = {}
    taken: set[int] = set()
    for _, line_at, call_at in near:
        if line_at not in of_line and call_at not in taken:
            of_line[line_at] = call_at
            taken.add(call_at)
    return Pairs(
        tuple((lines[line_at], calls[call_at][1]) for line_at, call_at in sorted(of_line.items())),
        tuple(line for at, line in enumerate(lines) if at not in of_line),
        tuple(part for at, (_, part) in enumerate(calls) if at not in taken),
    )
