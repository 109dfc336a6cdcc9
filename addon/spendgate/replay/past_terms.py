"""Who a past call is under a candidate policy, and what that policy says of it: values kept for each kind of call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spendgate.admission import Refuse
from spendgate.gate.terms import UNPRICED, unlisted
from spendgate.ledger.history import FACTS_AT, Step
from spendgate.policy import Policy, enforces, fitting, model_refusal, person_then, scopes, scopes_of
from spendgate.roster import PersonMatch
from spendgate.selector import Facts
from spendgate.standing import Scope
from spendgate.window import Clock, Unit, Window

_KEPT_MAX: Final = 100_000
_FOR_EVER_MS: Final = 2**62


class PastDraws:
    """The budgets that calls of some facts draw on, found once; their scopes for the time in which no window of theirs
    ends. As `gate.terms.Draws`, which must also keep up with rolling windows."""

    __slots__ = ("_enforced", "_facts", "_fitting", "_found", "_from_ms", "_until_ms")

    def __init__(self, policy: Policy, facts: Facts, enforced: bool) -> None:
        self._fitting, self._facts, self._enforced = fitting(policy, facts), facts, enforced
        self._found: tuple[Scope, ...] = ()
        self._from_ms = self._until_ms = 0

    def at(self, now_ms: int) -> tuple[Scope, ...]:
        """As `policy.scopes`, but for `starts_ms` of rolling windows."""
        if self._from_ms <= now_ms < self._until_ms:
            return self._found
        self._found = found = scopes_of(self._fitting, self._facts, now_ms, self._enforced)
        fixed = [scope for scope in found if scope.rolling_ms is None]
        self._from_ms = max([scope.starts_ms for scope in fixed], default=0)
        self._until_ms = min([scope.ends_ms for scope in fixed if scope.ends_ms is not None], default=_FOR_EVER_MS)
        return found


class SharedDraws:
    """One `PastDraws` for all calls that differ in nothing that a budget goes by: mostly one for each person."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        chosen = [selector.as_data() for budget in policy.budgets for selector in (budget.match, budget.excepted)]
        named = {name for budget in policy.budgets for name in budget.per}.union(*chosen)
        self._named = tuple(sorted(named | {"team"}))  # whose zone may cut a window
        self._kept: dict[tuple[object, ...], PastDraws] = {}

    def of(self, facts: Facts, enforced: bool) -> PastDraws:
        """The draws of these facts."""
        key = (enforced, *[facts.values.get(name) for name in self._named])
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = PastDraws(self._policy, facts, enforced)
        return found


@dataclass(frozen=True, slots=True)
class PastTerms:
    """What a candidate policy says of a past call, whatever its size. As `gate.terms.Terms`, without prices."""

    policy: Policy
    person: str
    """Whom the candidate takes its account for."""
    facts: Facts
    enforced: bool
    draws: PastDraws
    counts: bool
    refusal: Refuse | None
    captured: bool
    """False: the candidate does not decrypt its provider."""

    def scopes(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets that it draws on at this instant. Of a rolling window `starts_ms` is not kept up: `Balance.slide` is."""
        return self.draws.at(now_ms) if self.counts else ()

    def elsewhere(self, step: Step, booked_ms: int) -> tuple[Scope, ...] | None:
        """The budgets that its charge counts in, where another model answered; None: those that it draws on."""
        if not self.policy.by_model or not step.model or step.model == step.model_requested or not self.counts:
            return None
        return scopes(self.policy, self.facts.answered_by(step.model), booked_ms, self.enforced)


class KnownPast:
    """The terms of past calls under one policy, made once for all calls that differ in nothing that rules go by."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._days = Clock(Window(Unit.DAY), policy.calendar())
        self._dated = any(person.until for person in policy.roster.people)
        self._kept: dict[tuple[object, ...], PastTerms] = {}
        self._draws = SharedDraws(policy)

    def of(self, step: Step) -> PastTerms:
        """The terms of this call when it asked."""
        day = self._days.at(step.arrived_ms).key if self._dated else ""
        key = (step[FACTS_AT], day)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
                self._draws = SharedDraws(self._policy)
            found = self._kept[key] = past_terms(step, self._policy, self._draws)
        return found


def past_terms(step: Step, policy: Policy, draws: SharedDraws) -> PastTerms:
    """What `policy` says of every call that is like this one."""
    who = person_then(policy, step.person, step.account_os, step.machine, step.arrived_ms)
    facts = _facts(step, who)
    enforced = enforces(policy, facts)
    refusal = unlisted(step.account_os) if who.refused else model_refusal(policy, facts)
    providers = policy.capture.providers
    return PastTerms(
        policy=policy,
        person=who.person,
        facts=facts,
        enforced=enforced,
        draws=draws.of(facts, enforced),
        counts=step.billing not in UNPRICED,
        refusal=refusal,
        captured=providers is None or step.provider in providers or step.billing == "gateway",
    )


def _facts(step: Step, who: PersonMatch) -> Facts:
    return Facts.of(
        model=step.model_requested,
        person=who.person,
        team=who.team,
        group=who.groups,
        machine=step.machine,
        tool=step.tool,
        provider=step.provider,
        session=step.session,
        api_key=step.api_key,
        account=step.account,
        project=step.project,
        billing=step.billing,
    )
