"""Whose account a call is on, where the policy lists the company's own (`billing.accounts`): known from the request, or learned.

Most requests name no account; most answers do. So the first call with a key leaves before anybody knows: what its answer says
decides what it is charged, and from then on the key stands for the account, until this gate ends. A request may claim any
account in a header; what answers have said of its key goes before that, and a claim alone frees no call from its hold.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from spendgate.admission import RefusalKind, Refuse
from spendgate.attribution import BESIDE
from spendgate.contracts import GATEWAY, PERSONAL_RULE, Billing
from spendgate.gate.interface import Intent
from spendgate.providers.reading import Reading
from spendgate.selector import PERSONAL

FLAG: Final = "personal account"
"""Flag of a call whose answer named an account that is not the company's, and whose row does not say `personal`."""
OWN: Final = "the company's account"
"""Flag of a call whose row says `personal` and whose answer named an account of the company: it is charged."""
KEPT_MAX: Final = 1_024


def refusal_of(
    billing: Billing, provider: str, account: str | None, word: str, api_key: str | None = None
) -> Refuse | None:
    """The refusal of a call on this account; `word` is its billing word. Where two keys may pay, so may a private one."""
    reason = billing.refuses(provider, account, word)
    if reason is None and BESIDE in (api_key or "") and billing.refuses_unsure(provider, word):
        reason = f"it carries several keys that {provider} reads, and nothing says which of them pays"
    return None if reason is None else Refuse(RefusalKind.RULE, PERSONAL_RULE, reason)


class Accounts:
    """The accounts that keys stand for, as answers have told. Bounded: the keys least lately seen are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    def known(self, intent: Intent, billing: Billing) -> Intent:
        """The same intent, with the account that it is taken to be on, where that matters: the one that its key stands for, else
        the one that it names; none where it only claims one that is not the company's, unless such calls are refused."""
        ask, provider = intent.ask, intent.route.provider
        if not billing.asks_for(provider) or (ask.account and not ask.account_claimed):
            return intent
        foreign = billing.is_personal(provider, ask.account)
        if foreign and billing.personal == "refuse":
            return intent
        account = self._known.get((provider, ask.api_key)) if ask.api_key else None
        if account is None and not foreign:
            return intent
        return replace(intent, ask=replace(ask, account=account))

    def saw(self, intent: Intent, reading: Reading, billing: Billing) -> None:
        """What an answer says of the account behind a key; of several it does not say which."""
        provider, key = intent.route.provider, intent.ask.api_key
        if not key or BESIDE in key or not reading.account or not billing.asks_for(provider):
            return
        # A key of several accounts stays the company's: held, and given back where its answer names another.
        if not billing.is_own(provider, self._known.get((provider, key))):
            self._known[provider, key] = reading.account
        self._known.move_to_end((provider, key))
        if len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)


def answered(billing: Billing, intent: Intent, word: str, said: str | None) -> tuple[str, str | None]:
    """The billing word by which a call is charged whose answer names the account `said`, and the flag that tells why.

    `word` is its row's. Only `ignore` makes a difference to the charge. What the request named does not matter.
    """
    provider = intent.route.provider
    if not said or word == GATEWAY or not billing.asks_for(provider):
        return word, None
    own, ignored = billing.is_own(provider, said), billing.personal == "ignore"
    if word == PERSONAL:
        wire = intent.route.billing or intent.ask.billing
        return (wire if own and ignored else word), OWN if own else None
    if own:
        return word, None
    return (PERSONAL if ignored else word), FLAG
