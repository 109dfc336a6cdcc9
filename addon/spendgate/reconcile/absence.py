"""Requests on the bill that the ledger has not: when they were, as far as the bill tells, and what that shows.

A bill by minutes or by requests tells when. Its buckets are set against what was captured in each (a bucket early or late is one
too many here and one too few there); what is left over is somewhere in time, and so is whatever was wrong with the laptop then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from msgspec import Struct

from spendgate.plural import counted
from spendgate.reconcile.facts import Interval, Unread
from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import SIZE, add, counts_of, zeros
from spendgate.statement import DAY_MS, Line

Worth = Callable[[Sequence[int]], Fraction | None]


class Piece(Struct, frozen=True):
    """So much of what is missing, at a time."""

    from_ms: int
    until_ms: int
    nanos: Fraction
    requests: int
    counts: tuple[int, ...] = ()
    whole: bool = True
    """Nothing else was captured in its bucket, or it is one request by name."""


class Times(Struct, frozen=True):
    """What was so with the machines of a group's person, on its day."""

    outages: tuple[Interval, ...] = ()
    stops: tuple[Interval, ...] = ()
    presence: tuple[Interval, ...] | None = None
    """When a machine was on; None: they do not tell."""
    unread: tuple[Unread, ...] = ()
    person: str = ""
    scope: str = ""
    """Why nothing of this account can have been captured, where the ledger shows that."""


class Reason(Struct, frozen=True):
    """Why requests are missing."""

    cause: Cause
    confidence: Confidence
    told: str


def pieces(group: Group, worth: Worth) -> list[Piece]:
    """What is missing, by time; () where the bill does not tell times."""
    named = [each for each in group.buckets if each.response_id or each.request_id]
    if named:
        return [_named(each) for each in named if each.billed_nanos is not None] if group.key.match == "absent" else []
    residuals = _residuals(group)
    found = []
    for (from_ms, until_ms), (counts, requests, some) in sorted(residuals.items()):
        nanos = worth(counts)
        if nanos is not None and requests > 0 and nanos > 0 and all(each >= 0 for each in counts):
            found.append(Piece(from_ms, until_ms, nanos, requests, tuple(counts), not some))
    return found


def _named(line: Line) -> Piece:
    listed = line.billed_nanos if line.list_nanos is None else line.list_nanos
    number = 1 if line.requests is None else line.requests
    return Piece(line.starts_ms, max(line.ends_ms, line.starts_ms + 1), Fraction(listed or 0), number)


_Residuals = dict[tuple[int, int], tuple[list[int], int, bool]]


def _residuals(group: Group) -> _Residuals:
    """By bucket: tokens and requests billed less captured, and whether anything was captured in it."""
    billed: dict[tuple[int, int], tuple[list[int], int]] = {}
    for line in group.buckets:
        at = line.starts_ms, line.ends_ms
        counts, requests = billed.get(at, (zeros(), 0))
        add(counts, counts_of(line.usage))
        billed[at] = counts, requests + (line.requests or 0)
    found: _Residuals = {}
    left = dict(group.captured_in)
    for at in sorted(billed):
        counts, requests = billed[at]
        ours = Part()
        for at_ms in [each for each in left if at[0] <= each < at[1]]:
            ours.merge(left.pop(at_ms))
        add(counts, [-each for each in ours.counts])
        found[at] = counts, requests - ours.calls, bool(ours.calls)
    for at_ms in sorted(left):
        _shift(found, at_ms, left[at_ms])
    _settle(found)
    return found


def _shift(found: _Residuals, at_ms: int, part: Part) -> None:
    """Calls captured in a bucket that the bill does not have: those of the next one or the one before, if they fit."""
    for at in sorted(found, key=lambda one: (min(abs(one[0] - at_ms), abs(one[1] - at_ms)), one)):
        near = at[0] - (at[1] - at[0]) <= at_ms < at[1] + (at[1] - at[0])
        counts, requests, _ = found[at]
        if near and requests >= part.calls and all(mine >= its for mine, its in zip(counts, part.counts, strict=True)):
            add(counts, [-each for each in part.counts])
            found[at] = counts, requests - part.calls, True
            return


def _settle(found: _Residuals) -> None:
    """A bucket that is short by what the next one has too many of: the same calls, stamped on either side of its edge."""
    for at in sorted(found):
        counts, requests, _ = found[at]
        width = at[1] - at[0]
        for other in ((at[0] - width, at[0]), (at[1], at[1] + width)):
            if requests >= 0 or other not in found:
                continue
            theirs, more, _ = found[other]
            if more >= -requests and all(its + mine >= 0 for its, mine in zip(theirs, counts, strict=True)):
                add(theirs, counts)
                found[other] = theirs, more + requests, True
                found[at] = [0] * SIZE, 0, True
                break


def why(piece: Piece, times: Times) -> Reason:
    """Why requests at this time are missing."""
    sure = Confidence.EXACT_BUCKET if piece.whole else Confidence.RESIDUAL
    if times.presence is not None and not any(_meets(each, piece) for each in times.presence):
        told = f"at a time when no machine of {times.person or 'this person'} was on"
        return Reason(Cause.OTHER_DEVICE, sure, told)
    down = next((each for each in (*times.outages, *times.stops) if _meets(each, piece)), None)
    if down is not None:
        told = f"while {down.why or 'the gate was down'} on {down.machine or 'every machine'}"
        return Reason(Cause.CAPTURE_DOWN, sure, told)
    if times.scope:
        return Reason(Cause.SCOPE_KEY, Confidence.RESIDUAL, times.scope)
    return _unread(times) or Reason(Cause.UNCAPTURED, Confidence.RESIDUAL, "not in the ledger")


def why_somewhen(day_ms: int, times: Times, *, absent: bool) -> Reason:
    """Why requests of this day are missing, where the bill does not tell when they were."""
    if times.presence is not None and not times.presence:
        told = f"on a day on which no machine of {times.person or 'this person'} was on"
        return Reason(Cause.OTHER_DEVICE, Confidence.RESIDUAL, told)
    if times.outages:
        return Reason(Cause.CAPTURE_DOWN, Confidence.RESIDUAL, _down(times.outages, day_ms, day_ms + DAY_MS))
    if times.scope and absent:
        return Reason(Cause.SCOPE_KEY, Confidence.RESIDUAL, times.scope)
    return _unread(times) or Reason(Cause.UNCAPTURED, Confidence.RESIDUAL, "not in the ledger")


def _unread(times: Times) -> Reason | None:
    if not times.unread:
        return None
    first, count = times.unread[0], sum(each.count for each in times.unread)
    told = f"{counted(count, 'connection')} of {first.tool or first.account} to {first.host} could not be read: {first.reason}"
    return Reason(Cause.BYPASS_ON_DEVICE, Confidence.RESIDUAL, told)


def _meets(each: Interval, piece: Piece) -> bool:
    return each.from_ms < piece.until_ms and piece.from_ms < each.until_ms


def _down(outages: Sequence[Interval], from_ms: int, until_ms: int) -> str:
    minutes = sum(max(0, min(each.until_ms, until_ms) - max(each.from_ms, from_ms)) for each in outages) // 60_000
    first = outages[0]
    more = f" and {len(outages) - 1} more" if len(outages) > 1 else ""
    where = f"{first.why or 'nothing was captured'} on {first.machine or 'every machine'}{more}"
    return f"{where}, {counted(minutes, 'minute')} of the day"
