"""The end of an admitted call: what it costs, the row that says so, whom its hold kept waiting, and what it teaches."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from spendgate.cost_lines import sample_of
from spendgate.estimate import Sizes
from spendgate.gate import charging
from spendgate.gate.asked import flowed
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.ending import Ending
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import End
from spendgate.gate.line import Lines
from spendgate.gate.plausible import believed
from spendgate.gate.remembered import Remembered
from spendgate.gate.result_ids import result_id_of
from spendgate.gate.running import Running
from spendgate.gate.terms import KnownTerms, Terms
from spendgate.gate.unwritten import Moved
from spendgate.ledger.interface import LedgerPort, Settlement
from spendgate.pricing import PriceBook
from spendgate.providers.reading import Reading
from spendgate.providers.results import response_key

logger = logging.getLogger(__name__)


class Settling:
    """Ends the calls of one gate."""

    def __init__(
        self, ledger: LedgerPort, *, lines: Lines, fallback: Fallback, backlog: Backlog, sizes: Sizes,
        estimate: EstimateUsage, remembered: Remembered, learned: Callable[[str], None],
        in_force: Callable[[], tuple[KnownTerms, PriceBook]],
    ) -> None:  # fmt: skip
        """`learned` is told whose rows teach nothing more. `in_force`: the policy's terms and the prices that hold now."""
        self._ledger = ledger
        self._lines = lines
        self._fallback = fallback
        self._backlog = backlog
        self._sizes = sizes
        self._estimate = estimate
        self._remembered = remembered
        self._learned = learned
        self._in_force = in_force

    def settle(self, call_id: str, call: Running, reading: Reading, end: End) -> None:
        """End it, once. Never raises."""
        terms, prices = self._in_force()
        found, intent = believed(call.asked, reading), call.asked.intent
        since = _since(call, terms)
        ending = Ending(call.asked, call.size, call.holds, call.booked_ms, found, end, since)
        settlement, sample = charging.settled(ending, prices, self._estimate, call.flags)
        settlement = _told_later(call, settlement, found, end)
        self._remembered.saw(intent, found, settlement.usage, call.asked.terms.policy.billing, end.ended_ms)
        moved = Moved(call.booked_ms, call.size.ceiling_nanos, ended=call.holds, charges=settlement.charges)
        write = self._backlog.write if call.late else self._backlog.soon
        write(lambda: self._ledger.settle(call_id, settlement), moved)
        self._fallback.moved(moved)
        self._lines.freed(scope for scope, _ in (*call.holds, *settlement.charges))
        if call.late:
            self._count(call_id, call, settlement, end)
        if sample is not None:
            self._learn(call_id, call, sample)

    def _count(self, call_id: str, call: Running, settlement: Settlement, end: End) -> None:
        """What is counted only while the ledger fails: what rates and persons have had meanwhile."""
        nanos = settlement.cost_nanos if call.asked.terms.counts else settlement.value_nanos
        self._fallback.ended(call_id, settlement.usage, sent=end.sent)
        self._fallback.spent(call.asked.intent.attribution.person, nanos - call.remembered_nanos)

    def _learn(self, call_id: str, call: Running, sample: charging.Learnable) -> None:
        terms, (usage, value) = call.asked.terms, sample
        self._learned(call_id)
        self._sizes.learn(terms.keys, sample_of(call.asked.intent.ask.text_bytes, usage, value, terms.rates))


def _since(call: Running, terms: KnownTerms) -> Terms | None:
    """The call under the policy in force, where another one has let it leave."""
    if call.asked.terms.policy is terms.policy:
        return None
    try:
        return terms.of(call.asked.intent, call.booked_ms)
    except Exception as fault:
        logger.exception("a call has no terms under the new policy: %s", type(fault).__name__)
        return None  # what filling has held of it is charged all the same


def _told_later(call: Running, settlement: Settlement, reading: Reading, end: End) -> Settlement:
    """With what its end corrects in rates, and the result by which its provider may yet tell what it used."""
    change = flowed(call.flowing, settlement.usage, sent=end.sent)
    if change is not None:
        settlement = replace(settlement, flowed=change)
    later = call.asked.intent.ask.background or end.counts_later
    if later and reading.response_id and settlement.state != "failed":
        awaited = result_id_of(call.asked.intent.route.provider, response_key(reading.response_id))
        settlement = replace(settlement, awaited=awaited)
    return settlement
