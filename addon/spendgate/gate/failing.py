"""A call that asks while the ledger fails: its budgets decide by what is known in memory, and then the policy's `on_failure`, as
far as its mode enforces anything for this call.

Rows are queued in their order, and written when the ledger is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from spendgate.admission import Admit, Refuse, Wait
from spendgate.errors import LedgerUnavailable
from spendgate.estimate import Sizes
from spendgate.gate.asked import Asked, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.evidence import Evidence
from spendgate.gate.fallback import Fallback, Without
from spendgate.gate.interface import Refused
from spendgate.gate.refusing import Refusing
from spendgate.gate.running import Running
from spendgate.gate.unwritten import Moved
from spendgate.ledger.interface import Flowing, LedgerPort
from spendgate.standing import KindStanding, Size, Standing

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

    def ask(self, asked: Asked, why: str, *, waited_ms: int = 0, patient: bool = False) -> Running | Refused | Wait:
        """Whether it leaves. `why` the ledger did not decide it has no content. Wait: for others' holds, if it is `patient`."""
        self._evidence.failed(why)
        now_ms, size = self._clock.now_ms(), asked.size(self._sizes)
        rule, enforced = asked.terms.refused(now_ms), asked.terms.enforced
        if rule is not None and enforced:
            return self._refusing.refused(asked, rule, size, waited_ms)
        flowing, nanos = asked.flowing(size, self._clock), _likely(size)
        decision = self._fallback.decide(
            Without(
                self._standings(asked, flowing, now_ms), self._kind(asked), size, asked.intent.attribution.person, nanos,
                asked.terms.policy.on_failure, why, self._backlog.room, enforced, patient,
            ),
            now_ms,
        )  # fmt: skip
        if isinstance(decision, Refuse):
            return self._refusing.refused(asked, decision, size, waited_ms)
        if isinstance(decision, Wait):
            return decision
        self._fallback.left(asked.intent.call_id, asked.terms.rate_scopes, flowing)
        admit = replace(decision, would_refuse=rule or decision.would_refuse)
        self._open(asked, size, admit, now_ms, waited_ms)
        return Running(asked, size, admit.holds, now_ms, flags=(WITHOUT_LEDGER,), late=True, remembered_nanos=nanos)

    def _standings(self, asked: Asked, flowing: Flowing | None, now_ms: int) -> tuple[Standing, ...]:
        """Its budgets and rates as they stand: by the file and what it has not been told, else as they were last seen."""
        scopes, held = asked.terms.scopes(now_ms), (scope for call in self._running.values() for scope, _ in call.holds)
        self._backlog.write_out()  # what is to be written soon is then written, or known as unwritten
        try:
            found = self._ledger.standings(scopes, now_ms, self._backlog.unwritten.sums(scopes, now_ms))
        except LedgerUnavailable:
            found = self._fallback.remembered(scopes)
        else:
            self._fallback.saw(found)
        return (*found, *self._fallback.rates(asked.terms.rate_scopes, flowing, held))

    def _kind(self, asked: Asked) -> KindStanding:
        """How many calls of its kind this gate has open: those of others can only be known from the ledger."""
        kind = asked.terms.keys.kind
        return KindStanding(kind, 0, sum(1 for call in self._running.values() if call.asked.terms.keys.kind == kind))

    def _open(self, asked: Asked, size: Size, admit: Admit, now_ms: int, waited_ms: int) -> None:
        """It holds from here on in memory, and in the ledger as soon as that can be written."""
        opened, scopes = row(asked, size), tuple([scope for scope, _ in admit.holds])
        moved = Moved(now_ms, size.ceiling_nanos, opened=admit.holds)
        self._backlog.later(lambda: self._ledger.hold(opened, scopes, lambda *_: admit, now_ms, waited_ms), moved)
        self._fallback.moved(moved)


def _likely(size: Size) -> int:
    """What `allow up to` counts a call with until it has ended."""
    return next((each for each in (size.learned_nanos, size.guess_nanos) if each is not None), 0)
