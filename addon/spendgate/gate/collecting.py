"""Results that are read back: background responses and batches. They left, or were never held, long before; now they are counted.

Each result has a row of its own whose id is made of the provider and the result's key, so that it is written once (`results` in
the ledger). One whose request was charged here corrects that charge, in the same budgets and windows; any other one, a batch's
or one that was sent from elsewhere, is charged where and when it is read, to whoever reads it. Nothing here is ever refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from spendgate.gate import charging
from spendgate.gate.alike import Alike, Sign, alike, plain, sign_of
from spendgate.gate.asked import Asked, counted_late, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.clock import Clock
from spendgate.gate.ending import Ending
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Collected, End, Intent
from spendgate.gate.line import Lines
from spendgate.gate.plausible import believed
from spendgate.gate.result_ids import Named, result_id_of, there
from spendgate.gate.terms import KnownTerms
from spendgate.ledger.interface import AwaitedCall, CallRow, Counted, LedgerPort, Settlement
from spendgate.pricing import PriceBook
from spendgate.providers.reading import Reading, Result
from spendgate.standing import UNSIZED, Scope

logger = logging.getLogger(__name__)

ELSEWHERE = "sent from elsewhere"
"""Flag of a background response whose request this ledger does not know: it is charged in full to whoever reads it."""
TOGETHER = 72
"""Results in one transaction: some 1.4 ms of the loop."""


class Collecting:
    """Writes results through the backlog, in order. Never raises. Of one event loop."""

    def __init__(
        self, ledger: LedgerPort, backlog: Backlog, *, lines: Lines, fallback: Fallback, estimate: EstimateUsage,
        clock: Clock, in_force: Callable[[], tuple[KnownTerms, PriceBook]],
    ) -> None:  # fmt: skip
        """`in_force`: the policy's terms and the prices that hold now."""
        self._ledger = ledger
        self._backlog = backlog
        self._lines = lines
        self._fallback = fallback
        self._estimate = estimate
        self._clock = clock
        self._in_force = in_force
        self._reader: _Reader | None = None
        """Who has read last."""

    def collect(self, found: Collected) -> None:
        """Write these results, behind all that was told before: the end of the very call that is corrected may be among it."""
        self._backlog.write_out()
        for start in range(0, len(found.results), TOGETHER):
            if not self._backlog.room:
                logger.error("%d results are not metered: the ledger takes no more", len(found.results) - start)
                return
            some = found.results[start : start + TOGETHER]
            self._backlog.write(partial(self._write_all, found, some))

    def _write_all(self, found: Collected, some: tuple[Result, ...]) -> None:
        """One transaction; what it has charged is told to who waits and who decides without the ledger once it is committed."""
        named = [(result_id_of(found.route.provider, result.key), result) for result in some]
        try:
            charges, corrected = self._ledger.together(lambda: self._write_named(found, named))
        except ValueError:  # one that was not looked up has its row: nothing is written, and each is
            charges, corrected = self._ledger.together(lambda: self._write_named(found, named, every=True))
        self._fallback.settled(charges.items())
        self._lines.freed(charges)
        if corrected:
            self._lines.wake_all()  # it may have given back to any of its budgets

    def _write_named(self, found: Collected, named: Named, *, every: bool = False) -> tuple[dict[Scope, int], bool]:
        """What the rows that were not there have charged to each budget, corrections apart; whether there was a correction.
        `every` as in `there`."""
        known = there(self._ledger.written, found.route.provider, named, every=every)
        reader, charges, corrected = self._reader_of(found), dict[Scope, int](), False
        for result_id, result in named:
            if result_id in known:
                continue
            by_itself = result.awaited or found.ask.overheard
            if not by_itself and reader.takes(result_id, result.reading):
                known.add(result_id)  # should it come twice
                continue
            call = self._ledger.awaited(result_id) if result.awaited else None
            counted = call is not None and call.basis == "reported" and (call.value_nanos or result.reading.free)
            if counted or (call is None and result.reading.free):
                continue  # it was counted when it was made, or cost nothing
            if call is None and result.awaited and not result.reading.background:
                continue  # an ordinary response that is looked at again
            settlement, opened = self._priced(reader, result, result_id, call)
            if not by_itself and reader.takes(result_id, result.reading):  # the first of those like it
                known.add(result_id)
                continue
            booked_ms = found.at_ms if call is None else call.booked_ms
            if not self._ledger.collected(opened, settlement, booked_ms, corrects=call):
                continue
            known.add(result_id)
            if call is not None:
                corrected = True
                continue
            for scope, nanos in settlement.charges:
                charges[scope] = charges.get(scope, 0) + nanos
        for kind, each in reader.taken():
            self._ledger.gathered(kind.row, kind.end, each, found.at_ms)
            nanos = sum([one.nanos for one in each])
            for scope in kind.scopes:
                charges[scope] = charges.get(scope, 0) + nanos
        return charges, corrected

    def _reader_of(self, found: Collected) -> _Reader:
        """Who reads; what the transaction before has found of the same one's results still holds within the second."""
        terms, prices = self._in_force()
        if self._reader is None or not self._reader.reads_on(found, terms, prices):
            self._reader = _Reader(found, terms, prices)
        return self._reader

    def _priced(
        self, reader: _Reader, result: Result, result_id: str, call: AwaitedCall | None
    ) -> tuple[Settlement, CallRow]:
        """What the result costs at the prices of its time, and the row that it will be."""
        found, model = reader.found, result.reading.model
        booked_ms = found.at_ms if call is None else call.booked_ms
        asked, opened = reader.asking(model) if call is None else reader.asked_by(call, model)
        ending = Ending(asked, UNSIZED, (), booked_ms, believed(asked, result.reading), reader.end)
        flags = (ELSEWHERE,) if result.awaited and call is None else ()
        settlement, _ = charging.settled(ending, reader.prices, self._estimate, flags)
        if found.ask.overheard and call is None:
            # What nobody asked for, a turn or what was heard of it, is a call of now, each of its own model.
            flowing = asked.flowing(UNSIZED, self._clock)
            settlement = replace(settlement, flowed=counted_late(flowing, settlement.usage))
        elif not result.awaited:
            reader.priced(ending, opened, settlement)
        return settlement, replace(opened, id=result_id)


class _Reader:
    """Who reads, and what results of one model that come together have in common: found once."""

    def __init__(self, found: Collected, terms: KnownTerms, prices: PriceBook) -> None:
        self.found = replace(found, results=())
        self.prices = prices
        self.end = _end(found)
        self._terms = terms
        second_ms = found.at_ms - found.at_ms % 1000
        began_ms, ends_ms = terms.policy.steady(found.at_ms)
        self._from_ms, self._until_ms = max(began_ms, second_ms), min(ends_ms, second_ms + 1000)
        self._asking: dict[str | None, tuple[Asked, CallRow]] = {}
        self._alike: dict[Sign, tuple[Alike, list[Counted]]] = {}
        """By sign, what plain results have in common, and those that are still to be written."""

    def reads_on(self, found: Collected, terms: KnownTerms, prices: PriceBook) -> bool:
        """Whether this goes on what was read before, in the same second, in which no window ends and no price changes: then what
        was found out of those results is true of these."""
        was = self.found
        same = (
            self._from_ms <= found.at_ms < self._until_ms and terms is self._terms and prices is self.prices
            and found.host == was.host and found.http_status == was.http_status and found.ask == was.ask
            and found.attribution == was.attribution and found.route == was.route
        )  # fmt: skip
        if not same:
            return False
        self.found, self.end = replace(found, results=()), _end(found)
        self._asking.clear()
        self._alike = {sign: (known.at(found.at_ms), []) for sign, (known, _) in self._alike.items()}
        return True

    def takes(self, result_id: str, reading: Reading) -> bool:
        """Whether this result is like one that was priced before, so that it is priced now and written with others (`taken`)."""
        part = plain(reading)
        known = None if part is None else self._alike.get(sign_of(part, reading))
        one = None if known is None or part is None else known[0].counted(result_id, part, reading)
        if known is None or one is None:
            return False
        known[1].append(one)
        return True

    def priced(self, ending: Ending, opened: CallRow, end: Settlement) -> None:
        """A result that was priced in full is the measure of those like it that follow."""
        part = plain(ending.reading)
        if part is not None:
            found = alike(ending, part, opened, end, self.prices)
            if found is not None:
                self._alike.setdefault(sign_of(part, ending.reading), (found, []))

    def taken(self) -> list[tuple[Alike, list[Counted]]]:
        """Those that were taken, by what they have in common."""
        return [known for known in self._alike.values() if known[1]]

    def asking(self, model: str | None) -> tuple[Asked, CallRow]:
        """A result that is the reader's own: as if asked for now, and its row but for the id."""
        known = self._asking.get(model)
        if known is None:
            asked = self._asked(self.found.route.billing, model, self.found.at_ms)
            known = self._asking[model] = asked, replace(row(asked, UNSIZED), kind="")
        return known

    def asked_by(self, call: AwaitedCall, model: str | None) -> tuple[Asked, CallRow]:
        """A result of a call that has a row: whose it is, and all else that a new budget may count it by, is the request's."""
        opened = replace(
            call.row, started_ms=self.found.at_ms, path=self.found.route.path, estimate_nanos=None, ceiling_nanos=None,
            typical_nanos=None, request_bytes=0, text_bytes=0,
        )  # fmt: skip
        # By the model that was asked for: a budget per model has its charge in that allowance.
        return self._asked(call.row.billing, call.row.model_requested or model, call.booked_ms), opened

    def _asked(self, billing: str | None, model: str | None, booked_ms: int) -> Asked:
        found = self.found
        route, ask = replace(found.route, billing=billing), replace(found.ask, model=model)
        intent = Intent("", found.at_ms, found.host, route, ask, found.attribution, 0)
        return Asked(intent, self._terms.of(intent, booked_ms))


def _end(found: Collected) -> End:
    return End(found.at_ms, True, True, found.http_status, None, 0, 0)
