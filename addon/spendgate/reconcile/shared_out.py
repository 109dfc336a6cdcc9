"""What no evidence claims, shared between calls that were captured without counts and requests that were not captured at all, by
what each would usually cost; and of requests that are absent, why.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from spendgate.plural import counted
from spendgate.reconcile.absence import Piece, Reason, pieces, why, why_somewhen
from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.rest import Around, Rest
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import OUTPUT, SIZE, add, shares, whole, zeros

CLAUDE: Final = ("claude",)


def by_kind(group: Group, rest: Rest, parts: dict[Kind, Part], around: Around, strong: Confidence) -> None:
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
        told = f"in the ledger without the counts of the answer: {counted(unread.calls, 'call')}"
        found.append((Cause.PARSE_MISS, unread.calls * mean, unread.calls, told, unread.ids))
    if estimated.calls:
        told = (
            f"estimated, since the wire shows no counts: {counted(estimated.calls, 'call')}; the bill has the real ones"
        )
        found.append(
            (Cause.ESTIMATE, Fraction(estimated.cost or estimated.calls * mean), estimated.calls, told, estimated.ids)
        )
    short = rest.vector is None or rest.vector[OUTPUT] != 0
    if aborted.calls and short:
        told = f"{counted(aborted.calls, 'call')} broke off before the last counts: what was captured is a lower bound"
        found.append(
            (Cause.ABORTED_STREAM, _output_mean(group, rest) * aborted.calls, aborted.calls, told, aborted.ids)
        )
    if flagged.calls and missing <= 0:
        told = f"{counted(flagged.calls, 'call')} had sub-calls (compaction, an advisor) that no count of theirs has"
        found.append((Cause.SUBCALL_TOKENS, flagged.calls * mean, flagged.calls, told, flagged.ids))
    billable = min(max(missing, 0), failed.calls) if rest.nanos > 0 else 0
    if group.key.match in (Kind.FAILED.value, Kind.NOT_TAKEN.value):
        failed = group.kind(Kind(group.key.match))
        billable = failed.calls
    if billable:
        told = f"{counted(failed.calls, 'call')} failed and cost nothing here; the bill has {counted(billable, 'request')} more"
        found.append((Cause.FAILED_BILLED, billable * mean, billable, told, failed.ids))
        missing -= billable
    unseen = min(max(missing, 0), around.unseen) if rest.nanos > 0 else 0
    if unseen:
        told = f"{counted(around.unseen, 'request')} of this key and day went to paths that are not read"
        found.append((Cause.PARSE_MISS, unseen * mean, unseen, told, []))
        missing -= unseen
    if missing > 0 and rest.nanos > 0:
        found.append((Cause.UNCAPTURED, missing * mean, missing, "", []))
    elif not found and rest.nanos > 0 and (_is_absent(group) or _as_calls_have(group, rest)):
        found.append((Cause.UNCAPTURED, Fraction(1), 0, "", []))
    elif not found and rest.nanos > 0 and rest.requests == 0 and _is_claude(group) and _only_more(rest):
        told = "as many requests as captured, all of them counted to their end, and more tokens: sub-calls that no answer counts"
        found.append((Cause.SUBCALL_TOKENS, Fraction(1), 0, told, []))
    return found


def _only_more(rest: Rest) -> bool:
    """More tokens of some class and fewer of none."""
    return rest.vector is not None and any(rest.vector) and rest.holds([0] * SIZE)


def _as_calls_have(group: Group, rest: Rest) -> bool:
    """Whether counts alone show whole calls: the bill tells no requests, has more tokens of every class that the captured calls
    have, in and out, and fewer of none."""
    if rest.requests is not None or rest.vector is None or not _only_more(rest):
        return False
    ours = group.kind(Kind.COUNTED).counts
    own = all(more > 0 for more, mine in zip(rest.vector, ours, strict=True) if mine)
    return own and rest.vector[OUTPUT] > 0 and any(rest.vector[:OUTPUT])


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
            f"{counted(requests, 'request')}, {reason.told}",
            counts=counts,
            requests=requests,
        )
    if left > 0:
        reason = why_somewhen(group.key.day_ms, around.times, absent=_is_absent(group))
        how_many = counted(count, "request") if count > 0 else "use"
        rest.take(
            reason.cause,
            Fraction(left),
            reason.confidence,
            f"{how_many}, {reason.told}",
            requests=max(count, 0) or None,
        )
