"""Who a past call is under a candidate policy, and what that policy says of it: values kept for each kind of call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spendgate import lapse
from spendgate.admission import RefusalKind, Refuse
from spendgate.contracts import PERSONAL_RULE, Changes
from spendgate.draws import Draw
from spendgate.fitting import Fitting, charged, enforces, fitting, model_refusal
from spendgate.gate.accounts import refusal_of
from spendgate.gate.drawing import Flows
from spendgate.gate.past import NAMED
from spendgate.gate.terms import unlisted
from spendgate.ledger.history import FACTS_AT, UNSESSIONED_AT, Step
from spendgate.policy import Policy, person_then
from spendgate.rates import rate_scopes
from spendgate.roster import PersonMatch
from spendgate.selector import PERSONAL, PLAN, Facts
from spendgate.standing import Scope
from spendgate.tallies import together
from spendgate.window import Clock, Unit, Window

_KEPT_MAX: Final = 100_000
_FOR_EVER_MS: Final = 2**62


_Part = tuple[tuple[Scope, ...], int, int]
"""What one budget has for a call, and from when until when that stays so; times in epoch milliseconds."""
_NOTHING_YET: Final[_Part] = ((), 0, 0)


class PastDraws:
    """The budgets that calls of some facts draw on, found once; their scopes for the time in which no window of theirs
    ends. As `gate.terms.Draws`, which must also keep up with rolling windows."""

    __slots__ = ("_enforced", "_fitting", "_found", "_from_ms", "_parts", "_policy", "_until_ms")

    def __init__(self, policy: Policy, facts: tuple[Facts, ...], enforced: bool, *, on_plan: bool) -> None:
        """`facts`: the call's, and as of each other model that may have a part in it."""
        self._policy, self._enforced = policy, enforced
        self._fitting = tuple([(fitting(policy, each, on_plan=on_plan), each) for each in facts])
        self._parts = [[_NOTHING_YET] * len(budgets) for budgets, _ in self._fitting]
        self._found: tuple[Scope, ...] = ()
        self._from_ms = self._until_ms = 0

    def at(self, now_ms: int) -> tuple[Scope, ...]:
        """As `fitting.scopes`, but for `starts_ms` of rolling windows."""
        if self._from_ms <= now_ms < self._until_ms:
            return self._found
        self._from_ms, self._until_ms = self._policy.steady(now_ms)
        each = [
            self._of_one(budgets, facts, parts, now_ms)
            for (budgets, facts), parts in zip(self._fitting, self._parts, strict=True)
        ]
        self._found = each[0] if len(each) == 1 else together(each)
        return self._found

    def _of_one(self, budgets: Fitting, facts: Facts, parts: list[_Part], now_ms: int) -> tuple[Scope, ...]:
        """The scopes of one model's facts: made again only of the budgets whose window has ended, or whose limit moves."""
        for place, (draw, refuses) in enumerate(budgets):
            _, from_ms, until_ms = parts[place]
            if draw.moves or not from_ms <= now_ms < until_ms:
                parts[place] = _part(draw, facts, now_ms, self._enforced and refuses)
        self._from_ms = max([self._from_ms, *[from_ms for _, from_ms, _ in parts]])
        self._until_ms = min([self._until_ms, *[until_ms for _, _, until_ms in parts]])
        return tuple([scope for scopes, _, _ in parts for scope in scopes])


def _part(draw: Draw, facts: Facts, now_ms: int, enforced: bool) -> _Part:
    found: list[Scope] = []
    draw.add_scopes(found, facts, now_ms, enforced)
    fixed = [scope for scope in found if scope.rolling_ms is None]
    from_ms = max([scope.starts_ms for scope in fixed], default=0)
    return (
        tuple(found),
        from_ms,
        min([each.ends_ms for each in fixed if each.ends_ms is not None], default=_FOR_EVER_MS),
    )


class SharedDraws:
    """One `PastDraws` for all calls that differ in nothing that a budget goes by: mostly one for each person."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        chosen = [selector.as_data() for budget in policy.budgets for selector in (budget.match, budget.excepted)]
        chosen += [each.match.as_data() for each in policy.raising]
        named = {name for budget in policy.budgets for name in budget.per}.union(*chosen)
        self._named = tuple(sorted(named | {"team"}))  # whose zone may cut a window
        self._kept: dict[tuple[object, ...], PastDraws] = {}

    def of(self, facts: tuple[Facts, ...], enforced: bool, *, on_plan: bool) -> PastDraws:
        """The draws of these facts; more than one as in `PastDraws`."""
        key = (enforced, on_plan, *[each.values.get(name) for each in facts for name in self._named])
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = PastDraws(self._policy, facts, enforced, on_plan=on_plan)
        return found


@dataclass(frozen=True, slots=True)
class PastTerms:
    """What a candidate policy says of a past call, whatever its size. As `gate.terms.Terms`, without prices."""

    policy: Policy
    person: str
    """Whom the candidate takes its account for."""
    facts: Facts
    also: bool
    """As `gate.terms.Terms.also`: whether there are other models."""
    enforced: bool
    draws: PastDraws
    on_plan: bool
    """It costs nothing, and budgets with `counts: value` alone count it."""
    drawn: bool
    """Whether some budget may count it."""
    counts: bool
    """Whether it costs anything."""
    flows: Flows | None
    """The rates that count it."""
    refusal: Refuse | None
    changes: Changes
    """As `gate.terms.Terms.changes`."""

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
        if not overage and not ((other or (self.also and self.policy.by_model)) and self.drawn):
            return None
        facts = self.facts.answered_by(step.model) if other else self.facts
        on_plan = self.on_plan and not overage
        # Of the other models that it named the row tells the one that answered.
        asked = (self.facts, facts) if NAMED in (step.flags or "").split(",") else (self.facts,)
        return charged(self.policy, asked, facts, booked_ms, self.enforced, on_plan=on_plan)


class KnownPast:
    """The terms of past calls under one policy, made once for all calls that differ in nothing that rules go by."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._days = Clock(Window(Unit.DAY), policy.calendar())
        self._dated = any(person.until for person in policy.roster.people)
        self._facts_at = FACTS_AT if policy.by_session else UNSESSIONED_AT
        self._kept: dict[tuple[object, ...], PastTerms] = {}
        self._draws = SharedDraws(policy)

    def of(self, step: Step) -> PastTerms:
        """The terms of this call when it asked."""
        day = self._days.at(step.arrived_ms).key if self._dated else ""
        changed = self._policy.adjustments.since(step.arrived_ms) if self._policy.adjust else 0
        key = (step[self._facts_at], day, changed)
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
    billing = billing_word(policy, step.provider, step.account, step.billing)
    facts = _facts(step, who, policy, billing)
    models = (facts, *[facts.answered_by(name) for name in step.also])
    enforced, on_plan = enforces(policy, *models), billing == PLAN
    refusal = unlisted(step.account_os) if who.refused else _on_its_account(step, policy, billing)
    refusal = refusal or next(filter(None, (model_refusal(policy, each) for each in models)), None)
    return PastTerms(
        policy=policy,
        person=who.person,
        facts=facts,
        also=len(models) > 1,
        enforced=enforced,
        draws=draws.of(models, enforced, on_plan=on_plan),
        on_plan=on_plan,
        drawn=policy.billing.counts(billing) or (on_plan and policy.by_list),
        counts=policy.billing.counts(billing),
        flows=Flows.of(rate_scopes(policy.rate_draws, models, enforced, personal=policy.billing.counts(PERSONAL))),
        refusal=refusal,
        changes=policy.adjustments.of(facts, step.arrived_ms),
    )


def billing_word(policy: Policy, provider: str, account: str | None, said: str) -> str:
    """Its billing word under this policy; of a personal call, which hides what its wire said, by whom the policy takes the
    account for."""
    asks = policy.billing.asks_for(provider) and not policy.billing.is_own(provider, account)
    return policy.billing.word(provider, account, said if asks or said != PERSONAL else "metered")


def _on_its_account(step: Step, policy: Policy, billing: str) -> Refuse | None:
    """As `gate.accounts.refusal_of`; a row that says `personal` may say no more of the account."""
    if billing == PERSONAL and not step.account and policy.billing.personal == "refuse":
        return Refuse(RefusalKind.RULE, PERSONAL_RULE, f"the {step.provider} account is not the company's")
    return refusal_of(policy.billing, step.provider, step.account, billing, step.api_key)


def _facts(step: Step, who: PersonMatch, policy: Policy, billing: str) -> Facts:
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
        billing=billing,
    )
