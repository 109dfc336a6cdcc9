"""The gate: what capture asks, answered from the policy in force, the price list and the ledger.

Rules: a call is admitted by the transaction that holds its cost; it is ended once; nothing here waits in the loop for another
process, and nothing but `hold`, `spent`, `failing` and `noted` takes time. `GatePort` says what each method promises.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from spendgate.admission import Wait
from spendgate.audit_words import AuditWord
from spendgate.calibration import UNCALIBRATED, Factors
from spendgate.estimate import Sizes
from spendgate.gate.asked import Asked
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.clock import Clock
from spendgate.gate.collecting import Collecting
from spendgate.gate.connection import Connections
from spendgate.gate.correcting import Correcting
from spendgate.gate.evidence import Evidence, Looks
from spendgate.gate.failing import Failing
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Admitted, Answered, Collected, End, Gone, Intent, Refused, Seen
from spendgate.gate.learning import Learning
from spendgate.gate.line import Lines
from spendgate.gate.patience import BUSY_PATIENCE_MS
from spendgate.gate.provider_time import ProviderTime
from spendgate.gate.recording import Recording
from spendgate.gate.refusing import Refusing
from spendgate.gate.remembered import Remembered
from spendgate.gate.running import Running
from spendgate.gate.settling import Settling
from spendgate.gate.signs import others_of
from spendgate.gate.terms import KnownTerms
from spendgate.gate.unwritten import Moved
from spendgate.gate.upkeep import GateLedger, Upkeep
from spendgate.gate.waiting import Denied, Granted, Waiting
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.providers.interface import Notice
from spendgate.providers.reading import Reading
from spendgate.standing import UNSIZED

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Gate:
    """One process's gate; implements `interface.GatePort`. Of one event loop: `start` it there, `stop` it there."""

    def __init__(
        self,
        ledger: GateLedger,
        prices: PriceBook,
        policy: Policy,
        *,
        estimate: EstimateUsage,
        clock: Clock | None = None,
        looks: Looks | None = None,
        account: str = "",
        asks: str = "",
    ) -> None:
        """`looks` at the ledger from outside; None: nobody does (simulations). `account`: who runs this gate. `asks` is the
        command by which a refused person asks for more; empty: there is none."""
        wall = clock or Clock()
        self._time = ProviderTime(wall)
        self.clock = dataclasses.replace(wall, now_ms=self._time.now_ms)
        """Its wall time is the providers' where the machine's is far off it."""
        self.policy = policy
        self.prices = prices
        self.sizes = Sizes()
        self.backlog = Backlog(self.clock, ledger.together)
        self.fallback = Fallback()
        self._ledger = ledger
        self._running: dict[str, Running] = {}
        self._remembered = Remembered()
        self._lines = Lines()
        self._evidence = Evidence(ledger, self.backlog, self.fallback, self._time, wall, looks=looks, account=account)
        self._learning = Learning(ledger, prices, self.sizes, calibrated=self._calibrated)
        self._upkeep = Upkeep(
            ledger, self.backlog, self._learning, clock=self.clock, evidence=self._evidence, also=self._also
        )
        self._correcting = Correcting(
            ledger, lines=self._lines, fallback=self.fallback, backlog=self.backlog, estimate=estimate
        )
        self._rows = Recording(ledger, self.backlog)
        self._refusing = Refusing(self._rows, self.clock, asks)
        self._failing = Failing(
            ledger, sizes=self.sizes, fallback=self.fallback, backlog=self.backlog, evidence=self._evidence,
            refusing=self._refusing, clock=self.clock, running=self._running,
        )  # fmt: skip
        self._waiting = Waiting(
            ledger, lines=self._lines, sizes=self.sizes, fallback=self.fallback, backlog=self.backlog, clock=self.clock,
            in_force=lambda: self.policy, waited_for=self._upkeep.waited_for, without=self._failing.ask,
        )  # fmt: skip
        self._connections = Connections(ledger, fallback=self.fallback, backlog=self.backlog, clock=self.clock)
        self._factors = UNCALIBRATED
        self._known = KnownTerms(policy, prices)
        self._collecting = Collecting(
            ledger, self.backlog, lines=self._lines, fallback=self.fallback, estimate=estimate,
            clock=self.clock, in_force=lambda: (self._known, self.prices),
        )  # fmt: skip
        self._settling = Settling(
            ledger, lines=self._lines, fallback=self.fallback, backlog=self.backlog, sizes=self.sizes, estimate=estimate,
            remembered=self._remembered, learned=self._learning.learned, in_force=lambda: (self._known, self.prices),
        )  # fmt: skip

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Learn from the ledger, fill the policy's budgets, end dead gates' calls, begin upkeep. Raises StateError."""
        await self._upkeep.start(self.policy)

    async def stop(self, patience_s: float = 5.0) -> int:
        """Stop upkeep and write what is queued, at most so long. How many writes were left unwritten."""
        await self._upkeep.stop()
        self._evidence.end(len(self._running))
        left = await self.backlog.drain(patience_s, self._ledger.spend_reserve)
        if left:
            logger.error("the ledger could not be written: %d writes are lost", left)
        await self._evidence.last_look()
        return left

    async def set_policy(self, policy: Policy) -> None:
        """Fill the new policy's budgets from the ledger, then let it take force. Calls under way keep their own; those that
        wait are asked anew, since none that leaves from here on may be one that the new budgets do not count."""
        await self._upkeep.fill(policy)
        self.policy = policy
        self._known = KnownTerms(policy, self.prices, self._factors)
        self._evidence.mode(policy.mode)
        self._lines.wake_all()

    def set_prices(self, prices: PriceBook) -> None:
        """Use this price list from now on, also for the charge of calls under way."""
        self.prices = self._learning.prices = prices
        self._known = KnownTerms(self.policy, prices, self._factors)

    def _calibrated(self, factors: Factors) -> None:
        """Estimates of calls that ask from now on are multiplied by these."""
        self._factors = factors
        self._known = KnownTerms(self.policy, self.prices, factors)

    def _also(self, call_id: str) -> tuple[str, ...]:
        """The other models that one of this gate's own calls names."""
        call = self._running.get(call_id)
        return () if call is None else others_of(call.asked.intent)

    def sure_ms(self) -> int | None:
        """What time it is at least by the providers' word (`ProviderTime.sure_ms`); None: they never gave one. For any thread."""
        return self._time.sure_ms()

    @property
    def open_calls(self) -> Mapping[str, Running]:
        """The admitted calls of this process that have not ended."""
        return self._running

    # -- before a call leaves ------------------------------------------------------------------------------------

    async def hold(self, intent: Intent) -> Answered:
        """Hold the call's cost, wait, or refuse; see `GatePort.hold`."""
        since_ms, answer = self.clock.boot_ms(), None
        while answer is None:
            asked = self._asked(intent)
            refuse = asked.terms.refused(self.clock.now_ms()) if asked.terms.enforced else None
            if refuse is not None:
                return self._refusing.refused(asked, refuse, asked.size(self.sizes), 0)
            answer = await self._waiting.ask(asked, since_ms)
        if isinstance(answer, Refused):
            return answer
        if isinstance(answer, Running):
            return self._admitted(answer)
        if isinstance(answer, Granted):
            if not self.backlog:
                self.fallback.recovered()
            held = Running(
                asked, answer.size, answer.admit.holds, answer.booked_ms, left=answer.left, flowing=answer.flowing
            )
            self.fallback.moved(Moved(answer.booked_ms, answer.size.ceiling_nanos, opened=held.holds))
            return self._admitted(held)
        if isinstance(answer, Denied):
            return self._refusing.refused(asked, answer.refuse, answer.size, answer.waited_ms, answer.earlier)
        self._rows.left(asked, answer.size, now_ms=self.clock.now_ms(), waited_ms=answer.waited_ms)
        return Gone(intent.call_id)

    async def spent(self, intent: Intent, *, writes: bool = True) -> Refused | None:
        """Whether nothing is left for any call of this connection; see `GatePort.spent`."""
        asked = self._asked(intent)
        refuse = await self._connections.refusal(asked)
        if refuse is None or not asked.terms.enforced:
            return None
        return self._refusing.refused(asked, refuse, UNSIZED, 0) if writes else self._refusing.worded(asked, refuse)

    async def failing(self, intent: Intent, why: str) -> Answered:
        """Capture failed before it could ask; see `GatePort.failing`."""
        return self._without_ledger(self._asked(intent), f"the gate failed ({why})")

    def _asked(self, intent: Intent) -> Asked:
        now_ms = self.clock.now_ms()
        intent = self._remembered.known(intent, self.policy.billing, now_ms)
        return Asked(intent, self._known.of(intent, now_ms), self._remembered.parent_call(intent))

    def _without_ledger(self, asked: Asked, why: str) -> Answered:
        found = self._failing.ask(asked, why)
        if isinstance(found, Wait):  # only of who is patient
            found = self._refusing.refused(asked, found.refusal, asked.size(self.sizes), 0)
        return found if isinstance(found, Refused) else self._admitted(found)

    def _admitted(self, call: Running) -> Admitted:
        call_id = call.asked.intent.call_id
        call.flags += call.asked.told
        self._running[call_id] = call
        self._remembered.left(call.asked.intent)
        return Admitted(call_id, call.cut)

    # -- while a call runs ---------------------------------------------------------------------------------------

    def sent(self, call_id: str) -> bool:
        """The request's head is about to leave; see `GatePort.sent`."""
        call = self._running.get(call_id)
        if call is None or call.left:
            return True
        at_ms = self.clock.now_ms()
        write = self.backlog.write if call.late else self.backlog.end
        return write(lambda: self._ledger.sent(call_id, at_ms))

    async def noted(self, call_id: str) -> None:
        """Wait until the ledger has `sent`; see `GatePort.noted`."""
        if not await self.backlog.caught_up(BUSY_PATIENCE_MS / 1000):
            logger.warning("call %s leaves before the ledger says so", call_id)

    def progress(self, call_id: str, reading: Reading) -> Notice | None:
        """Correct the hold of a running call; a Notice says: end its stream now. Never raises."""
        call = self._running.get(call_id)
        if call is None or not call.adjustable_nanos:
            return None
        return self._correcting.follow(call_id, call, reading, self.prices, self.clock.now_ms())

    # -- its end -------------------------------------------------------------------------------------------------

    def settle(self, call_id: str, reading: Reading, end: End) -> None:
        """End an admitted call; a second time changes nothing. Never raises."""
        call = self._running.pop(call_id, None)
        if call is None:
            return
        self._settling.settle(call_id, call, reading, end)
        self._refusing.took(end.duration_ms)

    # -- beside calls --------------------------------------------------------------------------------------------

    def uncovered(self, account: str, tool: str, host: str, reason: str) -> None:
        """Count a connection to a provider that could not be read. Never raises."""
        at_ms = self.clock.now_ms()
        self.backlog.write(lambda: self._ledger.uncovered(account, tool, host, reason, at_ms=at_ms))

    def audit(self, what: AuditWord, detail: str, who: str = "") -> None:
        """Append a line to the audit trail, at once or as soon as the ledger can be written. Never raises."""
        self._evidence.tell(what, detail, who)

    def dated(self, host: str, date_ms: int) -> None:
        """What time a provider says it is; see `GatePort.dated`. Never raises."""
        self._time.dated(host, date_ms)

    def collect(self, collected: Collected) -> None:
        """Meter what was read back, each result once. Never raises."""
        self._collecting.collect(collected)

    def record(self, seen: Seen) -> None:
        """Write an exchange that held nothing. Never raises."""
        self._rows.seen(seen, self.policy)
