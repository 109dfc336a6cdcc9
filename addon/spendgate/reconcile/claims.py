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
from msgspec.structs import replace

from spendgate.reconcile.absence import Piece, Reason, Times, pieces, why, why_somewhen
from spendgate.reconcile.decompose import Split
from spendgate.reconcile.facts import Witnessed
from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.moments import Pairs, listed, pairs
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import OUTPUT, SEARCHES, SIZE, WRITES, add, counts_of, shares, whole, zeros
from spendgate.statement import Billed

CLAUDE: Final = ("claude",)
NO_TIMES: Final = Times()


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
    times: Times = NO_TIMES
    gateway: tuple[tuple[tuple[int, ...], int], ...] = ()
    """Tokens and requests of rows of a gateway that no call of the ledger is."""
    enumerated: bool = False
    """The bill names every request of this day by id."""
    young: bool = False
    """The provider may still be adding to this day."""
    unseen: int = 0
    """Requests of this account and day at paths that are not known."""
    moved: tuple[tuple[Fraction, tuple[int, ...], int, str], ...] = ()
    """Calls near midnight that the bill has on the other day: nano-dollars, tokens, requests (below zero: billed elsewhere)."""


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
    paired = pairs(group)
    if paired is not None:
        _by_moment(paired, rest, around)
        return rest.claims
    _notional(group, rest)
    _subcalls(rest, around)
    _witnessed(rest, around)
    _gateway(rest, around)
    _written_longer(rest, sum(part.assumed for part in parts.values()))
    _at_their_price(rest)
    _searches(rest)
    _by_kind(group, rest, parts, around, strong)
    _over(rest, parts, around, strong, group.key.match)
    return rest.claims


def _by_moment(paired: Pairs, rest: Rest, around: Around) -> None:
    """Requests that the bill tells one by one, beside calls that are estimated."""
    sure = Confidence.EXACT_BUCKET
    for billed, cause in (
        (Billed.INCLUDED, Cause.SUBSCRIPTION_INCLUDED), (Billed.NOT_CHARGED, Cause.CAPTURED_NOT_BILLED),
        (Billed.ELSEWHERE, Cause.CAPTURED_NOT_BILLED),
    ):  # fmt: skip
        its = paired.of(billed)
        cost = sum(part.cost for _, part in its)
        rest.take(
            cause,
            Fraction(-cost),
            sure,
            f"the bill lists {len(its)} requests, at these calls' times, as {billed.value}",
        )
    metered = paired.of(Billed.METERED)
    off = sum(listed(line) - part.cost for line, part in metered)
    told = f"{len(metered)} calls on a wire without counts are estimated; the bill has each at its time"
    rest.take(Cause.ESTIMATE, Fraction(off), sure, told)
    for line in paired.lines:
        piece = Piece(line.starts_ms, max(line.ends_ms, line.starts_ms + 1), Fraction(listed(line)), 1)
        reason = why(piece, around.times)
        rest.take(reason.cause, piece.nanos, reason.confidence, f"1 request, {reason.told}", requests=1)
    cost = sum(part.cost for part in paired.calls)
    cause, when = (Cause.LATE_DATA, "yet") if around.young else (Cause.CAPTURED_NOT_BILLED, "at their times")
    told = f"the bill names each request by its time, and has none of these {len(paired.calls)} calls {when}"
    rest.take(cause, Fraction(-cost), Confidence.RESIDUAL, told)


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
    nameless = sum(not (seen.response_id or seen.request_id) for seen in around.missing)
    sure = rest.requests is not None and nameless <= rest.requests
    for seen in around.missing:
        named = seen.response_id or seen.request_id
        if not named and (not sure or seen.usage is None):
            continue  # the ledger may have it: only as many as are missing, with counts that fit, can be among these
        if rest.requests is not None and rest.requests <= 0:
            return
        counts = counts_of(seen.usage) if seen.usage is not None else None
        worth = rest.worth(counts) if counts is not None else rest.mean
        if worth is None or worth <= 0 or (counts is not None and rest.vector is not None and not rest.holds(counts)):
            continue
        down = next((each for each in around.times.outages if each.from_ms <= seen.at_ms < each.until_ms), None)
        cause = Cause.BYPASS_ON_DEVICE if down is None else Cause.CAPTURE_DOWN
        why = seen.why if down is None else f"{down.why or 'the gate was down'} on {down.machine or 'every machine'}"
        told = f"{seen.witness} has {named or 'a request with these counts'}, the ledger has not"
        rest.take(
            cause, min(worth, rest.nanos) if counts is None else worth,
            Confidence.EXACT if named else Confidence.RESIDUAL, f"{told}{f': {why}' if why else ''}",
            counts=counts or (), requests=1,
        )  # fmt: skip


def _at_their_price(rest: Rest) -> None:
    """Where all that differs is claimed by its counts, the rest of the money is theirs: of a tier that no witness tells."""
    if rest.requests or rest.vector is None or any(rest.vector) or not rest.nanos:
        return
    for at, claim in reversed(list(enumerate(rest.claims))):
        if claim.cause in (Cause.BYPASS_ON_DEVICE, Cause.CAPTURE_DOWN, Cause.GATEWAY_LEG, Cause.PRICE_MULTIPLIER):
            rest.claims[at] = replace(claim, nanos=claim.nanos + whole(rest.nanos))
            rest.nanos -= whole(rest.nanos)
            return


def _gateway(rest: Rest, around: Around) -> None:
    """What a gateway says it asked for, where the bill has it and the ledger has not."""
    for counts, requests in around.gateway:
        worth = rest.worth(counts)
        if worth and rest.holds(counts) and (rest.requests is None or rest.requests >= requests):
            told = f"{requests} requests are in the gateway's own ledger"
            rest.take(Cause.GATEWAY_LEG, worth, Confidence.RESIDUAL, told, counts=counts, requests=requests)


def _written_longer(rest: Rest, assumed: int) -> None:
    """Writes that are billed for an hour and were captured as of five minutes, or the other way round."""
    if rest.vector is None:
        return
    five, hour = rest.vector[WRITES[0]], rest.vector[WRITES[1]]
    moved = min(hour, max(-five, assumed)) if hour > 0 else -min(-hour, five) if five > 0 > hour else 0
    if not moved or (not assumed and not min(five, hour) < 0 < max(five, hour)):
        return
    counts = zeros()
    counts[WRITES[0]], counts[WRITES[1]] = -moved, moved
    worth = rest.worth(counts)
    if worth:
        longer, taken = ("an hour", "five minutes") if moved > 0 else ("five minutes", "an hour")
        told = f"{abs(moved)} tokens written to a cache for {longer}, which the ledger took for {taken}"
        rest.take(Cause.PRICE_MULTIPLIER, worth, Confidence.RESIDUAL, told, counts=counts)


def _searches(rest: Rest) -> None:
    """Searches of the web beside tokens and requests that are all there: no call of the ledger counts what they cost."""
    if rest.vector is None or rest.requests or any(rest.vector[:SEARCHES]) or rest.vector[SEARCHES] <= 0:
        return
    counts = [*zeros()[:SEARCHES], rest.vector[SEARCHES]]
    worth = rest.worth(counts)
    if worth:
        told = f"{rest.vector[SEARCHES]} web searches that no call of the ledger counts"
        rest.take(Cause.NON_TOKEN_FEE, worth, Confidence.RESIDUAL, told, counts=counts)


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
    mean = rest.mean or _billed_mean(group)
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
    if group.key.match in (Kind.FAILED.value, Kind.NOT_TAKEN.value):
        failed = group.kind(Kind(group.key.match))
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
    elif not found and rest.nanos > 0 and rest.requests == 0 and _is_claude(group) and _only_more(rest):
        told = "as many requests as captured, all of them counted to their end, and more tokens: sub-calls that no answer counts"
        found.append((Cause.SUBCALL_TOKENS, Fraction(1), 0, told, []))
    return found


def _only_more(rest: Rest) -> bool:
    """More tokens of some class and fewer of none."""
    return rest.vector is not None and any(rest.vector) and rest.holds([0] * SIZE)


def _billed_mean(group: Group) -> Fraction:
    """What a billed request costs: the measure where no captured one tells."""
    return Fraction(group.listed, group.requests) if group.requests and group.listed > 0 else Fraction(1)


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
    left, count = nanos, number
    found: dict[Reason, list[Piece]] = {}
    for each in pieces(group, rest.worth):
        if whole(each.nanos) <= left:
            left -= whole(each.nanos)
            count -= each.requests
            found.setdefault(why(each, around.times), []).append(each)
    for reason, its in sorted(found.items(), key=lambda pair: (pair[0].cause, pair[0].told)):
        requests = sum(each.requests for each in its)
        total = sum(whole(each.nanos) for each in its)
        counts = zeros()
        for each in its:
            add(counts, each.counts or zeros())
        rest.take(
            reason.cause,
            Fraction(total),
            reason.confidence,
            f"{requests} requests, {reason.told}",
            counts=counts,
            requests=requests,
        )
    if left > 0:
        reason = why_somewhen(group.key.day_ms, around.times, absent=_is_absent(group))
        how_many = f"{count} requests" if count > 0 else "use"
        rest.take(
            reason.cause,
            Fraction(left),
            reason.confidence,
            f"{how_many}, {reason.told}",
            requests=max(count, 0) or None,
        )


def _over(rest: Rest, parts: dict[Kind, Part], around: Around, strong: Confidence, group_match: str) -> None:
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
    if rest.nanos < 0 and around.enumerated and not around.young and not group_match:
        told = "the bill names each request of the day by its id, and these are not among them"
        ids = tuple(each for part in parts.values() for each in part.ids)
        rest.take(Cause.CAPTURED_NOT_BILLED, rest.nanos, Confidence.EXACT, told, requests=rest.requests, calls=ids)
    if rest.nanos < 0 and not around.young and rest.requests is not None and rest.requests < 0:
        told = (
            f"{-rest.requests} calls of the ledger are not on the bill, and the provider's delay for this day is over"
        )
        rest.take(Cause.CAPTURED_NOT_BILLED, rest.nanos, Confidence.RESIDUAL, told, requests=rest.requests)
    if rest.nanos < 0 and around.young:
        told = "captured, and the provider's data for this day were younger than its own delay when they were read"
        rest.take(Cause.LATE_DATA, rest.nanos, Confidence.RESIDUAL, told, requests=rest.requests)
