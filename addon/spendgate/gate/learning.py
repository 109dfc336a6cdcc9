"""What calls were seen to need, as the ledger has it: at the start all of them, then other gates', and estimates by factors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from spendgate.calibration import ONE_PPM, Factors
from spendgate.cost_lines import sample_of
from spendgate.estimate import KindKeys, Sizes
from spendgate.gate.model_prices import rates_of
from spendgate.gate.past import facts_of
from spendgate.ledger.rows import PastCall
from spendgate.policy import Policy
from spendgate.price_change import PriceChange
from spendgate.price_lists import Lists, elsewhere_of
from spendgate.pricing import PriceBook, UnknownPrice, utc
from spendgate.usage import NO_USAGE

HISTORY_CALLS = 2_000
LEARN_CALLS = 100
_LOOK_BACK = 1_000
"""How many rows a long call may end behind the newest one and still be learned from."""
_KNOWN_KEPT = 4_096


class PastCalls(Protocol):
    """The ledger, as far as it tells of past calls."""

    def recent(self, limit: int, *, after_seq: int = 0) -> tuple[PastCall, ...]: ...
    def estimated(self, limit: int) -> tuple[PastCall, ...]: ...
    def calibrated_upto(self) -> int: ...
    def factors(self) -> Factors: ...


class Learning:
    """What one gate has learned of past calls. Of one event loop. Each look raises LedgerUnavailable: the next one does it."""

    def __init__(
        self, ledger: PastCalls, prices: PriceBook, sizes: Sizes, *, calibrated: Callable[[Factors], None]
    ) -> None:
        """`sizes` learns; `calibrated` takes the factors that come into force."""
        self.prices = prices
        """What other gates' calls are learned by."""
        self.policy = Policy(owner="nobody")
        """In force: what it makes of list prices, and of models without one."""
        self._ledger = ledger
        self._sizes = sizes
        self._calibrated = calibrated
        self._calibrated_upto = 0
        self._known: OrderedDict[str, None] = OrderedDict()
        self._seq = 0

    def learned(self, call_id: str) -> None:
        """This call was learned from: its row teaches nothing more."""
        self._known[call_id] = None
        if len(self._known) > _KNOWN_KEPT:
            self._known.popitem(last=False)

    def learn(self) -> None:
        """Learn what other gates' calls needed, and at the start what all did."""
        calls = LEARN_CALLS if self._seq else HISTORY_CALLS
        for past in self._ledger.recent(calls, after_seq=max(0, self._seq - _LOOK_BACK)):
            self._seq = max(self._seq, past.seq)
            if past.row.id not in self._known:
                self.learned(past.row.id)
                self._learn_from(past)

    def calibrate(self) -> None:
        """Put the factors in force that were learned since the last look, also in what was estimated without them so far:
        until then such calls have taught nothing of what their kind needs."""
        upto = self._ledger.calibrated_upto()
        if upto == self._calibrated_upto:
            return
        factors = self._ledger.factors()
        self._calibrated(factors)
        self._calibrated_upto = upto
        for past in self._ledger.estimated(HISTORY_CALLS) if len(factors) else ():
            factor = factors.of(past.row.tool, past.row.model_requested)
            if factor is not None and past.value_nanos and past.row.id not in self._known:
                self.learned(past.row.id)
                value = past.value_nanos * factor.ppm // ONE_PPM
                self._learn_from(replace(past, usage=factor.scaled(past.usage, NO_USAGE), value_nanos=value))

    def _learn_from(self, past: PastCall) -> None:
        made = past.row
        change, value = self._changed(past)
        rates = rates_of(
            self.prices, _lists(past), made.model_requested, past.booked_ms, self.policy.unknown_model, change=change
        )
        keys = KindKeys.of(made.tool, made.model_requested, made.dialect or "")
        if value is not None:
            self._sizes.learn(keys, sample_of(made.text_bytes, past.usage, value, rates))

    def _changed(self, past: PastCall) -> tuple[PriceChange | None, int | None]:
        """What the policy would make of its list price on the day on which it left, and what its counts cost so: a sample and its
        rates must be of one price. A tier of its answer is not known any more."""
        made = past.row
        if not self.policy.adjust:
            return None, past.value_nanos
        facts = facts_of(past, self.policy)
        change = self.policy.adjustments.of(facts, past.booked_ms).asked
        if change is None or not change.rates:
            return None, past.value_nanos  # a factor changes both alike
        charge = self.prices.price(
            _lists(past), made.model_requested, past.usage, at=utc(past.booked_ms), change=change
        )
        return (None, past.value_nanos) if isinstance(charge, UnknownPrice) else (change, charge.nanos)


def _lists(past: PastCall) -> str | Lists:
    """By whose list it was priced: its provider's, or the one that its flags name."""
    other = elsewhere_of(past.flags)
    return past.row.provider if other is None else Lists((other,)).of(past.row.model_requested)
