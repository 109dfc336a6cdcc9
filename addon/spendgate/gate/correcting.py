"""While a call runs: its hold follows its stream's own counts, and a budget with `cut` ends the stream that passes it."""

from __future__ import annotations

import logging

from spendgate.admission import RefusalKind
from spendgate.errors import LedgerUnavailable
from spendgate.gate import billing, running, wording
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.fallback import Fallback
from spendgate.gate.line import Lines
from spendgate.gate.plausible import believed
from spendgate.gate.running import Running
from spendgate.ledger.interface import LedgerPort
from spendgate.pricing import PriceBook
from spendgate.providers.interface import Notice
from spendgate.providers.reading import Reading
from spendgate.standing import Standing

logger = logging.getLogger(__name__)


class Correcting:
    """Corrects the holds of one gate's running calls."""

    def __init__(
        self, ledger: LedgerPort, *, lines: Lines, fallback: Fallback, backlog: Backlog, estimate: EstimateUsage
    ) -> None:
        self._ledger = ledger
        self._lines = lines
        self._fallback = fallback
        self._backlog = backlog
        self._estimate = estimate

    def follow(self, call_id: str, call: Running, reading: Reading, prices: PriceBook, now_ms: int) -> Notice | None:
        """Correct the call's holds by what was counted so far; a Notice says: end its stream now. Never raises."""
        try:
            return self._follow(call_id, call, reading, prices, now_ms)
        except LedgerUnavailable:
            return None  # the next cue corrects it
        except Exception as fault:
            logger.exception("call %s: its hold could not be corrected: %s", call_id, type(fault).__name__)
            return None

    def _follow(self, call_id: str, call: Running, reading: Reading, prices: PriceBook, now_ms: int) -> Notice | None:
        reading = believed(call.asked, reading)
        so_far = billing.bill(call.asked, reading, prices, call.booked_ms, self._estimate)
        known = any(part.usage.input_tokens is not None for part in reading.parts)
        nanos = running.corrected(call, so_far, known)
        if nanos is None:
            return None
        call.counted = call.counted or known
        standings = self._resize(call_id, call, nanos, now_ms)
        over = running.gone_over(call, standings)
        if over is None:
            return None
        scope, too_much = over
        if nanos - too_much >= so_far.nanos:
            self._resize(call_id, call, nanos - too_much, now_ms)
            return None
        # The output that was still expected will not come: what is held now is charged where no counts came before the cut.
        self._resize(call_id, call, so_far.nanos, now_ms)
        message = wording.cut_message(scope.budget, help_text=call.asked.terms.policy.help)
        return Notice(message, RefusalKind.SPENT.value, request_id=call_id)

    def _resize(self, call_id: str, call: Running, nanos: int, now_ms: int) -> tuple[Standing, ...]:
        before, holds = call.adjustable_nanos, running.resized(call, nanos)
        standings = self._backlog.joined(lambda: self._ledger.resize(call_id, holds, now_ms))
        call.holds = holds
        self._fallback.saw(standings)
        if nanos < before:
            self._lines.freed(scope for scope, _ in holds)
        return standings
