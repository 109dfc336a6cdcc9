"""Cases beside a policy: given past spend, when this call, then it is admitted, or refused by that rule.

A case is a small history, run by the same replay that runs the ledger's, so that what it says is what the gate would do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from spendgate.admission import Refuse
from spendgate.gate.wording import told
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.replay.engine import Replay
from spendgate.replay.outcome import Outcome
from spendgate.review.asked import NOBODY, OWN, asked, never_seen, provider_of, stated, whole
from spendgate.selector import PLAN
from spendgate.standing import Size

_SEEN: Final = 100
"""As many calls of its kind are taken to be known: a case says what a call needs."""
_RUNS_MS: Final = 1_000
_STILL_RUNS_MS: Final = 24 * 3_600_000


class Verb(StrEnum):
    """What may come of a call."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    WOULD_REFUSE = "would refuse"
    UNCAPTURED = "uncaptured"
    """Nobody asked: its provider is not decrypted."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one person. Epoch milliseconds, nano-dollars."""

    at_ms: int
    values: dict[str, str]
    """Attribute to value: `person`, `model`, `tool`, …"""
    cost_nanos: int
    """What each costs, and is known to need."""
    most_nanos: int | None = None
    """The most that each can cost; None: what it costs."""
    count: int = 1
    every_ms: int = 1_000
    open: bool = False
    """They still run."""
    tokens: int = 0
    """What rates count of each."""


@dataclass(frozen=True, slots=True)
class Then:
    """What is expected of the last call: by which rule, where the case names one."""

    verb: Verb
    rule: str | None = None

    def __str__(self) -> str:
        return f"{self.verb} by {self.rule}" if self.rule else self.verb.value


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `place` is `file:line:column`."""

    name: str
    place: str
    given: tuple[Calls, ...]
    when: Calls
    then: Then


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case."""

    case: Case
    found: Then
    call: str
    """The call that was asked about, with what was assumed of it."""
    timezone: str
    refuse: Refuse | None = None
    by_never: bool = False
    """It is not decrypted since `capture.never` names every host of its provider."""

    @property
    def passed(self) -> bool:
        """Whether it is what the case expects: a case that names no rule takes any."""
        wanted, found = self.case.then, self.found
        return wanted.verb is found.verb and (wanted.rule is None or wanted.rule == found.rule)

    @property
    def why(self) -> str:
        """Why it was refused, in the gate's own words."""
        if self.found.verb is Verb.UNCAPTURED:
            if self.by_never:
                return f"capture.never names every host of {provider_of(self.case.when.values)}"
            return f"capture.providers does not name {provider_of(self.case.when.values) or 'its provider'}"
        return told(self.refuse, timezone=self.timezone) if self.refuse else ""


def judge(policy: Policy, case: Case, stating: Collection[str] = ()) -> Verdict:
    """Run one case. What is given before the call happened, whatever the policy says of it.

    `stating`: the providers whose own word on a call's cost counts, which nothing bounds.
    """
    values = case.when.values
    if never_seen(policy, provider_of(values), values.get("billing", "")):
        call = asked(policy, values, case.when.at_ms).words(policy, case.when.cost_nanos)
        return Verdict(case, Then(Verb.UNCAPTURED), call, policy.timezone, by_never=True)
    heard = _Heard()
    replay = Replay(policy, case.when.at_ms)
    replay.outcome = heard
    replay.run(sorted(_steps(case, stating), key=lambda step: step.arrived_ms))
    when = case.when
    call = asked(policy, when.values, when.at_ms).words(policy, when.cost_nanos)
    return Verdict(case, heard.then, call, policy.timezone, heard.refuse)


@dataclass(slots=True)
class _Heard(Outcome):
    """Keeps what was said of the latest call that was asked about."""

    then: Then = field(default=Then(Verb.UNCAPTURED))
    refuse: Refuse | None = None

    def admitted(self, step: Step, person: str, at_ms: int, cost_nanos: int, would: Refuse | None) -> None:
        if step.kind == _ASKED:
            self.refuse = would
            self.then = Then(Verb.WOULD_REFUSE, would.rule) if would else Then(Verb.ADMITTED)

    def refuses(self, step: Step, person: str, at_ms: int, refuse: Refuse, cost_nanos: int) -> None:
        if step.kind == _ASKED:
            self.refuse, self.then = refuse, Then(Verb.REFUSED, refuse.rule)


_ASKED: Final = "asked"
_GIVEN: Final = "given"


def _steps(case: Case, stating: Collection[str]) -> Iterator[Step]:
    for place, calls in enumerate(case.given):
        yield from _of(calls, _GIVEN, place, stating)
    yield from _of(case.when, _ASKED, 0, stating)


def _of(calls: Calls, kind: str, place: int, stating: Collection[str]) -> Iterator[Step]:
    """Calls of one entry that say no session are one of their own: a live one is never without."""
    calls = replace(calls, values=whole(calls.values, session=OWN if kind == _ASKED else f"{OWN}, given {place + 1}"))
    lasts = _STILL_RUNS_MS if calls.open else _RUNS_MS
    for number in range(calls.count):
        at_ms = calls.at_ms + number * calls.every_ms
        yield step_of(calls, kind, f"{kind}-{place}-{number}", at_ms, at_ms + lasts, stating=stating)


def step_of(calls: Calls, kind: str, call_id: str, at_ms: int, ends_ms: int, *, stating: Collection[str] = ()) -> Step:
    """A call as the ledger would tell of it. `stating` as of `judge`."""
    values = whole(calls.values)
    cost, most, value = calls.cost_nanos, calls.most_nanos, values.get
    unbounded = stated(value("provider", ""), values["billing"], stating)
    size = Size(
        ceiling_nanos=None if unbounded else cost if most is None else most,
        learned_nanos=cost,
        largest_nanos=cost,
        typical_nanos=cost,
        guess_nanos=cost,
        output_nanos=0,
        output_most_nanos=0,
        seen=_SEEN,
        own_seen=_SEEN,
        tokens=calls.tokens,
    )
    return Step(
        seq=0, id=call_id, state="settled", arrived_ms=at_ms, booked_ms=at_ms, ended_ms=ends_ms,
        person=value("person", NOBODY), team=value("team"), groups=value("group", ""), machine=values["machine"],
        account_os=value("person"), tool=value("tool"), provider=value("provider", ""), session=value("session"),
        api_key=value("api_key"), account=value("account"), project=value("project"),
        billing=values["billing"], model_requested=value("model"), also_requested=None, model=None,
        kind=kind, size=size.text, estimate_nanos=cost, ceiling_nanos=size.ceiling_nanos, typical_nanos=cost, held_nanos=cost,
        cost_nanos=0 if value("billing") == PLAN else cost,
        value_nanos=cost, refused_by=None, sent_ms=at_ms, input_tokens=calls.tokens,
    )  # fmt: skip
