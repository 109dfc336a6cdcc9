"""`explain` and cases give one answer: over the policies to start from, for calls of which more or less is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from spendgate.cli.named import TOOLS
from spendgate.config.cases import load_cases
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.config.policy_file import parse_policy
from spendgate.gate.terms import unlisted
from spendgate.policy import Policy
from spendgate.review.asked import asked
from spendgate.review.cases import Calls, Case, Then, Verb, judge
from spendgate.review.explain import explain

FOLDER = Path(__file__).parents[2] / "policies"
FILES = sorted(each for each in FOLDER.rglob("*.test.yaml"))
SAID = tuple(
    {name: value for name, value in zip(("billing", "machine", "session"), values, strict=True) if value}
    for values in product(("", "subscription", "overage", "gateway", "personal"), ("", "ci-1"), ("", "s1"))
)
COSTS = (1, 3_000_000_000, 900_000_000_000)


def agreed(policy: Policy, when: Calls) -> Verb:
    """What becomes of the call, by a case; asserted to be what `explain` says."""
    found = judge(policy, Case("it", "", (), when, Then(Verb.ADMITTED))).found
    call = asked(policy, when.values, when.at_ms)
    refusal = unlisted(when.values.get("person")) if call.who.refused else None
    *_, end = explain(policy, call.facts, when.at_ms, when.cost_nanos, None, unlisted=refusal)
    expected = {
        Verb.ADMITTED: "leaves",
        Verb.REFUSED: f"is refused by {found.rule}: ",
        Verb.WOULD_REFUSE: f"leaves, and would be refused by {found.rule}: ",
        Verb.UNCAPTURED: "leaves unseen: ",
    }[found.verb]
    same = end.says == expected if found.verb is Verb.ADMITTED else end.says.startswith(expected)
    assert same, (when, found, end.says)
    return found.verb


ALL = """\
version: 1
owner: lead@acme.example
people:
  alice: {team: pay, groups: [senior], accounts: [alice, "ad@ci-1"]}
  bob: {team: pay, until: 2026-01-01}
  ci: {}
teams: {pay: {timezone: Asia/Tokyo}}
machines: {ci: {match: ["ci-*"], owner: ci}, laptops: {match: ["lap*"]}}
unknown_people: UNKNOWN
mode: {default: observe, enforce: [{machine_group: ci}, {team: pay}]}
billing:
  accounts: [{provider: anthropic, account: org-1}]
  personal: PERSONAL
  seats: [{name: max, match: {billing: subscription}, price: $9 per month}]
budgets:
  - {name: metered, per: person, match: {billing: [metered, overage]}, limit: $2 per day}
  - {name: run, per: session, limit: $50, missing: refuse}
  - {name: value, per: [team, machine], limit: $4 per week, counts: value, missing: shared}
  - {name: ci, match: {machine_group: ci}, limit: $1 per hour, action: warn}
  - {name: moves, limit: 2x mean of 7d per day, at_most: $8}
models:
  - {name: plan-only, match: {billing: subscription}, deny: ["claude-opus-*"]}
  - {name: laptops, match: {machine_group: laptops}, except: {group: senior}, deny: ["gpt-5-pro"], unresolved: allow}
rates:
  - {name: loop, per: session, tokens: 1 per minute}
exceptions:
  - {budget: metered, match: {person: alice}, add: $3, until: 2027-01-01, reason: r, approved_by: c}
"""
WHO = ({"person": "alice"}, {"person": "ad"}, {"person": "bob"}, {"person": "eve"})
MODELS = ("", "claude-opus-4-5", "gpt-5-pro", "auto")


@pytest.mark.parametrize(
    ("unknown", "personal"), tuple(product(("shared", "each", "owner", "refuse"), ("ignore", "count", "refuse")))
)
def test_explain_ends_as_a_case_does_under_every_kind_of_rule(unknown: str, personal: str) -> None:
    """As above, where each of these words decides something; also on another account than the company's."""
    policy = parse_policy(ALL.replace("UNKNOWN", unknown).replace("PERSONAL", personal).encode())
    ends = set()
    for who, said, model, account in product(WHO, SAID[::2], MODELS, ("", "mine")):
        more = {name: text for name, text in (("model", model), ("account", account)) if text}
        for cost in COSTS[1:]:
            ends.add(agreed(policy, Calls(1_790_000_000_000, who | said | more, cost)))
    assert {Verb.REFUSED, Verb.WOULD_REFUSE} <= ends


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_explain_ends_as_a_case_does(file: Path) -> None:
    """Whatever is said or left out of billing, machine and session, and at any cost, with nothing spent before."""
    policy = load(file.with_name(file.name.replace(".test", "")), KNOWN)
    people = {case.when.values.get("person", "unknown"): case for case in load_cases(file, policy, TOOLS).cases}
    ends = set()
    for case, said, cost in product(people.values(), SAID, COSTS):
        values = {
            name: text for name, text in case.when.values.items() if name not in ("billing", "machine", "session")
        }
        when = replace(case.when, values=values | said, cost_nanos=cost, most_nanos=None)
        ends.add(agreed(policy, when))
    assert ends
