"""Every cause of the taxonomy, each in the ways in which it comes; one at a time, or many together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reconcile.simulator import causes_counts as counts
from reconcile.simulator import causes_money as money
from reconcile.simulator import causes_scope as scope
from reconcile.simulator.month import Month, Size, make
from spendgate.reconcile.result import Cause

Inject = Callable[[Month], None]

PRICES_FIRST: Final = frozenset({Cause.PRICE_LIST, Cause.PRICE_MULTIPLIER, Cause.PRICE_CHANGE_MIDPERIOD})
"""What changes a price changes it for every request, also for those that another cause then takes."""

WAYS: Final[dict[Cause, tuple[Inject, ...]]] = {
    Cause.PRICE_LIST: (money.other_cache_price, money.dearer_model),
    Cause.PRICE_CHANGE_MIDPERIOD: (money.cheaper_from_a_day_on,),
    Cause.PRICE_MULTIPLIER: (money.in_the_us, money.in_batch, money.in_fast_mode, money.kept_for_an_hour),
    Cause.OTHER_DEVICE: (scope.on_weekend, scope.day_elsewhere),
    Cause.CAPTURE_DOWN: (scope.gate_down,),
    Cause.LATE_DATA: (counts.not_yet_there,),
    Cause.REVISION: (counts.told_anew,),
    Cause.SCOPE_KEY: (scope.known_elsewhere, scope.unheard_of_key),
    Cause.SCOPE_PRODUCT: (scope.other_products,),
    Cause.SCOPE_KEYLESS: (scope.without_key,),
    Cause.GATEWAY_LEG: (scope.through_gateway,),
    Cause.BYPASS_ON_DEVICE: (scope.around_the_gate, scope.around_the_gate_without_ids),
    Cause.UNCAPTURED: (scope.nobody_knows,),
    Cause.PARSE_MISS: (counts.no_counts,),
    Cause.SUBCALL_TOKENS: (counts.compaction,),
    Cause.ABORTED_STREAM: (counts.client_gone,),
    Cause.FAILED_BILLED: (counts.error_after_work, counts.cancelled_and_billed),
    Cause.CAPTURED_NOT_BILLED: (counts.forgiven, counts.named_not_charged),
    Cause.RETRY_DUP: (counts.counted_twice,),
    Cause.UNPRICED_MODEL: (money.unheard_of_model,),
    Cause.SUBSCRIPTION_INCLUDED: (counts.plan_pays,),
    Cause.CUTOFF: (counts.past_midnight,),
    Cause.ESTIMATE: (counts.estimated,),
    Cause.DISCOUNT: (money.contract,),
    Cause.CREDIT_COMMIT: (money.promotion,),
    Cause.NON_TOKEN_FEE: (money.other_fees,),
    Cause.FX_ROUNDING: (money.whole_hundredths,),
}
"""In the order in which a mixture takes them: prices, then what needs whole days or hours of a person, then single requests."""


def single(seed: int, size: Size, inject: Inject) -> Month:
    """A month with one cause, in one way."""
    month = make(seed, size)
    inject(month)
    return month


def mixed(seed: int, size: Size, causes: tuple[Cause, ...] = tuple(WAYS)) -> Month:
    """A month with all of these causes, each in every way that it comes."""
    month = make(seed, size)
    for cause, ways in WAYS.items():
        if cause in causes:
            for inject in ways:
                inject(month)
    return month


def some_of(seed: int, size: Size) -> Month:
    """A month with any few of them, one way each."""
    month = make(seed, size)
    for ways in WAYS.values():
        if month.rng.random() < 0.25:
            month.rng.choice(ways)(month)
    return month
