"""What is refused of a whole connection, before any call on it asks: nothing is left, or nothing bounds what it costs."""

from __future__ import annotations

from spendgate import lapse, limits
from spendgate.admission import BILLED_TOO, Decision, RefusalKind, Refuse, by_rate
from spendgate.errors import LedgerUnavailable
from spendgate.gate.asked import Asked, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.fallback import Fallback
from spendgate.gate.patience import patiently
from spendgate.ledger.interface import LedgerPort
from spendgate.standing import UNSIZED, Hold, KindStanding, Scope, Standing


class Connections:
    """Whether anything is left for the calls of a connection. Nothing is held or written."""

    def __init__(self, ledger: LedgerPort, *, fallback: Fallback, backlog: Backlog, clock: Clock) -> None:
        self._ledger = ledger
        self._fallback = fallback
        self._backlog = backlog
        self._clock = clock

    async def refusal(self, asked: Asked) -> Refuse | None:
        """What would refuse every call of it; None: something is left, or nobody can say."""
        now_ms, terms, ask = self._clock.now_ms(), asked.terms, asked.intent.ask
        # A session for transcription alone has no model yet.
        named = ask.overheard and not (ask.transcribes and ask.model is None)
        drawn = terms.scopes(now_ms) if named else terms.without_model(now_ms)
        scopes = tuple(scope for scope in drawn if scope.enforced and (named or _for_all(scope)))
        # Model rules wait for the calls themselves, where any will ask; what refuses every one of them need not.
        whole = named or asked.intent.attribution.refused
        refuse = terms.refused(now_ms) if whole else lapse.refusal(terms.policy, now_ms)
        if refuse is None and ask.loops:
            refuse = next((_unbounded(scope) for scope in scopes if scope.hold is Hold.CEILING), None)
        if named:
            scopes = (*scopes, *(scope for scope in terms.rate_scopes if scope.enforced))
        if refuse is None and scopes:
            refuse = await self._peek(asked, scopes, now_ms)
        return refuse

    async def _peek(self, asked: Asked, scopes: tuple[Scope, ...], now_ms: int) -> Refuse | None:
        """The first of these budgets that is spent. Asks the ledger and refuses there whatever it says: nothing is written."""
        found: list[Refuse] = []

        def look(standings: tuple[Standing, ...], _: KindStanding) -> Decision:
            self._fallback.saw(standings)
            found.extend(refuse for standing in standings if (refuse := _used_up(standing, now_ms)))
            return found[0] if found else Refuse(RefusalKind.SPENT, "", "only looking")

        peeked, flowing = row(asked, UNSIZED), asked.flowing(UNSIZED, self._clock)

        def peek() -> Decision:
            return self._backlog.joined(lambda: self._ledger.hold(peeked, scopes, look, now_ms, flowing=flowing))

        try:
            await patiently(peek, self._clock)
        except LedgerUnavailable:
            return None  # each call behind this handshake is decided by itself
        return found[0] if found else None


def _for_all(scope: Scope) -> bool:
    """Whether this budget leaves every call what it leaves one of no model: an exception may be for a model yet to be named."""
    return all(credit.usable for credit in scope.credits)


def _unbounded(scope: Scope) -> Refuse:
    """A connection whose calls have no bound and cannot be held one by one."""
    why = "what such a connection costs has no bound"
    return Refuse(RefusalKind.UNBOUNDED, scope.budget, why, value=scope.value, limit_nanos=scope.limit_nanos)


def _used_up(standing: Standing, now_ms: int) -> Refuse | None:
    """The refusal by a budget that is spent, or a rate without room; None: something is left."""
    scope = standing.scope
    if scope.rate is not None:
        return by_rate(standing, now_ms)
    if standing.settled_nanos < standing.limit_nanos:
        return None
    return Refuse(
        RefusalKind.SPENT,
        scope.budget,
        "the budget is spent" + (BILLED_TOO if standing.billed_nanos > 0 else ""),
        value=scope.value,
        settled_nanos=standing.settled_nanos,
        held_nanos=standing.held_nanos,
        hold_nanos=1,
        limit_nanos=standing.limit_nanos,
        resets_ms=scope.ends_ms,
        limit_from=limits.told(scope, standing.limit) if standing.limit is not None else "",
        billed_nanos=standing.billed_nanos,
    )
