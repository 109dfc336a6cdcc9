"""What of a group's quantity each cause can claim, strongest evidence first; what none can claim stays.

A claim takes nano-dollars and, where it knows them, tokens and requests out of the rest. Claims by id or by counts that fit the
rest token for token are taken whole. What is left between calls that were captured without counts and requests that were not
captured at all is shared by what each would usually cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from spendgate.reconcile.decompose import Split
from spendgate.reconcile.facts import Interval, Witnessed
from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import OUTPUT, SIZE, counts_of, shares, whole
from spendgate.statement import DAY_MS, Billed, Line

CLAUDE: Final = ("claude",)


class Claim(Struct, frozen=True):
    """A cause in one group."""

    cause: Cause
    nanos: int
    confidence: Confidence
    evidence: str
    calls: tuple[str, ...] = ()
    requests: int | None = None


class Around(Struct, frozen=True):
    """What is known around a group beside its two sides."""

    missing: tuple[Witnessed, ...] = ()
    """Requests of this day, model and person that a witness saw and the ledger has not."""
    subcalls: tuple[tuple[Witnessed, str], ...] = ()
    """Sub-calls of calls that the ledger has (their ids), which its counts leave out."""
    outages: tuple[Interval, ...] = ()
    """Of the machines of this group's person, on this day."""
    presence: tuple[Interval, ...] | None = None
    """When a machine of this person was on, on this day; None: their machines do not tell."""
    young: bool = False
    """The provider may still be adding to this day."""
    unseen: int = 0
    """Requests of this account and day at paths that are not known."""
    moved: tuple[tuple[Fraction, tuple[int, ...], int, str], ...] = ()
    """Calls near midnight that the bill has on the other day: nano-dollars, tokens, requests (below zero: billed elsewhere)."""
    scope: str = ""
    """Why nothing of this account can have been captured, where the ledger shows that."""


class Rest:
    """What of a group's quantity nothing has claimed yet."""

    def __init__(self, split: Split, also: int) -> None:
        self.nanos = split.quantity - also
        """Less what kinds without counts cost."""
        self.vector = None if split.vector is None else list(split.vector)
        self.requests = split.requests
        self.units, self.mean = split.units, split.mean
        self.claims: list[Claim] = []

    def worth(self, counts: Sequence[int]) -> Fraction | None:
        """What these tokens are taken at."""
        total = Fraction(0)
        for place, count in enumerate(counts):
            unit = self.units[place]
            if count and unit is None:
                return None
            total += count * (unit or 0)
        return total

    def holds(self, counts: Sequence[int]) -> bool:
        """Whether the rest has at least these tokens."""
        return self.vector is not None and all(mine >= its for mine, its in zip(self.vector, counts, strict=True))

    def take(
        self, cause: Cause, nanos: Fraction, confidence: Confidence, evidence: str, *, counts: Sequence[int] = (),
        requests: int | None = None, calls: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Claim."""
        self.nanos -= nanos
        for place, count in enumerate(counts):
            if self.vector is not None:
                self.vector[place] -= count
        if requests is not None and self.requests is not None:
            self.requests -= requests
        self.claims.append(Claim(cause, whole(nanos), confidence, evidence, calls[:100], requests))


def claims(group: Group, split: Split, around: Around) -> list[Claim]:
    """Who claims what of the group's quantity, with what its kinds without counts cost taken into account."""
    parts = {kind: group.kind(kind) for kind in Kind}
    own = sum(parts[kind].cost for kind in (Kind.UNREAD, Kind.ESTIMATED))
    rest = Rest(split, own)
    strong = Confidence.EXACT if group.key.match else Confidence.RESIDUAL
    for nanos, counts, number, call in around.moved:
        told = "a call within minutes of midnight: captured on one day, billed on the other"
        rest.take(Cause.CUTOFF, nanos, Confidence.RESIDUAL, told, counts=counts, requests=number, calls=(call,))
    _notional(group, rest)
    _subcalls(rest, around)
    _witnessed(rest, around)
    _by_kind(group, rest, parts, around, strong)
    _over(rest, parts, around, strong)
    return rest.claims


def _notional(group: Group, rest: Rest) -> None:
    """Use that the bill lists and does not charge."""
    for billed, notional in sorted(group.notional.items()):
        cause = Cause.SUBSCRIPTION_INCLUDED if billed is Billed.INCLUDED else Cause.CAPTURED_NOT_BILLED
        if rest.nanos >= 0:
            continue
        worth = rest.worth(notional.counts) if any(notional.counts) else None
        if worth is None:
            worth = notional.requests * rest.mean if rest.mean and notional.requests else -rest.nanos
        nanos = -min(worth, -rest.nanos)
        counts = [-each for each in notional.counts]
        told = f"the bill lists {notional.requests or 'its'} requests as {billed.value}"
        rest.take(cause, nanos, Confidence.EXACT if group.key.match else Confidence.RESIDUAL, told, counts=counts)
        if rest.requests is not None:
            rest.requests += notional.requests


def _subcalls(rest: Rest, around: Around) -> None:
    for seen, call in around.subcalls:
        counts = counts_of(seen.subcalls) if seen.subcalls else [0] * SIZE
        worth = rest.worth(counts)
        if worth and rest.holds(counts):
            told = f"{seen.witness} shows sub-calls of {seen.response_id or seen.request_id} beside its own counts"
            rest.take(Cause.SUBCALL_TOKENS, worth, Confidence.EXACT, told, counts=counts, calls=(call,))


def _witnessed(rest: Rest, around: Around) -> None:
    """Requests that something else saw, and the ledger did not."""
    for seen in around.missing:
        if rest.requests is not None and rest.requests <= 0:
            return
        counts = counts_of(seen.usage) if seen.usage is not None else None
        worth = rest.worth(counts) if counts is not None else rest.mean
        if worth is None or worth <= 0 or (counts is not None and rest.vector is not None and not rest.holds(counts)):
            continue
        down = next((each for each in around.outages if each.from_ms <= seen.at_ms < each.until_ms), None)
        cause = Cause.BYPASS_ON_DEVICE if down is None else Cause.CAPTURE_DOWN
        why = seen.why if down is None else f"{down.why or 'the gate was down'} on {down.machine or 'every machine'}"
        told = f"{seen.witness} has {seen.response_id or seen.request_id or 'it'}, the ledger has not"
        rest.take(
            cause, min(worth, rest.nanos) if counts is None else worth, Confidence.EXACT, f"{told}{f': {why}' if why else ''}",
            counts=counts or (), requests=1,
        )  # fmt: skip


def _by_kind(group: Group, rest: Rest, parts: dict[Kind, Part], around: Around, strong: Confidence) -> None:
    """Share what is left between calls without counts and requests that are not there."""
    claimants = _claimants(group, rest, around)
    if not claimants or not rest.nanos:
        return
    own = {Cause.PARSE_MISS: group.kind(Kind.UNREAD).cost, Cause.ESTIMATE: group.kind(Kind.ESTIMATED).cost}
    total = whole(rest.nanos) + sum(own.get(each[0], 0) for each in claimants)
    for (cause, _, number, told, calls), share in zip(
        claimants, shares(total, [each[1] for each in claimants]), strict=True
    ):
        nanos = share - own.get(cause, 0)
        if cause is Cause.UNCAPTURED:
            _absent(group, rest, around, nanos, number)
        elif nanos:
            rest.take(cause, Fraction(nanos), strong, told, calls=tuple(calls))


def _claimants(group: Group, rest: Rest, around: Around) -> list[tuple[Cause, Fraction, int, str, list[str]]]:
    """Cause, what it would usually cost, requests, evidence, ids of calls."""
    unread, estimated, aborted = (group.kind(kind) for kind in (Kind.UNREAD, Kind.ESTIMATED, Kind.ABORTED))
    failed, flagged = group.kind(Kind.FAILED), group.kind(Kind.SUBCALLS)
    mean = rest.mean or Fraction(1)
    missing = rest.requests or 0
    found: list[tuple[Cause, Fraction, int, str, list[str]]] = []
    if unread.calls:
        told = f"{unread.calls} calls are in the ledger without the counts of their answers"
        found.append((Cause.PARSE_MISS, unread.calls * mean, unread.calls, told, unread.ids))
    if estimated.calls:
        told = f"{estimated.calls} calls on a wire without counts are estimated; the bill has the real ones"
        found.append(
            (Cause.ESTIMATE, Fraction(estimated.cost or estimated.calls * mean), estimated.calls, told, estimated.ids)
        )
    short = rest.vector is None or rest.vector[OUTPUT] != 0
    if aborted.calls and short:
        told = f"{aborted.calls} calls broke off before their last counts: what was captured of them is a lower bound"
        found.append(
            (Cause.ABORTED_STREAM, _output_mean(group, rest) * aborted.calls, aborted.calls, told, aborted.ids)
        )
    if flagged.calls and missing <= 0:
        told = f"{flagged.calls} calls had sub-calls (compaction, an advisor) that their own counts leave out"
        found.append((Cause.SUBCALL_TOKENS, flagged.calls * mean, flagged.calls, told, flagged.ids))
    billable = min(max(missing, 0), failed.calls) if rest.nanos > 0 else 0
    if group.key.match == Kind.FAILED.value:
        billable = failed.calls
    if billable:
        told = f"{failed.calls} calls ended with an error and cost nothing here; the bill has {billable} more"
        found.append((Cause.FAILED_BILLED, billable * mean, billable, told, failed.ids))
        missing -= billable
    unseen = min(max(missing, 0), around.unseen) if rest.nanos > 0 else 0
    if unseen:
        told = f"{around.unseen} requests of this key and day went to paths that are not read"
        found.append((Cause.PARSE_MISS, unseen * mean, unseen, told, []))
        missing -= unseen
    if missing > 0 and rest.nanos > 0:
        found.append((Cause.UNCAPTURED, missing * mean, missing, "", []))
    elif not found and rest.nanos > 0 and _is_absent(group):
        found.append((Cause.UNCAPTURED, Fraction(1), 0, "", []))
    elif not found and rest.nanos > 0 and rest.requests == 0 and _is_claude(group) and rest.holds([0] * SIZE):
        told = "as many requests as captured, all of them counted to their end, and more tokens: sub-calls that no answer counts"
        found.append((Cause.SUBCALL_TOKENS, Fraction(1), 0, told, []))
    return found


def _output_mean(group: Group, rest: Rest) -> Fraction:
    counted = group.kind(Kind.COUNTED)
    unit = rest.units[OUTPUT]
    return Fraction(counted.counts[OUTPUT], counted.calls) * unit if counted.calls and unit else Fraction(1)


def _is_absent(group: Group) -> bool:
    """Whether nothing at all was captured of it."""
    return not any(
        part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind is not Kind.DOUBLE
    )


def _is_claude(group: Group) -> bool:
    return group.key.model.startswith(CLAUDE)


def _absent(group: Group, rest: Rest, around: Around, nanos: int, number: int) -> None:
    """Requests on the bill that the ledger has not: why, as far as anything shows it."""
    timed = [each for each in group.buckets if each.billed_nanos is not None] if _is_absent(group) else []
    if (
        timed
        and sum(each.list_nanos if each.list_nanos is not None else each.billed_nanos or 0 for each in timed) == nanos
    ):
        _timed(rest, around, timed)
        return
    ends_ms = group.key.day_ms + DAY_MS
    how_many = f"{number} requests" if number else "use"
    requests = number or None
    if around.presence is not None and not around.presence:
        told = f"{how_many} on a day on which no machine of {group.account.person} was on"
        rest.take(Cause.OTHER_DEVICE, Fraction(nanos), Confidence.RESIDUAL, told, requests=requests)
    elif around.outages:
        told = f"{how_many} more than captured; {_told(around.outages, group.key.day_ms, ends_ms)}"
        rest.take(Cause.CAPTURE_DOWN, Fraction(nanos), Confidence.RESIDUAL, told, requests=requests)
    elif around.scope and _is_absent(group):
        rest.take(
            Cause.SCOPE_KEY, Fraction(nanos), Confidence.RESIDUAL, f"{how_many}; {around.scope}", requests=requests
        )
    else:
        told = f"{how_many}, none of them in the ledger"
        rest.take(Cause.UNCAPTURED, Fraction(nanos), Confidence.RESIDUAL, told, requests=requests)


def _timed(rest: Rest, around: Around, lines: Sequence[Line]) -> None:
    """Each line by its own time."""
    found: dict[tuple[Cause, str], list[Line]] = {}
    for line in lines:
        down = next((each for each in around.outages if _overlaps(each, line)), None)
        on = around.presence is None or any(_overlaps(each, line) for each in around.presence)
        if not on:
            key = (Cause.OTHER_DEVICE, "at times when no machine of this person was on")
        elif down is not None:
            key = (Cause.CAPTURE_DOWN, f"while {down.why or 'the gate was down'} on {down.machine or 'every machine'}")
        elif around.scope:
            key = (Cause.SCOPE_KEY, around.scope)
        else:
            key = (Cause.UNCAPTURED, "none of them in the ledger")
        found.setdefault(key, []).append(line)
    for (cause, why), its in sorted(found.items()):
        nanos = sum(each.list_nanos if each.list_nanos is not None else each.billed_nanos or 0 for each in its)
        number = sum(each.requests if each.requests is not None else 1 for each in its)
        confidence = Confidence.RESIDUAL if cause is Cause.UNCAPTURED else Confidence.EXACT_BUCKET
        rest.take(cause, Fraction(nanos), confidence, f"{number} requests, {why}", requests=number)


def _overlaps(each: Interval, line: Line) -> bool:
    return each.from_ms < max(line.ends_ms, line.starts_ms + 1) and line.starts_ms < each.until_ms


def _told(outages: Sequence[Interval], from_ms: int, until_ms: int) -> str:
    minutes = sum(max(0, min(each.until_ms, until_ms) - max(each.from_ms, from_ms)) for each in outages) // 60_000
    first = outages[0]
    more = f" and {len(outages) - 1} more" if len(outages) > 1 else ""
    return f"{first.why or 'nothing was captured'} on {first.machine or 'every machine'}{more}, {minutes} minutes of the day"


def _over(rest: Rest, parts: dict[Kind, Part], around: Around, strong: Confidence) -> None:
    """Captured, and not on the bill."""
    if rest.nanos >= 0:
        return
    errored = parts[Kind.ERRORED]
    cost = errored.cost
    if cost and (whole(-rest.nanos) >= cost or (rest.requests is not None and -rest.requests == errored.calls)):
        told = f"{errored.calls} calls ended with an error after they were charged; the bill has none of them"
        rest.take(
            Cause.CAPTURED_NOT_BILLED, Fraction(max(-cost, whole(rest.nanos))), strong, told,
            calls=tuple(errored.ids), requests=-errored.calls,
        )  # fmt: skip
    if rest.nanos < 0 and around.young:
        told = "captured, and the provider's data for this day were younger than its own delay when they were read"
        rest.take(Cause.LATE_DATA, rest.nanos, Confidence.RESIDUAL, told, requests=rest.requests)
