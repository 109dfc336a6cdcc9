"""What a gate knows of calls by the answers before them, where the requests do not say it: whose account, how much, from whom."""

from __future__ import annotations

from spendgate.contracts import Billing
from spendgate.gate.accounts import Accounts
from spendgate.gate.interface import Intent
from spendgate.gate.kin import Kin
from spendgate.gate.overage import Overage
from spendgate.gate.recall import Recall
from spendgate.providers.reading import Reading
from spendgate.usage import Usage


class Remembered:
    """In memory alone, and bounded: a gate that starts knows nothing."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self._overage = Overage()
        self._recall = Recall()
        self._kin = Kin()

    def known(self, intent: Intent, billing: Billing, now_ms: int) -> Intent:
        """The same intent, with what is known of it beside what it says."""
        intent = self._accounts.known(intent, billing)
        return self._recall.known(self._overage.known(intent, now_ms))

    def parent_call(self, intent: Intent) -> str | None:
        """The call that this one's agent comes from; see `Kin.parent_call`."""
        return self._kin.parent_call(intent)

    def left(self, intent: Intent) -> None:
        """This call may leave."""
        self._kin.left(intent)

    def saw(self, intent: Intent, reading: Reading, usage: Usage, billing: Billing, now_ms: int) -> None:
        """Its answer has ended at this instant, with these counts."""
        self._recall.saw(intent, reading.response_id, usage)
        self._overage.saw(intent, reading, now_ms)
        self._accounts.saw(intent, reading, billing)
