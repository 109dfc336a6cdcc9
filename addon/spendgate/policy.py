"""The policy: what is captured, who may spend what, which models. Values and pure functions; no YAML, no disk, no clock.

`spendgate.config.policies.load` makes one from a file. A policy is immutable: a change of the file is another Policy with
another `hash`, and one call is decided by one of them from hold to settlement.

Rules: every budget and model rule that fits a call and does not except it must admit it. What fits is decided here; whether
the money is there is decided by `admission.decide`.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from msgspec.structs import asdict
from pydantic import InstanceOf, PlainSerializer

from spendgate.adaptive import Mean
from spendgate.admission import RefusalKind, Refuse, who_refuses
from spendgate.alert_rules import AlertRule
from spendgate.approvers import Approver
from spendgate.contracts import Adjustment, Adjustments, Billing
from spendgate.draws import Draw
from spendgate.exceptions import BudgetException, Extra
from spendgate.model_names import ModelPattern
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.privacy import Privacy
from spendgate.rates import Rate
from spendgate.reach import Fleet
from spendgate.roster import Notify, PersonMatch, Roster, Values
from spendgate.selector import EVERY, Facts, Selector
from spendgate.standing import Hold, Scope
from spendgate.validity import Validity
from spendgate.window import Calendar, Window, local_date
from spendgate.written import written

HASH_LENGTH = 12
WAIT_MS_DEFAULT = 20_000
_FOR_EVER_MS = 2**62

Chosen = Annotated[InstanceOf[Selector], PlainSerializer(Selector.as_data)]
Cut = Annotated[InstanceOf[Window], PlainSerializer(lambda window: window.name)]
ByMean = Annotated[InstanceOf[Mean], PlainSerializer(asdict)]


# What a budget's balances count; its limit and how it refuses change nothing in them.
_COUNTED = {"per", "match", "excepted", "window", "missing"}


def _canonical(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


class Missing(StrEnum):
    """What a budget does with a call that has no value for its `per`."""

    SKIP = "skip"
    SHARED = "shared"
    REFUSE = "refuse"


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


class Budget(Values):
    """One limit over one window. Amounts in nano-dollars, times in milliseconds."""

    name: str
    """Unique: `person/month` where the file gives several limits, else the file's name."""
    base_name: str
    """The file's name."""
    per: tuple[str, ...] = ()
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    """The file's `except`."""
    limit_nanos: int
    """Of a limit by the mean, `at_most`."""
    window: Cut | None = None
    """None: for the life of the value."""
    mean: ByMean | None = None
    """None: the limit is the same every day."""
    counts: Literal["captured", "value"] = "captured"
    """`value` adds subscription traffic, at list price."""
    per_machine_nanos: int | None = None
    """The most that one machine may take while it cannot reach the fleet's ledger; None: nothing is said."""
    hold: Hold = Hold.EXPECTED
    wait_ms: int = WAIT_MS_DEFAULT
    cut: bool = False
    enforce_action: bool = True
    """False: `action: warn`."""
    order: int
    missing: Missing = Missing.SKIP
    alerts: tuple[int, ...] = ()
    """Thresholds in percent of the limit, rising: each is told once in a window."""


class ModelRule(Values):
    """Which models. Exactly one of `allow` and `deny` is given."""

    name: str
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    suggest: str | None = None
    unresolved: Literal["deny", "allow"] = "deny"
    order: int


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

    @cached_property
    def adjustments(self) -> Adjustments:
        """`adjust` compiled."""
        return Adjustments(self.adjust, self.timezone)

    @cached_property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over the policy's content: comments and layout do not change it."""
        return hashlib.sha256(_canonical(self.model_dump(mode="json"))).hexdigest()[:HASH_LENGTH]

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
        chosen += [each.match for each in self.exceptions]
        return any("model" in budget.per for budget in self.budgets) or any(each.texts("model") for each in chosen)

    @cached_property
    def by_list(self) -> bool:
        """Whether some budget counts subscription traffic."""
        return any(budget.counts == "value" for budget in self.budgets)

    @cached_property
    def model_patterns(self) -> tuple[tuple[ModelRule, tuple[ModelPattern, ...]], ...]:
        """The model rules with their patterns compiled."""
        return tuple((rule, tuple(ModelPattern.of(text) for text in rule.deny or rule.allow)) for rule in self.models)

    def calendar(self, zone: str | None = None) -> Calendar:
        """What cuts calendar windows, in `zone` or the policy's own."""
        return Calendar(zone or self.timezone, self.week_starts, self.fiscal_month)

    @cached_property
    def instants(self) -> tuple[int, ...]:
        """When an exception begins or ends, in order: what a call draws on may change there. Epoch milliseconds."""
        return tuple(sorted({at_ms for each in self.exceptions for at_ms in (each.from_ms, each.until_ms)}))

    def steady(self, now_ms: int) -> tuple[int, int]:
        """From when and until when no exception begins or ends around this instant."""
        place = bisect_right(self.instants, now_ms)
        began_ms = self.instants[place - 1] if place else 0
        return began_ms, self.instants[place] if place < len(self.instants) else _FOR_EVER_MS

    def _draw(self, budget: Budget) -> Draw:
        by_team, fixed = self.zones(budget.per, budget.match)
        counted = _counted(budget)
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
            extras=tuple(Extra.of(each, budget.per, counted) for each in self.exceptions if each.budget == budget.name),
            by_list=budget.counts == "value",
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


def _counted(budget: Budget) -> bytes:
    """What the budget's balances count, in canonical words; a word that says what is usual is left out, so that a ledger from
    before there was such a word has the same balances."""
    words = budget.model_dump(mode="json", include=_COUNTED)
    if budget.counts != "captured":
        words["counts"] = budget.counts
    if budget.mean is not None:
        words["mean_days"] = budget.mean.days
    return _canonical(words)


Fitting = tuple[tuple[Draw, bool], ...]
"""Budgets compiled, each with whether it refuses."""


def scopes(policy: Policy, facts: Facts, now_ms: int, enforced: bool, *, on_plan: bool = False) -> tuple[Scope, ...]:
    """Every budget that fits the call, as the balance it draws on at `now_ms`. `enforced` is `enforces(policy, facts)`.

    For a hold give the facts of the request; for the charge `facts.answered_by(model)` and the instant of the hold. A call
    `on_plan` (of a subscription) counts only where `counts: value` says so. The tallies of a budget follow its scope.
    """
    return scopes_of(fitting(policy, facts, on_plan=on_plan), facts, now_ms, enforced)


def fitting(policy: Policy, facts: Facts, *, on_plan: bool = False) -> Fitting:
    """The budgets that calls of these facts draw on, whenever they ask: of hundreds mostly a few."""
    return tuple([each for each in policy.draws if (each[0].by_list or not on_plan) and each[0].fits(facts)])


def scopes_of(budgets: Fitting, facts: Facts, now_ms: int, enforced: bool) -> tuple[Scope, ...]:
    """As `scopes`, of the budgets that fit."""
    found: list[Scope] = []
    for draw, refuses in budgets:
        draw.add_scopes(found, facts, now_ms, enforced and refuses)
    return tuple(found)


def enforces(policy: Policy, facts: Facts) -> bool:
    """Whether what does not fit is refused for this call, rather than recorded only."""
    return policy.mode.default == "enforce" or any(selector.fits(facts) for selector in policy.mode.enforce)


def model_refusal(policy: Policy, facts: Facts) -> Refuse | None:
    """The refusal by a model rule, or a budget or rate with `missing: refuse`; None where none refuses. Under `observe` too."""
    refusals = [refuse for rule, patterns in policy.model_patterns if (refuse := refused_by(rule, patterns, facts))]
    for budget, (draw, _) in zip(policy.budgets, policy.draws, strict=True):
        if budget.missing is Missing.REFUSE and budget.enforce_action and (lacks := draw.lacks(facts)):
            reason = f"{budget.base_name} is kept per {lacks}, and this call has no {lacks}"
            refusals.append(Refuse(RefusalKind.RULE, budget.name, reason))
    for rate, draw in zip(policy.rates, policy.rate_draws, strict=True):
        if rate.missing == Missing.REFUSE and (lacks := draw.lacks(facts)):
            reason = f"{rate.name} is kept per {lacks}, and this call has no {lacks}"
            refusals.append(Refuse(RefusalKind.RULE, rate.name, reason))
    return who_refuses(refusals) if refusals else None


def refused_by(rule: ModelRule, patterns: tuple[ModelPattern, ...], facts: Facts) -> Refuse | None:
    """What one model rule says of a call; None: it lets it through, or is not about it."""
    if not rule.match.may_fit(facts) or rule.excepted.fits(facts):
        return None
    # Of an allowed model only the family counts: a spelling of the client's own must not pass for one.
    names = facts.names if rule.deny else facts.names[-1:]
    refused = any(pattern.fits(name) for pattern in patterns for name in names) is bool(rule.deny)
    if facts.stem is not None and (not refused or rule.allow):
        return _alias_refused(rule, patterns, facts, refused)
    return (
        Refuse(RefusalKind.RULE, rule.name, f"model {written(names[0])} is not allowed", suggest=rule.suggest)
        if refused
        else None
    )


def _alias_refused(rule: ModelRule, patterns: tuple[ModelPattern, ...], facts: Facts, refused: bool) -> Refuse | None:
    """A router or alias that no pattern names: refused where it may become what is not allowed, unless `unresolved: allow`."""
    stem = facts.stem or ""
    may_fit = any(pattern.may_fit(stem) for pattern in patterns)
    if rule.allow and (not refused or (rule.unresolved == "allow" and may_fit)):
        return None
    if rule.deny and (rule.unresolved == "allow" or not may_fit):
        return None
    asked = facts.values.get("model", ("",))[0]
    reason = (
        f"which model {asked} becomes is not known beforehand"
        if asked
        else "the call does not say which model it wants"
    )
    return Refuse(RefusalKind.RULE, rule.name, reason, suggest=rule.suggest)


def person_of(policy: Policy, account: str | None, *, today: date, machine: str | None = None) -> PersonMatch:
    """Whom an OS account is: see `Roster.person_of`. `today` is `local_date(policy.timezone, now_ms)`."""
    return policy.roster.person_of(account, today=today, machine=machine)


def person_then(policy: Policy, person: str, account: str | None, machine: str, at_ms: int) -> PersonMatch:
    """Whom this policy takes a past call for: see `Roster.person_then`."""
    return policy.roster.person_then(person, account, today=today_in(policy, at_ms), machine=machine)


def today_in(policy: Policy, now_ms: int) -> date:
    """The date in the policy's zone."""
    return local_date(policy.timezone, now_ms)
