"""Every cause of the taxonomy, each in the ways in which it comes; one at a time, or many together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from reconcile.simulator import causes_counts as counts
from reconcile.simulator import causes_money as money
from reconcile.simulator import causes_scope as scope
from reconcile.simulator.month import Month, make
from reconcile.simulator.traffic import Size
from spendgate.reconcile.result import Cause

Inject = Callable[[Month], None]

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
    Cause.CUTOFF: (counts.past_midnight, counts.past_both_midnights),
    Cause.ESTIMATE: (counts.estimated,),
    Cause.DISCOUNT: (money.contract,),
    Cause.CREDIT_COMMIT: (money.promotion,),
    Cause.NON_TOKEN_FEE: (money.other_fees,),
    Cause.FX_ROUNDING: (money.whole_hundredths,),
}
"""In the order in which a mixture takes them: prices, then what needs whole days or hours of a person, then single requests."""


ALL: Final = tuple((cause, inject) for cause, ways in WAYS.items() for inject in ways)
"""Each way of each cause, in the same order."""


def month_with(seed: int, size: Size, injected: Iterable[Inject]) -> Month:
    """A month with these, in the order of `ALL`."""
    month, wanted = make(seed, size), set(injected)
    for _, inject in ALL:
        if inject in wanted:
            inject(month)
    return month


def mixed(seed: int, size: Size) -> Month:
    """A month with every cause in every way at once."""
    return month_with(seed, size, [inject for _, inject in ALL])
