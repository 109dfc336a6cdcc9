"""Who a past call is under a candidate policy, and what that policy says of it: values kept for each kind of call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spendgate import lapse
from spendgate.admission import Refuse
from spendgate.gate.terms import Flows, unlisted
from spendgate.ledger.history import FACTS_AT, Step
from spendgate.policy import Policy, enforces, model_refusal, person_then, scopes
from spendgate.rates import rate_scopes
from spendgate.roster import PersonMatch
from spendgate.selector import PLAN, UNPRICED, Facts
from spendgate.standing import Scope
from spendgate.window import Clock, Unit, Window

_KEPT_MAX: Final = 100_000
_FOR_EVER_MS: Final = 2**62


class PastDraws:
    """The budgets that calls of some facts draw on, found once for the time in which no window of theirs
    ends. As `gate.terms.Draws`, which must also keep up with rolling windows."""

    __slots__ = ("_enforced", "_facts", "_found", "_from_ms", "_on_plan", "_policy", "_until_ms")

    def __init__(self, policy: Policy, facts: Facts, enforced: bool, *, on_plan: bool) -> None:
        self._policy, self._facts, self._enforced, self._on_plan = policy, facts, enforced, on_plan
        self._found: tuple[Scope, ...] = ()
        self._from_ms = self._until_ms = 0

    def at(self, now_ms: int) -> tuple[Scope, ...]:
        """As `policy.scopes`, but for `starts_ms` of rolling windows."""
        if self._from_ms <= now_ms < self._until_ms:
            return self._found
        self._found = found = scopes(self._policy, self._facts, now_ms, self._enforced, on_plan=self._on_plan)
        fixed = [scope for scope in found if scope.rolling_ms is None]
        self._from_ms = max([scope.starts_ms for scope in fixed], default=0)
        self._until_ms = min([scope.ends_ms for scope in fixed if scope.ends_ms is not None], default=_FOR_EVER_MS)
        began_ms, ends_ms = self._policy.steady(now_ms)
        self._from_ms, self._until_ms = max(self._from_ms, began_ms), min(self._until_ms, ends_ms)
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
    on_plan: bool
    """It costs nothing, and budgets with `counts: value` alone count it."""
    drawn: bool
    """Whether some budget may count it."""
    flows: Flows | None
    """The rates that count it."""
    refusal: Refuse | None
    captured: bool
    """False: the candidate does not decrypt its provider."""

    def refused(self, now_ms: int) -> Refuse | None:
        """As `gate.terms.Terms.refused`."""
        return self.refusal or lapse.refusal(self.policy, now_ms)

    def scopes(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets that it draws on at this instant. Of a rolling window `starts_ms` is not kept up: `Balance.slide` is."""
        return self.draws.at(now_ms) if self.drawn else ()

    def elsewhere(self, step: Step, booked_ms: int) -> tuple[Scope, ...] | None:
        """The budgets that its charge counts in, where another model answered, or where a plan was used up and it cost
        something after all; None: those that it draws on."""
        overage = self.on_plan and bool(step.cost_nanos)
        other = self.policy.by_model and step.model and step.model != step.model_requested
        if not overage and not (other and self.drawn):
            return None
        facts = self.facts.answered_by(step.model) if other else self.facts
        return scopes(self.policy, facts, booked_ms, self.enforced, on_plan=self.on_plan and not overage)


class KnownPast:
    """The terms of past calls under one policy, made once for all calls that differ in nothing that rules go by."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._days = Clock(Window(Unit.DAY), policy.calendar())
        self._dated = any(person.until for person in policy.roster.people)
        self._kept: dict[tuple[object, ...], PastTerms] = {}

    def of(self, step: Step) -> PastTerms:
        """The terms of this call when it asked."""
        day = self._days.at(step.arrived_ms).key if self._dated else ""
        key = (step[FACTS_AT], day)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            found = self._kept[key] = past_terms(step, self._policy)
        return found


def past_terms(step: Step, policy: Policy) -> PastTerms:
    """What `policy` says of every call that is like this one."""
    who = person_then(policy, step.person, step.account_os, step.machine, step.arrived_ms)
    facts = _facts(step, who, policy)
    enforced, on_plan = enforces(policy, facts), step.billing == PLAN
    refusal = unlisted(step.account_os) if who.refused else model_refusal(policy, facts)
    providers = policy.capture.providers
    return PastTerms(
        policy=policy,
        person=who.person,
        facts=facts,
        enforced=enforced,
        draws=PastDraws(policy, facts, enforced, on_plan=on_plan),
        on_plan=on_plan,
        drawn=step.billing not in UNPRICED or (on_plan and policy.by_list),
        flows=Flows.of(rate_scopes(policy.rate_draws, facts, enforced)),
        refusal=refusal,
        captured=providers is None or step.provider in providers or step.billing == "gateway",
    )


def _facts(step: Step, who: PersonMatch, policy: Policy) -> Facts:
    return Facts.of(
        model=step.model_requested,
        person=who.person,
        team=who.team,
        group=who.groups,
        machine=step.machine,
        machine_group=tuple(group.name for group in policy.roster.machine_groups(step.machine)),
        tool=step.tool,
        provider=step.provider,
        session=step.session,
        api_key=step.api_key,
        account=step.account,
        project=step.project,
        billing=step.billing,
    )
