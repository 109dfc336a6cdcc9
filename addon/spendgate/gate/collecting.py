"""Results that are read back: background responses and batches. They left, or were never held, long before; now they are counted.

Each result has a row of its own whose id is made of the provider and the result's key, so that it is written once (`results` in
the ledger). One whose request was charged here corrects that charge, in the same budgets and windows; any other one, a batch's
or one that was sent from elsewhere, is charged where and when it is read, to whoever reads it. Nothing here is ever refused.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from spendgate.gate import charging
from spendgate.gate.asked import Asked, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Collected, End, Intent
from spendgate.gate.line import Lines
from spendgate.gate.plausible import believed
from spendgate.gate.terms import KnownTerms
from spendgate.ledger.interface import AwaitedCall, CallRow, LedgerPort, Settlement
from spendgate.pricing import PriceBook
from spendgate.providers.interface import Result
from spendgate.standing import UNSIZED

logger = logging.getLogger(__name__)

ELSEWHERE = "sent from elsewhere"
"""Flag of a background response whose request this ledger does not know: it is charged in full to whoever reads it."""
TOGETHER = 8
"""Results in one transaction: some 2 ms of the loop."""


class Collecting:
    """Writes results through the backlog, in order. Never raises. Of one event loop."""

    def __init__(
        self, ledger: LedgerPort, backlog: Backlog, *, lines: Lines, fallback: Fallback, estimate: EstimateUsage,
        in_force: Callable[[], tuple[KnownTerms, PriceBook]],
    ) -> None:  # fmt: skip
        """`in_force`: the policy's terms and the prices that hold now."""
        self._ledger = ledger
        self._backlog = backlog
        self._lines = lines
        self._fallback = fallback
        self._estimate = estimate
        self._in_force = in_force

    def collect(self, found: Collected) -> None:
        """Write these results, behind all that was told before: the end of the very call that is corrected may be among it."""
        self._backlog.write_out()
        for start in range(0, len(found.results), TOGETHER):
            if not self._backlog.room:
                logger.error("%d results are not metered: the ledger takes no more", len(found.results) - start)
                return
            some = found.results[start : start + TOGETHER]
            self._backlog.write(partial(self._ledger.together, partial(self._write_all, found, some)))

    def _write_all(self, found: Collected, some: tuple[Result, ...]) -> None:
        for result in some:
            self._write(found, result)

    def _write(self, found: Collected, result: Result) -> None:
        result_id = result_id_of(found.route.provider, result.key)
        call = self._ledger.awaited(result_id) if result.awaited else None
        if (call is not None and call.basis == "reported") or (call is None and result.reading.free):
            return  # it was counted when it was made, or cost nothing
        if call is None and result.awaited and not result.reading.background:
            return  # an ordinary response that is looked at again
        settlement, opened = self._priced(found, result, result_id, call)
        booked_ms = found.at_ms if call is None else call.booked_ms
        if not self._ledger.collected(opened, settlement, booked_ms, corrects=call):
            return
        if call is None:
            self._fallback.settled(settlement.charges)
            self._lines.freed(scope for scope, _ in settlement.charges)
        else:
            self._lines.wake_all()  # it may have given back to any of its budgets

    def _priced(
        self, found: Collected, result: Result, result_id: str, call: AwaitedCall | None
    ) -> tuple[Settlement, CallRow]:
        """What the result costs at the prices of its time, and the row that it will be."""
        booked_ms = found.at_ms if call is None else call.booked_ms
        billing = found.route.billing if call is None else call.row.billing
        intent = Intent(
            result_id, found.at_ms, found.host, replace(found.route, billing=billing),
            replace(found.ask, model=result.reading.model), found.attribution, 0,
        )  # fmt: skip
        terms, prices = self._in_force()
        asked = Asked(intent, terms.of(intent, booked_ms))
        end = End(found.at_ms, True, True, found.http_status, None, 0, 0)
        ending = charging.Ending(asked, UNSIZED, (), booked_ms, believed(asked, result.reading), end)
        flags = (ELSEWHERE,) if result.awaited and call is None else ()
        settlement, _ = charging.settled(ending, prices, self._estimate, flags)
        if call is None:
            return settlement, replace(row(asked, UNSIZED), kind="")
        # Whose it is, and all else that a new budget may count it by, is the request's, not the reader's.
        opened = replace(
            call.row, id=result_id, started_ms=found.at_ms, path=found.route.path, estimate_nanos=None, ceiling_nanos=None,
            typical_nanos=None, request_bytes=0, text_bytes=0,
        )  # fmt: skip
        return settlement, opened


def result_id_of(provider: str, key: str) -> str:
    """The id of a result's row: a UUID version 8 (RFC 9562, 5.8) of what it is, which no key can be read from."""
    digest = int.from_bytes(hashlib.sha256(f"{provider}\n{key}".encode("utf-8", "surrogatepass")).digest()[:16])
    value = digest & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
