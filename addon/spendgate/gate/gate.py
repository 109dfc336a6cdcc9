"""The gate: what capture asks, answered from the policy in force, the price list and the ledger.

Rules: a call is admitted by the transaction that holds its cost; it is ended once; nothing here waits in the loop for another
process, and nothing but `hold`, `spent`, `failing` and `noted` takes time. `GatePort` says what each method promises.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import deque
from statistics import median_low
from typing import TYPE_CHECKING

from msgspec.structs import replace

from spendgate import lapse
from spendgate.admission import Admit, Decision, RefusalKind, Refuse
from spendgate.audit_words import AuditWord
from spendgate.calibration import UNCALIBRATED, Factors
from spendgate.errors import LedgerUnavailable
from spendgate.estimate import Sizes, sample_of
from spendgate.gate import charging, wording
from spendgate.gate.accounts import Accounts
from spendgate.gate.alerting import BeforeRefusal
from spendgate.gate.asked import Asked, flowed, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.billing import EstimateUsage
from spendgate.gate.clock import Clock
from spendgate.gate.collecting import Collecting, result_id_of
from spendgate.gate.connection import for_all, unbounded, used_up
from spendgate.gate.correcting import Correcting
from spendgate.gate.evidence import Evidence, Looks
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Admitted, Answered, Collected, End, Gone, Intent, Refused, Seen
from spendgate.gate.kin import Kin
from spendgate.gate.line import Lines
from spendgate.gate.overage import Overage
from spendgate.gate.patience import BUSY_PATIENCE_MS, patiently
from spendgate.gate.plausible import believed
from spendgate.gate.provider_time import ProviderTime
from spendgate.gate.recall import Recall
from spendgate.gate.recording import Recording
from spendgate.gate.running import Running
from spendgate.gate.signs import others_of
from spendgate.gate.terms import KnownTerms, Terms
from spendgate.gate.upkeep import GateLedger, Upkeep
from spendgate.gate.waiting import Denied, Granted, Waiting
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.providers.interface import Notice, Reading
from spendgate.providers.results import response_key
from spendgate.standing import UNSIZED, Hold, KindStanding, Scope, Size, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

_RETRY_MS = (1_000, 60_000)
_DURATIONS_KEPT = 64
WITHOUT_LEDGER = "admitted while the ledger failed"
"""Flag of a call that `on_failure` let through."""


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
        self._asks = asks
        self._ledger = ledger
        self._estimate = estimate
        self._lines = Lines()
        self._evidence = Evidence(ledger, self.backlog, self.fallback, self._time, wall, looks=looks, account=account)
        self._upkeep = Upkeep(
            ledger, prices, self.sizes, self.backlog, clock=self.clock, evidence=self._evidence, also=self._also,
            calibrated=self._calibrated,
        )  # fmt: skip
        self._waiting = Waiting(
            ledger, lines=self._lines, sizes=self.sizes, fallback=self.fallback, backlog=self.backlog, clock=self.clock,
            in_force=lambda: self.policy, waited_for=self._upkeep.waited_for,
        )  # fmt: skip
        self._correcting = Correcting(
            ledger, lines=self._lines, fallback=self.fallback, backlog=self.backlog, estimate=estimate
        )
        self._rows = Recording(ledger, self.backlog)
        self._factors = UNCALIBRATED
        self._known = KnownTerms(policy, prices)
        self._collecting = Collecting(
            ledger, self.backlog, lines=self._lines, fallback=self.fallback, estimate=estimate,
            clock=self.clock, in_force=lambda: (self._known, self.prices),
        )  # fmt: skip
        self._recall = Recall()
        self._before_refusal = BeforeRefusal()
        self._overage = Overage()
        self._accounts = Accounts()
        self._running: dict[str, Running] = {}
        self._kin = Kin()
        self._durations: deque[int] = deque(maxlen=_DURATIONS_KEPT)

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
        self.prices = self._upkeep.prices = prices
        self._known = KnownTerms(self.policy, prices, self._factors)

    def _calibrated(self, factors: Factors) -> None:
        """Estimates of calls that ask from now on are multiplied by these."""
        self._factors = factors
        self._known = KnownTerms(self.policy, self.prices, factors)

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
                return self._refused(asked, refuse, asked.size(self.sizes), 0)
            try:
                answer = await self._waiting.ask(asked, since_ms)
            except LedgerUnavailable as fault:
                return self._without_ledger(asked, str(fault))
        if isinstance(answer, Granted):
            self._ledger_writes()
            held = Running(
                asked, answer.size, answer.admit.holds, answer.booked_ms, left=answer.left, flowing=answer.flowing
            )
            return self._admitted(held)
        if isinstance(answer, Denied):
            return self._refused(asked, answer.refuse, answer.size, answer.waited_ms)
        self._rows.left(asked, answer.size, now_ms=self.clock.now_ms(), waited_ms=answer.waited_ms)
        return Gone(intent.call_id)

    async def spent(self, intent: Intent, *, writes: bool = True) -> Refused | None:
        """Whether nothing is left for any call of this connection; see `GatePort.spent`."""
        asked = self._asked(intent)
        now_ms = self.clock.now_ms()
        # A session for transcription alone has no model yet.
        terms, named = asked.terms, intent.ask.overheard and not (intent.ask.transcribes and intent.ask.model is None)
        drawn = terms.scopes(now_ms) if named else terms.without_model(now_ms)
        scopes = tuple(scope for scope in drawn if scope.enforced and (named or for_all(scope)))
        # Model rules wait for the calls themselves, where any will ask; what refuses every one of them need not.
        whole = named or intent.attribution.refused
        refuse = terms.refused(now_ms) if whole else lapse.refusal(terms.policy, now_ms)
        if refuse is None and intent.ask.loops:
            refuse = next((unbounded(scope) for scope in scopes if scope.hold is Hold.CEILING), None)
        if named:
            scopes = (*scopes, *(scope for scope in terms.rate_scopes if scope.enforced))
        if refuse is None and scopes:
            refuse = await self._peek(asked, scopes, now_ms)
        if refuse is None or not asked.terms.enforced:
            return None
        return self._refused(asked, refuse, UNSIZED, 0) if writes else self._worded(asked, refuse)

    async def failing(self, intent: Intent, why: str) -> Answered:
        """Capture failed before it could ask; see `GatePort.failing`."""
        return self._without_ledger(self._asked(intent), f"the gate failed ({why})")

    def _asked(self, intent: Intent) -> Asked:
        intent = self._accounts.known(intent, self.policy.billing)
        intent = self._recall.known(self._overage.known(intent))
        return Asked(intent, self._known.of(intent, self.clock.now_ms()), self._kin.parent_call(intent))

    async def _peek(self, asked: Asked, scopes: tuple[Scope, ...], now_ms: int) -> Refuse | None:
        """The first of these budgets that is spent. Asks the ledger and refuses there whatever it says: nothing is written."""
        found: list[Refuse] = []

        def look(standings: tuple[Standing, ...], _: KindStanding) -> Decision:
            self.fallback.saw(standings)
            found.extend(refuse for standing in standings if (refuse := used_up(standing, now_ms)))
            return found[0] if found else Refuse(RefusalKind.SPENT, "", "only looking")

        peeked, flowing = row(asked, UNSIZED), asked.flowing(UNSIZED, self.clock)

        def peek() -> Decision:
            return self.backlog.joined(lambda: self._ledger.hold(peeked, scopes, look, now_ms, flowing=flowing))

        try:
            await patiently(peek, self.clock)
        except LedgerUnavailable:
            return None  # each call behind this handshake is decided by itself
        return found[0] if found else None

    def _admitted(self, call: Running) -> Admitted:
        call_id = call.asked.intent.call_id
        call.flags += call.asked.told
        self._running[call_id] = call
        self._kin.left(call.asked.intent)
        return Admitted(call_id, call.cut)

    def _refused(self, asked: Asked, refuse: Refuse, size: Size, waited_ms: int) -> Refused:
        """Write the row and word the answer."""
        if refuse.passes and refuse.retry_after_ms is None:
            refuse = replace(refuse, retry_after_ms=self._retry_ms())
        refused = self._worded(asked, refuse)
        now_ms, status = self.clock.now_ms(), asked.intent.answers(refused)
        alerts = self._before_refusal.of(asked, refuse, now_ms)
        self._rows.refused(asked, refuse, size, now_ms=now_ms, waited_ms=waited_ms, http_status=status, alerts=alerts)
        return refused

    def _worded(self, asked: Asked, refuse: Refuse) -> Refused:
        policy = asked.terms.policy
        message = wording.message(refuse, timezone=policy.timezone, help_text=policy.help, asks=self._asks)
        return Refused(asked.intent.call_id, refuse, message, strict=policy.refusals == "strict")

    def _retry_ms(self) -> int:
        """When others' holds are likely to have moved: what half of the latest calls took."""
        low, high = _RETRY_MS
        return min(high, max(low, median_low(self._durations) if self._durations else low))

    # -- without the ledger --------------------------------------------------------------------------------------

    def _without_ledger(self, asked: Asked, why: str) -> Answered:
        """The policy's `on_failure`, as far as its mode enforces anything for this call; rows are queued in their order."""
        self._evidence.failed(why)
        now_ms, intent = self.clock.now_ms(), asked.intent
        size, scopes, person = asked.size(self.sizes), asked.terms.scopes(now_ms), intent.attribution.person
        hold_nanos = next((each for each in (size.learned_nanos, size.guess_nanos) if each is not None), 0)
        try:
            self.fallback.told(scopes, self._ledger.settled(scopes, now_ms))
        except LedgerUnavailable:
            pass  # it cannot be read either: what is remembered decides
        flowing, rates = asked.flowing(size, self.clock), asked.terms.rate_scopes
        held = (scope for call in self._running.values() for scope, _ in call.holds)
        rule, enforced = asked.terms.refused(now_ms), asked.terms.enforced
        refuse = rule if enforced else None
        refuse = refuse or self.fallback.rate_refusal(rates, flowing, held, now_ms)
        would = rule
        if refuse is None:
            refuse, failing = self.fallback.decide(
                scopes, hold_nanos, person, asked.terms.policy.on_failure, why=why, room=self.backlog.room,
                enforced=enforced,
            )  # fmt: skip
            would = would or failing
        if refuse is not None:
            return self._refused(asked, refuse, size, 0)
        self.fallback.left(intent.call_id, rates, flowing)
        scopes = (*scopes, *rates)
        holds = tuple((scope, _booked(scope, size, hold_nanos)) for scope in scopes)
        call = Running(asked, size, holds, now_ms, flags=(WITHOUT_LEDGER,), late=True, remembered_nanos=hold_nanos)
        opened = row(asked, size)
        self.backlog.later(lambda: self._ledger.hold(opened, scopes, lambda *_: Admit(holds, would), now_ms))
        return self._admitted(call)

    def _ledger_writes(self) -> None:
        if not self.backlog:
            self.fallback.recovered()

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
        try:
            return self._correcting.follow(call_id, call, reading, self.prices, self.clock.now_ms())
        except LedgerUnavailable:
            return None  # the next cue corrects it
        except Exception as fault:
            logger.exception("call %s: its hold could not be corrected: %s", call_id, type(fault).__name__)
            return None

    # -- its end -------------------------------------------------------------------------------------------------

    def settle(self, call_id: str, reading: Reading, end: End) -> None:
        """End an admitted call; a second time changes nothing. Never raises."""
        call = self._running.pop(call_id, None)
        if call is None:
            return
        found = believed(call.asked, reading)
        since = self._since(call)
        ending = charging.Ending(call.asked, call.size, call.holds, call.booked_ms, found, end, since)
        settlement, sample = charging.settled(ending, self.prices, self._estimate, call.flags)
        change = flowed(call.flowing, settlement.usage, sent=end.sent)
        if change is not None:
            settlement = replace(settlement, flowed=change)
        later = call.asked.intent.ask.background or end.counts_later
        if later and found.response_id and settlement.state != "failed":
            awaited = result_id_of(call.asked.intent.route.provider, response_key(found.response_id))
            settlement = replace(settlement, awaited=awaited)
        self._recall.saw(call.asked.intent, found.response_id, settlement.usage)
        self._overage.saw(call.asked.intent, found)
        self._accounts.saw(call.asked.intent, found, call.asked.terms.policy.billing)
        write = self.backlog.write if call.late else self.backlog.soon
        write(lambda: self._ledger.settle(call_id, settlement))
        self._lines.freed(scope for scope, _ in (*call.holds, *settlement.charges))
        if call.late:
            person = call.asked.intent.attribution.person
            self.fallback.ended(call_id, settlement.usage, sent=end.sent)
            nanos = settlement.cost_nanos if call.asked.terms.counts else settlement.value_nanos
            self.fallback.spent(call.asked.terms.scopes(call.booked_ms), nanos - call.remembered_nanos, person)
        else:
            self.fallback.settled(settlement.charges)
        if sample is not None:
            usage, value = sample
            text_bytes = call.asked.intent.ask.text_bytes
            self._upkeep.learned(call_id)
            terms = call.asked.terms
            self.sizes.learn(terms.keys, sample_of(text_bytes, usage, value, terms.rates))
        self._durations.append(end.duration_ms)

    def _since(self, call: Running) -> Terms | None:
        """The call under the policy in force, where another one has let it leave."""
        if call.asked.terms.policy is self.policy:
            return None
        try:
            return self._known.of(call.asked.intent, call.booked_ms)
        except Exception as fault:
            logger.exception("a call has no terms under the new policy: %s", type(fault).__name__)
            return None  # what filling has held of it is charged all the same

    def _also(self, call_id: str) -> tuple[str, ...]:
        """The other models that one of this gate's own calls names."""
        call = self._running.get(call_id)
        return () if call is None else others_of(call.asked.intent)

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


def _booked(scope: Scope, size: Size, hold_nanos: int) -> int:
    """What a call that nothing could check is booked with in one budget; in a rate nothing."""
    if scope.rate is not None:
        return 0
    return size.ceiling_nanos if scope.hold is Hold.CEILING and size.ceiling_nanos is not None else hold_nanos
