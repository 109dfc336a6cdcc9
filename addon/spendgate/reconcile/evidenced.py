"""Claims with evidence of their own: the bill lists a request and does not charge it, a witness or a gateway has it, its moment
fits one call, or its counts fit the rest token for token. They are taken whole, before anything is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from spendgate.plural import counted
from spendgate.reconcile.absence import Piece, why
from spendgate.reconcile.groups import Group
from spendgate.reconcile.moments import Pairs, listed
from spendgate.reconcile.rest import Around, Rest
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import ANY_WRITE, SEARCHES, SIZE, WRITES, counts_of, whole, zeros
from spendgate.statement import Billed

_BY_COUNTS: Final = (
    Cause.BYPASS_ON_DEVICE, Cause.UNCAPTURED, Cause.CAPTURE_DOWN, Cause.GATEWAY_LEG, Cause.PRICE_MULTIPLIER,
)  # fmt: skip


def by_moment(paired: Pairs, rest: Rest, around: Around) -> None:
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
            f"the bill lists {counted(len(its), 'request')}, at these calls' times, as {billed.value}",
        )
    metered = paired.of(Billed.METERED)
    off = sum(listed(line) - part.cost for line, part in metered)
    told = f"estimated, since the wire shows no counts: {counted(len(metered), 'call')}; the bill has each at its time"
    rest.take(Cause.ESTIMATE, Fraction(off), sure, told)
    for line in paired.lines:
        piece = Piece(line.starts_ms, max(line.ends_ms, line.starts_ms + 1), Fraction(listed(line)), 1)
        reason = why(piece, around.times)
        rest.take(reason.cause, piece.nanos, reason.confidence, f"1 request, {reason.told}", requests=1)
    cost = sum(part.cost for part in paired.calls)
    cause, when = (Cause.LATE_DATA, "yet") if around.young else (Cause.CAPTURED_NOT_BILLED, "at their times")
    told = f"the bill names each request by its time, and has none of {counted(len(paired.calls), 'call')} {when}"
    rest.take(cause, Fraction(-cost), Confidence.RESIDUAL, told)


def notional_use(group: Group, rest: Rest) -> None:
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
        told = f"the bill lists {counted(notional.requests, 'request') if notional.requests else 'its use'} as {billed.value}"
        rest.take(cause, nanos, Confidence.EXACT if group.key.match else Confidence.RESIDUAL, told, counts=counts)
        if rest.requests is not None:
            rest.requests += notional.requests


def subcalls_seen(rest: Rest, around: Around) -> None:
    for seen, call in around.subcalls:
        counts = counts_of(seen.subcalls) if seen.subcalls else [0] * SIZE
        worth = rest.worth(counts, call.prices)
        if worth and rest.holds(counts):
            told = f"{seen.witness} shows sub-calls of {seen.response_id or seen.request_id} beside its own counts"
            rest.take(Cause.SUBCALL_TOKENS, worth, Confidence.EXACT, told, counts=counts, calls=(call.id,))


def witnessed(rest: Rest, around: Around) -> None:
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
        around_it = Cause.UNCAPTURED if seen.untold else Cause.BYPASS_ON_DEVICE
        cause = Cause.CAPTURE_DOWN if down is not None or seen.gateless else around_it
        why = seen.why if down is None else f"{down.why or 'the gate was down'} on {down.machine or 'every machine'}"
        told = f"{seen.witness} has {named or 'a request with these counts'}, the ledger has not"
        rest.take(
            cause, min(worth, rest.nanos) if counts is None else worth,
            Confidence.EXACT if named else Confidence.RESIDUAL, f"{told}{f': {why}' if why else ''}",
            counts=counts or (), requests=1,
        )  # fmt: skip


def at_their_price(rest: Rest) -> None:
    """Where all that differs is claimed by its counts, the rest of the money is theirs: of a tier that no witness tells."""
    if rest.requests or rest.vector is None or any(rest.vector) or not rest.nanos:
        return
    for at, claim in reversed(list(enumerate(rest.claims))):
        if claim.cause in _BY_COUNTS:
            rest.claims[at] = replace(claim, nanos=claim.nanos + whole(rest.nanos))
            rest.nanos -= whole(rest.nanos)
            return


def through_gateway(rest: Rest, around: Around) -> None:
    """What a gateway says it asked for, where the bill has it and the ledger has not."""
    for row in around.gateway:
        counts, requests = _as_billed(row[0], rest), row[1]
        worth = rest.worth(counts)
        if worth and rest.holds(counts) and (rest.requests is None or rest.requests >= requests):
            told = f"in the gateway's own ledger: {counted(requests, 'request')}"
            rest.take(Cause.GATEWAY_LEG, worth, Confidence.RESIDUAL, told, counts=counts, requests=requests)
            around.gateway.claim(row)


def _as_billed(counts: Sequence[int], rest: Rest) -> list[int]:
    """A row's counts by the bill's own classes: a gateway that does not say for how long it wrote to a cache, beside a bill that
    does. As of five minutes where that fits, which is what is written without a word."""
    found = list(counts)
    untold = found[ANY_WRITE]
    if not untold or rest.vector is None or rest.vector[ANY_WRITE] >= untold:
        return found
    place = next((each for each in WRITES[:2] if rest.vector[each] >= found[each] + untold), None)
    if place is not None:
        found[ANY_WRITE], found[place] = 0, found[place] + untold
    return found


def written_longer(rest: Rest, assumed: int) -> None:
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
        told = f"{counted(abs(moved), 'token')} written to a cache for {longer}, which the ledger took for {taken}"
        rest.take(Cause.PRICE_MULTIPLIER, worth, Confidence.RESIDUAL, told, counts=counts)


def searches(rest: Rest) -> None:
    """Searches of the web beside tokens and requests that are all there: no call of the ledger counts what they cost."""
    if rest.vector is None or rest.requests or any(rest.vector[:SEARCHES]) or rest.vector[SEARCHES] <= 0:
        return
    counts = [*zeros()[:SEARCHES], rest.vector[SEARCHES]]
    worth = rest.worth(counts)
    if worth:
        told = f"{rest.vector[SEARCHES]} web searches that no call of the ledger counts"
        rest.take(Cause.NON_TOKEN_FEE, worth, Confidence.RESIDUAL, told, counts=counts)
