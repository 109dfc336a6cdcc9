"""From what a response used to what it costs: pure, once at the end and as often as asked while it runs.

The provider's own counts are `reported`; what they lack is estimated and says so, and whether it is calibrated. A call that some
budget holds by its ceiling is charged the most it can have cost: that ceiling, or its counted input and all the output it may
have had. Any other one that ended without counts is charged what its kind usually costs, and while that is not known at most its
bound: who hangs up early saves nothing. A hold is no measure of it, since it may be a share of the budget. A missing count is
never a zero, an unknown price never nothing.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from spendgate.gate import accounts, shares
from spendgate.gate.billing import Bill, EstimateUsage, bill, item_of
from spendgate.gate.ending import Ending
from spendgate.gate.overage import FLAG
from spendgate.gate.past import NAMED
from spendgate.ledger.interface import Settlement
from spendgate.model_names import family
from spendgate.pricing import PriceBook
from spendgate.selector import OVERAGE, PLAN
from spendgate.standing import Hold, Scope
from spendgate.usage import Usage
from spendgate.written import written

logger = logging.getLogger(__name__)

UNCOUNTED = "no counts"
"""Flag of a charge for which the provider's answer gave nothing to go by."""
UNSEEN = "output not counted"
"""Flag of a charge for counted input and the most that its output can have cost."""
BACKGROUND = "background"
"""Flag of a call that the provider works off after its answer (Responses `background: true`), which has no counts yet."""

_NO_USAGE = Usage()


Learnable = tuple[Usage, int]
"""The provider's own counts of a whole call, or calibrated ones, and what they cost in nano-dollars, whatever was charged."""


def settled(
    ending: Ending, prices: PriceBook, estimate: EstimateUsage, flags: tuple[str, ...]
) -> tuple[Settlement, Learnable | None]:
    """The end of an admitted call, with the flags it already has; and what it teaches, where the provider counted it.

    Never raises: whatever fails, a call that was sent is charged, and flagged: what was held, under `expected` at most its bound.
    """
    try:
        end, learnable = _settlement(ending, prices, estimate)
    except Exception as fault:
        logger.exception("a call could not be priced: %s", type(fault).__name__)
        end, learnable = _unpriced(ending, type(fault).__name__), None
    return (replace(end, flags=(*flags, *end.flags)) if flags else end), learnable


def _settlement(ending: Ending, prices: PriceBook, estimate: EstimateUsage) -> tuple[Settlement, Learnable | None]:
    if not ending.end.sent:
        return _free(ending, "failed"), None
    ending = _on_its_account(ending)
    reading = ending.reading
    if reading.free:
        if not reading.output_bytes and not any(part.usage.output_tokens for part in reading.parts):
            return _free(ending, ending.state, reading.flags), None
        # Output that was seen is billed, whatever its reader says of the call.
        reading = replace(reading, free=False)
    if reading.overage and ending.asked.terms.billing == PLAN:
        # Its row said `subscription` before anybody knew; what it costs counts all the same.
        counting = ending.asked.terms.metered(OVERAGE)
        since = ending.since.metered(OVERAGE) if ending.since is not None else None
        ending = replace(ending, asked=replace(ending.asked, terms=counting), since=since)
        reading = replace(reading, flags=(*reading.flags, FLAG))
    if reading is not ending.reading:
        ending = replace(ending, reading=reading)
    priced = bill(ending.asked, ending.reading, prices, ending.booked_ms, estimate)
    if _warmed_up(ending, priced):
        return _free(ending, "free", ending.reading.flags), None
    made = _charged(ending, priced, prices)
    # What bills have calibrated is evidence of what such calls need: nothing else ever is, where the wire shows no counts.
    calibrated = priced.factor is not None and made.state == "settled" and priced.factor.flag in made.flags
    return made, (priced.usage, priced.nanos) if priced.reported or calibrated else None


def _on_its_account(ending: Ending) -> Ending:
    """As its answer says whose account it is on, where that matters and was not known when it left."""
    terms, reading = ending.asked.terms, ending.reading
    word, flag = accounts.answered(terms.policy.billing, ending.asked.intent, terms.billing, reading.account)
    if flag is None:
        return ending
    asked, since = ending.asked, ending.since
    if word != terms.billing:
        asked = replace(asked, terms=terms.billed_as(word))
        since = since.billed_as(word) if since is not None else None
    return replace(ending, asked=asked, since=since, reading=replace(reading, flags=(*reading.flags, flag)))


def _warmed_up(ending: Ending, priced: Bill) -> bool:
    """Whether the request asked for no work, and the provider's own counts and price say that there was none."""
    nothing = priced.reported and priced.usage.nothing and not (priced.nanos or ending.reading.stated_cost_nanos)
    return nothing and not ending.asked.intent.ask.generates


def _free(ending: Ending, state: str, flags: tuple[str, ...] = ()) -> Settlement:
    basis = "reported" if state == "settled" else None
    return _settlement_of(ending, state, basis, flags, model=ending.reading.model)


def _unpriced(ending: Ending, fault: str) -> Settlement:
    charges = tuple(
        [
            (scope, nanos if scope.hold is Hold.CEILING else ending.bounded(nanos))
            for scope, nanos in ending.holds
            if scope.rate is None
        ]
    )
    value = max((nanos for _, nanos in charges), default=0)
    return _settlement_of(
        ending, ending.state, "estimated", (f"not priced: {fault}",),
        cost=value if ending.asked.terms.counts else 0, value=value, charges=charges, model=ending.asked.terms.model,
    )  # fmt: skip


def _charged(ending: Ending, priced: Bill, prices: PriceBook) -> Settlement:
    terms, reading = ending.asked.terms, ending.reading
    basis, cost, flags = _basis(ending, priced, prices)
    listed = reading.stated_cost_nanos is not None and any(item.known for item in priced.items)
    # Where nothing was counted, nobody knows its list price: it has the value that it is charged.
    value = 0 if terms.ignored else priced.listed_nanos if listed or cost == priced.nanos else cost
    # On a plan nothing is paid; what `counts: value` budgets count is the list price.
    counted, cost = (cost, cost) if terms.counts else (value, 0)
    return _settlement_of(
        ending, ending.state, basis, (*reading.flags, *flags, *_named(ending, priced)),
        usage=_NO_USAGE if BACKGROUND in flags else priced.usage, cost=cost, value=value,
        charges=shares.charges(ending, priced, counted),
        model=priced.items[-1].model if priced.items else terms.model,
        prices=",".join(dict.fromkeys([item.source for item in priced.items])) or None,
    )  # fmt: skip


def _basis(ending: Ending, priced: Bill, prices: PriceBook) -> tuple[str, int, tuple[str, ...]]:
    """Basis, cost and flags: reported, the provider's own price, the most that is not counted, or an estimate."""
    stated, reading = ending.reading.stated_cost_nanos, ending.reading
    flags = priced.unpriced if all(item.known for item in priced.items) else ("unknown price", *priced.unpriced)
    if stated is not None:
        return "reported", stated, flags
    if priced.reported:
        return "reported", priced.nanos, flags
    counted = any(part.usage.input_tokens is not None for part in reading.parts)
    if ending.size.ceiling_nanos is not None and any(scope.hold is Hold.CEILING for scope, _ in ending.holds):
        if counted:
            return "ceiling", max(_unseen(ending, prices), priced.nanos), (*flags, UNSEEN)
        return "ceiling", max(ending.size.ceiling_nanos, priced.told_nanos), (*flags, *_uncounted(ending))
    if counted or (ending.end.complete and reading.output_bytes and not ending.asked.intent.ask.background):
        cost = priced.nanos if counted else _possible(ending, priced)
        return "estimated", cost, (*flags, priced.factor.flag) if priced.factor is not None else flags
    cost = max(_usual(ending), _possible(ending, priced))
    return "ceiling" if cost == ending.size.ceiling_nanos else "estimated", cost, (*flags, *_uncounted(ending))


def _uncounted(ending: Ending) -> tuple[str, ...]:
    return (UNCOUNTED, BACKGROUND) if ending.asked.intent.ask.background else (UNCOUNTED,)


def _possible(ending: Ending, priced: Bill) -> int:
    """An estimate of a call whose input was not counted, in nano-dollars: no more than the call can cost, nor less than what its
    provider did count. Input that came after the call was decided is in no bound, and a call that no budget counts has none."""
    ceiling = None if ending.reading.input_bytes else ending.size.ceiling_nanos
    return min(priced.nanos, max(ceiling, priced.told_nanos)) if ceiling else priced.nanos


def _unseen(ending: Ending, prices: PriceBook) -> int:
    """The most that a call can have cost whose input was counted, in nano-dollars: no more than its ceiling.

    A provider may bill reasoning that it never shows, so that what was streamed bounds nothing.
    """
    asked, reading, size = ending.asked, ending.reading, ending.size
    *whole, last = reading.parts
    usage = replace(last.usage, output_tokens=0, reasoning_tokens=None, output_audio_tokens=None)
    parts = (*whole, replace(last, usage=usage))
    known = sum([item_of(asked, part, reading, prices, ending.booked_ms).nanos for part in parts])
    ceiling = size.ceiling_nanos or 0
    return ceiling if size.output_most_nanos is None else min(ceiling, known + size.output_most_nanos)


def _usual(ending: Ending) -> int:
    """What a call costs of which nothing was seen, in nano-dollars: the median of its kind, else at most its bound.

    A median that others or too few calls have taught charges no more than the bound and the hold. In the background the
    provider goes on in full, whoever hangs up: less than its hold, as far as its bound goes, is no safe guess.
    """
    usual, held = ending.size.usual_nanos, ending.held_nanos
    if usual is None:
        usual = min(ending.size.uncounted_nanos or 0, held)
    return max(usual, ending.bounded(held)) if ending.asked.intent.ask.background else usual


def _named(ending: Ending, priced: Bill) -> tuple[str, ...]:
    """Its flag where another model answered that the request names: no row has those names, and filling must tell."""
    terms = ending.asked.terms
    if not terms.others or not priced.items:
        return ()
    answered = family(priced.items[-1].model or "")
    others = [each.names[-1:] for each in terms.others]
    return (NAMED,) if terms.facts.names[-1:] != (answered,) and (answered,) in others else ()


def _settlement_of(
    ending: Ending, state: str, basis: str | None, flags: tuple[str, ...], *, model: str | None, usage: Usage = _NO_USAGE,
    cost: int = 0, value: int = 0, charges: tuple[tuple[Scope, int], ...] = (), prices: str | None = None,
) -> Settlement:  # fmt: skip
    """What the wire showed of the end, with what it costs: nothing unless told."""
    end, reading, ignored = ending.end, ending.reading, ending.asked.terms.ignored
    return Settlement(
        state=state,
        basis=basis,
        usage=usage,
        cost_nanos=cost,
        value_nanos=value,
        charges=charges,
        ended_ms=end.ended_ms,
        model=written(model),
        http_status=end.http_status,
        first_byte_ms=end.first_byte_ms,
        duration_ms=end.duration_ms,
        request_id=None if ignored else written(reading.request_id),
        response_id=None if ignored else written(reading.response_id),
        account=None if ignored else written(reading.account),
        response_bytes=end.response_bytes,
        sent=end.sent,
        prices=prices,
        flags=(*flags, f"ended by {end.error}") if end.error else flags,
    )
