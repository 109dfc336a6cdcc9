"""What to do next about each cause, in one sentence."""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.result import Cause

REMEDIES: Final = {
    Cause.LATE_DATA: "import this day again once the provider's delay is over",
    Cause.CUTOFF: "nothing: the two days cancel out",
    Cause.REVISION: "ask the provider why the day was changed after it was closed; both imports are kept",
    Cause.SCOPE_KEY: "name the key's owner in the registry, or revoke it",
    Cause.SCOPE_PRODUCT: "budget it where it is bought: it never passes a laptop",
    Cause.SCOPE_KEYLESS: "limit who may use the provider's console, or budget it there",
    Cause.GATEWAY_LEG: "import the gateway's own ledger to see who spent it",
    Cause.OTHER_DEVICE: "ask the person which machine it was; revoke the key if they do not know",
    Cause.BYPASS_ON_DEVICE: "run `spendgate status` on that machine, and start the tool anew: older processes go around it",
    Cause.CAPTURE_DOWN: "look at that machine's audit trail (`spendgate audit list`) for why the gate was down",
    Cause.UNCAPTURED: "import minute buckets or a session log of these days: they show when, and by what",
    Cause.PARSE_MISS: "report the calls' flags (`spendgate calls show ID`): a reader does not know their answers",
    Cause.SUBCALL_TOKENS: "update Spendgate: a newer reader may count these sub-calls",
    Cause.ABORTED_STREAM: "nothing: the provider counted what the client no longer waited for",
    Cause.FAILED_BILLED: "ask the provider about the requests named",
    Cause.CAPTURED_NOT_BILLED: "nothing to pay; budgets have counted it",
    Cause.RETRY_DUP: "report the calls: one response has two rows",
    Cause.PRICE_LIST: "set the price in the policy (`pricing.adjust`), or update the price list",
    Cause.PRICE_MULTIPLIER: "report the calls: their tier, speed or place was not seen",
    Cause.PRICE_CHANGE_MIDPERIOD: "update the price list; set the price with its dates in `pricing.adjust` until then",
    Cause.UNPRICED_MODEL: "set the model's price in the policy (`pricing.adjust`)",
    Cause.DISCOUNT: "write the contract's discount into the policy (`pricing.adjust`), so that budgets count it",
    Cause.CREDIT_COMMIT: "nothing: a commitment or credit pays",
    Cause.SUBSCRIPTION_INCLUDED: "name the plan in the policy (`billing.seats`)",
    Cause.NON_TOKEN_FEE: "nothing of calls: it is bought apart",
    Cause.ESTIMATE: "nothing of past calls: their wire shows no counts; `reconcile calibrate --write` mends later estimates",
    Cause.FX_ROUNDING: "nothing",
}  # fmt: skip
