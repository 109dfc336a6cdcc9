"""The policy: what is captured, who may spend what, which models. Values and pure functions; no YAML, no disk, no clock.

`spendgate.config.policies.load` makes one from a file. A policy is immutable: a change of the file is another Policy with
another `hash`, and one call is decided by one of them from hold to settlement.

Which of its rules a call meets says `fitting`; whether the money is there is decided by `admission.decide`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from datetime import date
from functools import cached_property
from typing import Literal

from spendgate.alert_rules import AlertRule
from spendgate.approvers import Approver
from spendgate.budget import Budget, Missing, canonical
from spendgate.contracts import Adjustment, Adjustments, Billing
from spendgate.draws import Draw
from spendgate.exceptions import BudgetException, Extra, Granted
from spendgate.model_names import ModelPattern
from spendgate.model_rules import ModelRule
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.privacy import Privacy
from spendgate.rates import Rate
from spendgate.reach import Fleet
from spendgate.roster import Notify, PersonMatch, Roster, Values
from spendgate.selector import Chosen, Selector
from spendgate.validity import Validity
from spendgate.window import Calendar, local_date

HASH_LENGTH = 12
_FOR_EVER_MS = 2**62


class Mode(Values):
    """Whether what does not fit is refused, or only recorded as `would refuse`."""

    default: Literal["enforce", "observe"] = "enforce"
    enforce: tuple[Chosen, ...] = ()
    """Under `default: observe`: calls that fit one of these are refused all the same."""


class OnFailure(Values):
    """What happens to a call while the gate itself cannot decide. `limit_nanos`: allow up to this for each person."""

    action: Literal["allow", "refuse"] = "allow"
    limit_nanos: int | None = None


class Host(Values):
    """A provider host of the company's own. `prices` is a genai-prices provider id; None: that of the dialect."""

    host: str
    dialect: str
    prices: str | None = None
    billing: str | None = None


class Capture(Values):
    """Everything that is decrypted. `providers` None: all that are known."""

    providers: tuple[str, ...] | None = None
    hosts: tuple[Host, ...] = ()
    never: tuple[str, ...] = ()
    browsers: Literal["never", "count"] = "never"
    """What becomes of a browser's own connections, which are never decrypted: nothing, or a row of bytes and times."""
    stream_usage: Literal["never", "ask"] = "never"
    """Whether a chat stream that does not ask for its usage is made to (`providers/stream_usage`)."""


class UnknownModel(Values):
    """What a model without a known price is charged, in nano-dollars for a million tokens. Never nothing."""

    input_nanos: int = 15 * NANOS_PER_DOLLAR
    output_nanos: int = 75 * NANOS_PER_DOLLAR


class Policy(Values):
    """A whole policy."""

    version: Literal[1] = 1
    owner: str
    help: str = ""
    mode: Mode = Mode()
    timezone: str = "UTC"
    week_starts: int = 0
    fiscal_month: int = 1
    on_failure: OnFailure = OnFailure()
    refusals: Literal["readable", "strict"] = "readable"
    capture: Capture = Capture()
    roster: Roster = Roster()
    budgets: tuple[Budget, ...] = ()
    unlimited: tuple[str, ...] = ()
    """Budgets whose `limit` is `none`: declared, never in the way."""
    models: tuple[ModelRule, ...] = ()
    rates: tuple[Rate, ...] = ()
    exceptions: tuple[BudgetException, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    notify: tuple[Notify, ...] = ()
    approvers: tuple[Approver, ...] = ()
    unknown_model: UnknownModel = UnknownModel()
    prices_update: Literal["never", "daily"] = "never"
    """Whether price lists are fetched (`pricing.updates`): no network that the policy does not name."""
    validity: Validity = Validity()
    privacy: Privacy = Privacy()
    fleet: Fleet = Fleet()
    adjust: tuple[Adjustment, ...] = ()
    """`pricing.adjust`, in the file's order."""
    billing: Billing = Billing()
    grants: tuple[Granted, ...] = ()
    """What approvers have granted beside the file: no part of it, nor of its hash."""

    def granting(self, grants: tuple[Granted, ...]) -> Policy:
        """The same policy with these grants, and no others."""
        return Policy(**{**{name: getattr(self, name) for name in Policy.model_fields}, "grants": grants})

    @cached_property
    def raising(self) -> tuple[BudgetException, ...]:
        """All that raises a limit for a while: the file's exceptions, then the grants."""
        return (*self.exceptions, *self.grants)

    @cached_property
    def adjustments(self) -> Adjustments:
        """`adjust` compiled."""
        return Adjustments(self.adjust, self.timezone)

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over the policy's content: comments and layout do not change it."""
        return hashlib.sha256(canonical(self.model_dump(mode="json", exclude={"grants"}))).hexdigest()[:HASH_LENGTH]

    @cached_property
    def ends_ms(self) -> int | None:
        """When the file's last day is over, in its own zone; None: it has no end."""
        return self.validity.ends_ms(self.timezone)

    @cached_property
    def draws(self) -> tuple[tuple[Draw, bool], ...]:
        """The budgets compiled, each with whether it refuses."""
        return tuple((self._draw(budget), budget.enforce_action) for budget in self.budgets)

    @cached_property
    def rate_draws(self) -> tuple[Draw, ...]:
        """The rates compiled."""
        return tuple(rate.draw() for rate in self.rates)

    @cached_property
    def by_model(self) -> bool:
        """Whether some budget tells calls apart by their model: the answering one then decides what is charged."""
        chosen = [selector for budget in self.budgets for selector in (budget.match, budget.excepted)]
        chosen += [each.match for each in self.raising]
        return any("model" in budget.per for budget in self.budgets) or any(each.texts("model") for each in chosen)

    @cached_property
    def by_session(self) -> bool:
        """Whether anything may tell calls apart by their session. That needs the word, wherever in the policy it stands: who
        looks for it there misses no rule that may have a selector one day."""
        return '"session"' in self.model_dump_json()

    @cached_property
    def by_list(self) -> bool:
        """Whether some budget counts subscription traffic."""
        return any(budget.counts == "value" for budget in self.budgets)

    @cached_property
    def by_bill(self) -> bool:
        """Whether some budget counts what was billed and not captured."""
        return any(budget.counts == "billed" for budget in self.budgets)

    @cached_property
    def model_patterns(self) -> tuple[tuple[ModelRule, tuple[ModelPattern, ...]], ...]:
        """The model rules with their patterns compiled."""
        return tuple((rule, tuple(ModelPattern.of(text) for text in rule.deny or rule.allow)) for rule in self.models)

    def calendar(self, zone: str | None = None) -> Calendar:
        """What cuts calendar windows, in `zone` or the policy's own."""
        return Calendar(zone or self.timezone, self.week_starts, self.fiscal_month)

    @cached_property
    def instants(self) -> tuple[int, ...]:
        """When an exception or a grant begins or ends, in order: what a call draws on may change there. Epoch milliseconds."""
        return tuple(sorted({at_ms for each in self.raising for at_ms in (each.from_ms, each.until_ms)}))

    def steady(self, now_ms: int) -> tuple[int, int]:
        """From when and until when no exception begins or ends around this instant."""
        place = bisect_right(self.instants, now_ms)
        began_ms = self.instants[place - 1] if place else 0
        return began_ms, self.instants[place] if place < len(self.instants) else _FOR_EVER_MS

    def _draw(self, budget: Budget) -> Draw:
        by_team, fixed = self.zones(budget.per, budget.match)
        counted = budget.counted()
        return Draw(
            name=budget.name,
            per=budget.per,
            match=budget.match,
            excepted=budget.excepted,
            window=budget.window,
            calendar=self.calendar(fixed),
            team_calendars={team: self.calendar(zone) for team, zone in by_team.items()},
            limit_nanos=budget.limit_nanos,
            hold=budget.hold,
            wait_ms=budget.wait_ms,
            cut=budget.cut,
            order=budget.order,
            shared_missing=budget.missing is Missing.SHARED,
            counted=counted,
            mean=budget.mean,
            extras=tuple(Extra.of(each, budget.per, counted) for each in self.raising if each.budget == budget.name),
            by_list=budget.counts == "value",
            by_bill=budget.counts == "billed",
        )

    def zones(self, per: tuple[str, ...], match: Selector) -> tuple[dict[str, str], str | None]:
        """Whose zone cuts a rule's windows: (zones by the call's team, the rule's one zone).

        An allowance must have one calendar whoever draws on it, so a team's own zone counts where the allowance belongs to
        one person or team, or where `match` names one team; else the policy's.
        """
        if {"person", "team"} & set(per):
            return {team.name: team.zone for team in self.roster.teams if team.zone}, None
        matched = match.texts("team")
        team = self.roster.team_by_name.get(matched[0]) if len(matched) == 1 else None
        return {}, team.zone if team else None


def person_of(policy: Policy, account: str | None, *, today: date, machine: str | None = None) -> PersonMatch:
    """Whom an OS account is: see `Roster.person_of`. `today` is `local_date(policy.timezone, now_ms)`."""
    return policy.roster.person_of(account, today=today, machine=machine)


def person_then(policy: Policy, person: str, account: str | None, machine: str, at_ms: int) -> PersonMatch:
    """Whom this policy takes a past call for: see `Roster.person_then`."""
    return policy.roster.person_then(person, account, today=today_in(policy, at_ms), machine=machine)


def today_in(policy: Policy, now_ms: int) -> date:
    """The date in the policy's zone."""
    return local_date(policy.timezone, now_ms)
