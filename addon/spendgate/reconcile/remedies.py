"""What each cause means and what to do next about it, in a sentence each; and about what no cause explains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spendgate.reconcile.result import Cause, Finding
from spendgate.reconcile.witnesses.evidence import PROVIDERS

MEANINGS: Final = {
    Cause.LATE_DATA: "captured; the provider had not told it yet when its data were read",
    Cause.CUTOFF: "calls around midnight (UTC) that the bill has on the other day",
    Cause.REVISION: "a newer import has another sum of the day than an earlier one had",
    Cause.SCOPE_KEY: "billed under a key that is used where no gate is",
    Cause.SCOPE_PRODUCT: "billed for a product that runs at the provider and passes no gate",
    Cause.SCOPE_KEYLESS: "billed without a key, as the use of a console is",
    Cause.GATEWAY_LEG: "calls through a gateway, whose own key is billed for them",
    Cause.OTHER_DEVICE: "billed for a time at which no captured machine of the person was on",
    Cause.BYPASS_ON_DEVICE: "made on a captured machine, around its gate",
    Cause.CAPTURE_DOWN: "billed for a time at which the gate was down, or none ran",
    Cause.UNCAPTURED: "billed, and in no call of the ledger; nothing shows why",
    Cause.PARSE_MISS: "captured, but the answer's counts could not be read",
    Cause.SUBCALL_TOKENS: "tokens of sub-calls that the answers' own counts leave out",
    Cause.ABORTED_STREAM: "answers that broke off: the provider counted more of them than the gate saw",
    Cause.FAILED_BILLED: "calls that failed, and that the provider bills all the same",
    Cause.CAPTURED_NOT_BILLED: "captured, and not on the bill",
    Cause.RETRY_DUP: "one response that the ledger has twice",
    Cause.PRICE_LIST: "billed at another price than the ledger's list has",
    Cause.PRICE_MULTIPLIER: "billed at the price of another tier, speed or place than was captured",
    Cause.PRICE_CHANGE_MIDPERIOD: "a price that changed within the period",
    Cause.UNPRICED_MODEL: "calls of a model that the ledger's price list does not have",
    Cause.DISCOUNT: "billed below list price",
    Cause.CREDIT_COMMIT: "paid by a credit, a commitment or a pool",
    Cause.SUBSCRIPTION_INCLUDED: "paid by a plan: seats on the bill, or calls that are not on it",
    Cause.NON_TOKEN_FEE: "billed for other things than tokens",
    Cause.ESTIMATE: "calls whose wire shows no counts: the ledger has an estimate of them",
    Cause.FX_ROUNDING: "rounding of last digits",
}  # fmt: skip
UNEXPLAINED: Final = "what no cause shows"
REMEDIES: Final = {
    Cause.LATE_DATA: "import this day again once the provider's delay is over",
    Cause.CUTOFF: "nothing: the two days cancel out",
    Cause.REVISION: "import the day anew where the newer download was of a part of it; else ask the provider why it was changed",
    Cause.SCOPE_KEY: "nothing where `--map` has it; else say there whose it is (its person, or `role: elsewhere`), or revoke it",
    Cause.SCOPE_PRODUCT: "budget it where it is bought: it never passes a laptop",
    Cause.SCOPE_KEYLESS: "limit who may use the provider's console, or budget it there",
    Cause.GATEWAY_LEG: "its own log has who spent it; import it, where it is none of the inputs (`spendgate reconcile import`)",
    Cause.OTHER_DEVICE: "ask the person which machine it was; revoke the key if they do not know",
    Cause.BYPASS_ON_DEVICE: "run `spendgate status` on that machine, and start the tool anew: older processes go around it",
    Cause.CAPTURE_DOWN: "look at that machine's audit trail (`spendgate audit list`) for why no gate ran; run it as a service",
    Cause.UNCAPTURED: "run `spendgate reconcile witness` where the key is used: a tool's log names what went around;"
    " an SDK writes no log: look up in the provider's console who used the key, and run that program with `spendgate exec`",
    Cause.PARSE_MISS: "tell Spendgate's makers their flags (`spendgate calls show ID`): a reader does not know such answers",
    Cause.SUBCALL_TOKENS: "update Spendgate: a newer reader may count these sub-calls",
    Cause.ABORTED_STREAM: "nothing: the provider counted what the client no longer waited for",
    Cause.FAILED_BILLED: "ask the provider about these requests (`spendgate calls show ID` has the provider's own ids)",
    Cause.CAPTURED_NOT_BILLED: "nothing to pay; budgets have counted it",
    Cause.RETRY_DUP: "tell Spendgate's makers (`spendgate calls show ID`): one response has two rows",
    Cause.PRICE_LIST: "set the price in the policy (`pricing.adjust`), or have the list updated (`pricing.updates`)",
    Cause.PRICE_MULTIPLIER: "tell Spendgate's makers (`spendgate calls show ID`): their tier, speed or place was not seen",
    Cause.PRICE_CHANGE_MIDPERIOD: "have the list updated (`pricing.updates`); until then set the dated price in `pricing.adjust`",
    Cause.UNPRICED_MODEL: "set the model's price in the policy (`pricing.adjust`)",
    Cause.DISCOUNT: "write the contract's discount into the policy (`pricing.adjust`), so that budgets count it",
    Cause.CREDIT_COMMIT: "nothing: a commitment or credit pays",
    Cause.SUBSCRIPTION_INCLUDED: "name the plan in the policy (`billing.seats`)",
    Cause.NON_TOKEN_FEE: "nothing of calls: it is bought apart",
    Cause.ESTIMATE: "nothing of past calls: their wire shows no counts; `spendgate reconcile calibrate --write` mends later ones",
    Cause.FX_ROUNDING: "nothing",
}  # fmt: skip
CONSOLES: Final = {
    "anthropic": "the Claude Console (Usage, Cost)",
    "openai": "the usage page of platform.openai.com",
    "chatgpt": "the workspace's billing page",
    "cursor": "cursor.com/dashboard (Usage)",
    "github-copilot": "GitHub's Billing and licensing (Usage)",
    "openrouter": "openrouter.ai/activity",
    "aws": "AWS Cost Explorer",
    "google": "Cloud Billing's reports",
    "vertex": "Cloud Billing's reports",
    "azure": "Azure's Cost analysis",
}
"""Where people look up what a provider has counted, by its name."""
_SHOW: Final = "`spendgate calls show ID`"


def remedy(cause: Cause, findings: Iterable[Finding]) -> str:
    """What to do about a cause, with the first call that it rests on, where the findings name any."""
    findings = tuple(findings)
    whose = {finding.provider for finding in findings}
    if cause is Cause.UNCAPTURED and whose and whose.isdisjoint(PROVIDERS):
        where = " and ".join(console(each) for each in sorted(whose))
        return f"no session log has such requests: look up in {where} who made them, and run `spendgate doctor` on their machine"
    first = next((each for finding in findings for each in finding.calls), None)
    return REMEDIES[cause] if first is None else REMEDIES[cause].replace(_SHOW, f"`spendgate calls show {first}`")


def console(provider: str) -> str:
    """Where to see what the provider itself has counted."""
    return CONSOLES.get(provider, f"the console of {provider}")


def compare_below(providers: Iterable[str], uncounted: str | None, elsewhere: str | None, *, calls: bool) -> str:
    """What to do about the unexplained of one day and key, whose lines and calls are there. `uncounted`: one of them without the
    provider's own counts; `elsewhere`: a call of another day that a finding rests on."""
    where = " and ".join(console(each) for each in sorted(set(providers)))
    if not calls and elsewhere is None:
        return f"no call is here to compare with: look up in {where} who used what the lines below have"
    named = "have no counts of the provider's" if uncounted else "the findings name"
    first = f"begin with calls that {named} (`spendgate calls show {uncounted or elsewhere}`); "
    compare = "add up lines and calls by model and class of tokens"
    return f"{first if uncounted or elsewhere else ''}{compare}, and look up in {where} what is off"
