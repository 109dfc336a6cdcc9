"""What a gate does beside calls, and when: learning from the ledger, filling budgets, ending dead gates' calls."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from spendgate import lapse, plural
from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable
from spendgate.gate import billed
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.evidence import CLOCK_STEP_MS, Evidence
from spendgate.gate.learning import Learning, PastCalls
from spendgate.gate.past import Also, counted, scopes_of
from spendgate.gate.patience import patiently
from spendgate.ledger.audit_log import Line
from spendgate.ledger.counted import Counted, ScopesOf
from spendgate.ledger.interface import LedgerPort
from spendgate.ledger.orphans import Resolved
from spendgate.ledger.uncaptured import ScopesOf as BilledScopesOf
from spendgate.policy import Policy

logger = logging.getLogger(__name__)

ORPHANS_EVERY_MS = 60_000
ORPHANS_WHILE_WAITED_FOR_MS = 1_000
"""How often while a call waits for others' holds: a dead gate's are none that will end by themselves."""
LEARN_EVERY_S = 2.0
FILL_PATIENCE_MS = 5_000
"""How long a new policy may wait for a moment in which no other gate writes."""


class GateLedger(LedgerPort, PastCalls, Protocol):
    """The ledger with what upkeep needs of it."""

    def resolve_orphans(self, now_ms: int) -> Resolved: ...
    def prepare(
        self, budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, *, patient: bool = True
    ) -> int: ...
    def take_billed(self, budgets: tuple[Counted, ...], scopes_of: BilledScopesOf, *, patient: bool = True) -> int: ...
    def uncaptured_upto(self) -> int: ...
    def audit(self, line: Line) -> None: ...
    def last_audited(self, what: AuditWord) -> str | None: ...
    def in_place(self) -> bool: ...
    @property
    def gate_id(self) -> int: ...
    def uncovered(self, account: str, tool: str, host: str, reason: str, *, at_ms: int, count: int = 1) -> None: ...
    def spend_reserve(self) -> None: ...


class Upkeep:
    """The background of one gate. Of one event loop."""

    def __init__(
        self, ledger: GateLedger, backlog: Backlog, learning: Learning, *, clock: Clock, evidence: Evidence, also: Also
    ) -> None:
        self._ledger = ledger
        self._backlog = backlog
        self._learning = learning
        self._clock = clock
        self._evidence = evidence
        self._also = also
        self._billed_upto = 0
        """As far as what bills have and no call was counted."""
        self._filled_ms = 0
        """What the clock said when budgets were filled last."""
        self._task: asyncio.Task[None] | None = None
        self._orphans_at_ms = 0
        self._policy = Policy(owner="nobody")
        self._ended = ""
        """The hash of the policy whose end was told."""

    async def start(self, policy: Policy) -> None:
        """Do everything once, then keep doing it. Raises StateError, LedgerUnavailable where the budgets cannot be filled."""
        await self._evidence.begin(policy.mode)
        self._resolve()
        await self.fill(policy)
        self._watch_end()
        self._learning.calibrate()
        self._learning.learn()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="gate-upkeep")

    async def stop(self) -> None:
        """Stop the background."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def fill(self, policy: Policy) -> None:
        """Count in the policy's budgets what their windows already hold: off the loop, then what came since, on it.

        The second pass is short and waits for nobody, so the loop goes on while another gate writes; and no call of this gate
        can be admitted between its last step and the swap that its caller makes. Raises StateError, LedgerUnavailable.
        """
        await self._count(policy)
        self._policy = self._learning.policy = policy

    async def _count(self, policy: Policy) -> None:
        await asyncio.to_thread(self._prepare, policy)
        await patiently(
            lambda: self._backlog.alone(lambda: self._prepare(policy, patient=False)), self._clock, FILL_PATIENCE_MS
        )

    def _prepare(self, policy: Policy, *, patient: bool = True) -> None:
        now_ms = self._clock.now_ms()
        self._ledger.prepare(counted(policy, now_ms), scopes_of(policy, self._also), now_ms, patient=patient)
        self._take_billed(policy, now_ms, patient=patient)
        self._filled_ms = now_ms

    def _take_billed(self, policy: Policy, now_ms: int, *, patient: bool = True) -> None:
        """Count in its `counts: billed` budgets what bills have and no call."""
        upto = self._ledger.uncaptured_upto()
        if policy.by_bill:
            self._ledger.take_billed(billed.counted(policy, now_ms), billed.scopes_of(policy), patient=patient)
        self._billed_upto = upto

    def waited_for(self) -> None:
        """A call waits for others' holds: see whether they are a dead gate's. Never raises."""
        if self._clock.boot_ms() - self._orphans_at_ms >= ORPHANS_WHILE_WAITED_FOR_MS:
            try:
                self._resolve()
            except LedgerUnavailable:
                pass  # the next try of some waiting call does it
            except Exception:
                logger.exception("the calls of dead gates could not be looked for")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LEARN_EVERY_S)
            for work in (
                self._evidence.watch, self._watch_end, self._learning.calibrate, self._learning.learn, self._resolve_when_due,
            ):  # fmt: skip
                try:
                    work()
                except LedgerUnavailable:
                    pass  # the next round does it
                except Exception:
                    logger.exception("upkeep of the gate failed")
            await self._count_billed()
            await self._heal()
            await self._evidence.look_when_due()

    async def _count_billed(self) -> None:
        """Count what an import has brought since the last look. Never raises."""
        try:
            if self._policy.by_bill and self._ledger.uncaptured_upto() != self._billed_upto:
                await asyncio.to_thread(self._take_billed, self._policy, self._clock.now_ms())
        except LedgerUnavailable:
            pass  # the next round does it
        except Exception:
            logger.exception("what was billed and not captured could not be counted")

    async def _heal(self) -> None:
        """Fill again where the clock was ahead: windows begin earlier than was counted. Never raises."""
        if self._clock.now_ms() >= self._filled_ms - CLOCK_STEP_MS:
            return
        try:
            await self._count(self._policy)
        except LedgerUnavailable:
            pass  # the next round does it
        except Exception:
            logger.exception("budgets could not be filled after the clock went back")

    def _resolve_when_due(self) -> None:
        if self._clock.boot_ms() - self._orphans_at_ms >= ORPHANS_EVERY_MS:
            self._resolve()

    def _resolve(self) -> None:
        """End the calls of gates that have died."""
        self._orphans_at_ms = self._clock.boot_ms()
        resolved = self._ledger.resolve_orphans(self._clock.now_ms())
        if resolved.released or resolved.interrupted:
            count = plural.counted(resolved.released + resolved.interrupted, "call")
            logger.warning(
                "ended %s of a gate that died: `spendgate calls` lists them, as interrupted or failed", count
            )

    def _watch_end(self) -> None:
        """Tell once, in the log and in the audit trail, that the policy in force has ended, whatever it says of that."""
        policy, now_ms = self._policy, self._clock.now_ms()
        if policy.hash == self._ended or not lapse.ended(policy, now_ms):
            return
        self._ended = policy.hash
        becomes = "calls are refused" if policy.validity.expired == "refuse" else "it stays in force"
        told = f"{policy.hash} ended on {policy.validity.valid_until}: {becomes}"
        logger.warning("the policy %s; %s answers for it", told, policy.owner)
        self._evidence.tell(AuditWord.POLICY_ENDED, told)
