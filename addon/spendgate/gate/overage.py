"""Accounts of a flat plan that are past what it includes, as their provider says in its answers: their calls cost money.

claude.ai tells it with each answer (`message_limit.overageInUse`, facts/wire-formats.md 8), Anthropic's API in the head of each
answer to a plan's token (`readers.from_headers`): the answer that says so first is charged, and flagged; calls of that account
after it are `overage` from their hold on, until an answer says that it is over, or what the plan includes begins anew: where a
budget refuses what is beyond the plan no answer comes any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from spendgate.gate.interface import Intent
from spendgate.providers.reading import Reading
from spendgate.selector import OVERAGE, PLAN

FLAG: Final = "beyond the plan"
"""Flag of a call whose row says `subscription` and that was charged all the same."""
KEPT_MAX: Final = 1_024
_HOUR_MS: Final = 3_600_000
WINDOW_MS: Final = 5 * _HOUR_MS
"""Where no answer says when the plan begins anew: its shorter window. Is the longer one used up, the next answer says so."""
_LONGEST_MS: Final = 8 * 24 * _HOUR_MS
"""No window of a plan is longer than a week; what is further away is not believed."""


class Overage:
    """The accounts that are past their plan."""

    def __init__(self) -> None:
        self._past: OrderedDict[tuple[str, str], int] = OrderedDict()
        """Until when."""

    def known(self, intent: Intent, now_ms: int) -> Intent:
        """The same intent; billed as `overage` where it is of such an account."""
        billing = intent.route.billing or intent.ask.billing
        if billing != PLAN or self._past.get(_key(intent), 0) <= now_ms:
            return intent
        return replace(intent, route=replace(intent.route, billing=OVERAGE))

    def saw(self, intent: Intent, reading: Reading, now_ms: int) -> None:
        """What an answer says of its account's plan."""
        key = _key(intent)
        if reading.overage is True:
            until_ms = reading.overage_until_ms or 0
            told = now_ms < until_ms <= now_ms + _LONGEST_MS
            self._past[key] = until_ms if told else now_ms + WINDOW_MS
            self._past.move_to_end(key)
            if len(self._past) > KEPT_MAX:
                self._past.popitem(last=False)
        elif reading.overage is False:
            self._past.pop(key, None)


def _key(intent: Intent) -> tuple[str, str]:
    """Whose plan it is: the account at the provider, else the person here."""
    return intent.route.provider, intent.ask.account or intent.attribution.person
