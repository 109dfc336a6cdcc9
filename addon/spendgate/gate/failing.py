"""A call that asks while the ledger fails: the policy's `on_failure`, as far as its mode enforces anything for this call.

Rows are queued in their order, and written when the ledger is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from spendgate.admission import Admit, Refuse
from spendgate.errors import LedgerUnavailable
from spendgate.estimate import Sizes
from spendgate.gate.asked import Asked, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.evidence import Evidence
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Refused
from spendgate.gate.refusing import Refusing
from spendgate.gate.running import Running
from spendgate.ledger.interface import Flowing, LedgerPort
from spendgate.standing import Hold, Scope, Size

WITHOUT_LEDGER: Final = "admitted while the ledger failed"
"""Flag of a call that `on_failure` let through."""


class Failing:
    """Decides the calls of one gate without the ledger."""

    def __init__(
        self, ledger: LedgerPort, *, sizes: Sizes, fallback: Fallback, backlog: Backlog, evidence: Evidence,
        refusing: Refusing, clock: Clock, running: Mapping[str, Running],
    ) -> None:  # fmt: skip
        """`running`: the gate's calls that have not ended."""
        self._ledger = ledger
        self._sizes = sizes
        self._fallback = fallback
        self._backlog = backlog
        self._evidence = evidence
        self._refusing = refusing
        self._clock = clock
        self._running = running

    def ask(self, asked: Asked, why: str) -> Running | Refused:
        """Whether it leaves. `why` the ledger did not decide it has no content."""
        self._evidence.failed(why)
        now_ms, size = self._clock.now_ms(), asked.size(self._sizes)
        scopes, rates = asked.terms.scopes(now_ms), asked.terms.rate_scopes
        hold_nanos = next((each for each in (size.learned_nanos, size.guess_nanos) if each is not None), 0)
        try:
            self._fallback.told(scopes, self._ledger.settled(scopes, now_ms))
        except LedgerUnavailable:
            pass  # it cannot be read either: what is remembered decides
        flowing = asked.flowing(size, self._clock)
        refuse, would = self._decided(asked, scopes, flowing, hold_nanos, now_ms, why=why)
        if refuse is not None:
            return self._refusing.refused(asked, refuse, size, 0)
        self._fallback.left(asked.intent.call_id, rates, flowing)
        scopes = (*scopes, *rates)
        holds = tuple((scope, _booked(scope, size, hold_nanos)) for scope in scopes)
        opened = row(asked, size)
        self._backlog.later(lambda: self._ledger.hold(opened, scopes, lambda *_: Admit(holds, would), now_ms))
        return Running(asked, size, holds, now_ms, flags=(WITHOUT_LEDGER,), late=True, remembered_nanos=hold_nanos)

    def _decided(
        self,
        asked: Asked,
        scopes: tuple[Scope, ...],
        flowing: Flowing | None,
        hold_nanos: int,
        now_ms: int,
        *,
        why: str,
    ) -> tuple[Refuse | None, Refuse | None]:
        """What refuses it, and what would have, where its mode enforced that."""
        rule, enforced = asked.terms.refused(now_ms), asked.terms.enforced
        held = (scope for call in self._running.values() for scope, _ in call.holds)
        refuse = rule if enforced else None
        refuse = refuse or self._fallback.rate_refusal(asked.terms.rate_scopes, flowing, held, now_ms)
        if refuse is not None:
            return refuse, rule
        refuse, would = self._fallback.decide(
            scopes, hold_nanos, asked.intent.attribution.person, asked.terms.policy.on_failure, why=why,
            room=self._backlog.room, enforced=enforced,
        )  # fmt: skip
        return refuse, rule or would


def _booked(scope: Scope, size: Size, hold_nanos: int) -> int:
    """What a call that nothing could check is booked with in one budget; in a rate nothing."""
    if scope.rate is not None:
        return 0
    return size.ceiling_nanos if scope.hold is Hold.CEILING and size.ceiling_nanos is not None else hold_nanos
