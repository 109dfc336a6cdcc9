"""Cases beside a policy: given past spend, when this call, then it is admitted, or refused by that rule.

A case is a small history, run by the same replay that runs the ledger's, so that what it says is what the gate would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from spendgate.admission import Refuse
from spendgate.ledger.history import Step
from spendgate.model_names import family
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.replay.engine import Replay
from spendgate.replay.outcome import Outcome
from spendgate.selector import PLAN
from spendgate.standing import Size

MACHINE: Final = "laptop"
NOBODY: Final = "unknown"
_SEEN: Final = 100
"""As many calls of its kind are taken to be known: a case says what a call needs."""
_RUNS_MS: Final = 1_000
_STILL_RUNS_MS: Final = 24 * 3_600_000
OF_THE_ROSTER: Final = {"team": "person", "group": "person", "machine_group": "machine"}
"""What no call says of itself: the policy knows it, by the person or the machine."""
_MAKERS: Final = (
    ("claude", "anthropic"), ("gpt", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
    ("gemini", "google"), ("mistral", "mistral"), ("deepseek", "deepseek"),
)  # fmt: skip
"""Who sells a family at hosts of its own: how its names begin, and the provider."""


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
    refuse: Refuse | None = None

    @property
    def passed(self) -> bool:
        """Whether it is what the case expects: a case that names no rule takes any."""
        wanted, found = self.case.then, self.found
        return wanted.verb is found.verb and (wanted.rule is None or wanted.rule == found.rule)

    @property
    def why(self) -> str:
        """The figures of a refusal, for a person."""
        refuse = self.refuse
        if self.found.verb is Verb.UNCAPTURED:
            return f"capture.providers does not name {provider_of(self.case.when.values) or 'its provider'}"
        if refuse is None or refuse.limit_nanos is None:
            return refuse.reason if refuse else ""
        parts = [f"{short_dollars(refuse.settled_nanos or 0)} of {short_dollars(refuse.limit_nanos)} is spent"]
        if refuse.held_nanos:
            parts.append(f"{short_dollars(refuse.held_nanos)} is held")
        return ", ".join(parts)


def judge(policy: Policy, case: Case) -> Verdict:
    """Run one case. What is given before the call happened, whatever the policy says of it."""
    heard = _Heard()
    replay = Replay(policy, case.when.at_ms)
    replay.outcome = heard
    replay.run(sorted(_steps(case), key=lambda step: step.arrived_ms))
    return Verdict(case, heard.then, heard.refuse)


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


def provider_of(values: Mapping[str, str]) -> str:
    """The provider that a case names, else the maker of its model; empty where neither says."""
    return values.get("provider") or maker(values.get("model", ""))


def maker(model: str) -> str:
    """The provider that sells the model at hosts of its own; empty where its name does not say it."""
    name = family(model)
    return next((provider for beginning, provider in _MAKERS if name.startswith(beginning)), "")


_ASKED: Final = "asked"
_GIVEN: Final = "given"


def _steps(case: Case) -> Iterator[Step]:
    for place, calls in enumerate(case.given):
        yield from _of(calls, _GIVEN, place)
    yield from _of(case.when, _ASKED, 0)


def _of(calls: Calls, kind: str, place: int) -> Iterator[Step]:
    lasts = _STILL_RUNS_MS if calls.open else _RUNS_MS
    for number in range(calls.count):
        at_ms = calls.at_ms + number * calls.every_ms
        yield step_of(calls, kind, f"{kind}-{place}-{number}", at_ms, at_ms + lasts)


def step_of(calls: Calls, kind: str, call_id: str, at_ms: int, ends_ms: int) -> Step:
    """A call as the ledger would tell of it."""
    cost, most, value = calls.cost_nanos, calls.most_nanos, calls.values.get
    size = Size(
        ceiling_nanos=cost if most is None else most,
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
        person=value("person", NOBODY), team=value("team"), groups=value("group", ""), machine=value("machine", MACHINE),
        account_os=value("person"), tool=value("tool"), provider=provider_of(calls.values), session=value("session"),
        api_key=value("api_key"), account=value("account"), project=value("project"),
        billing=value("billing", "metered"), model_requested=value("model"), also_requested=None, model=None,
        kind=kind, size=size.text, estimate_nanos=cost, ceiling_nanos=size.ceiling_nanos, typical_nanos=cost, held_nanos=cost,
        cost_nanos=0 if value("billing") == PLAN else cost,
        value_nanos=cost, refused_by=None, refused_why=None, would_refuse_by=None,
        sent_ms=at_ms, input_tokens=calls.tokens,
    )  # fmt: skip
