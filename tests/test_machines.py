"""Groups of machines: which machine is in which, and `machine_group` in everything that tells calls apart."""

from __future__ import annotations

import pytest

from spendgate.attribution import Attribution
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.identity.people import facts
from spendgate.policy import Policy
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.selector import Facts

HEAD = b"""\
version: 1
owner: ops@acme.example
machines:
  ci: {match: ["ci-*", C02XK1ZYJGH5], owner: ci@acme.example}
  fast: {match: ["CI-FAST-?"]}
"""


def policy(text: str) -> Policy:
    """A policy with these machines."""
    return parse_policy(HEAD + text.encode())


def on(rules: Policy, machine: str) -> Facts:
    """A call on a machine, as the gate sees it."""
    groups = tuple(group.name for group in rules.roster.machine_groups(machine))
    who = Attribution("alice", machine, machine_groups=groups)
    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    return facts(who, route, Ask(model="claude-opus-4-5"))


@pytest.mark.parametrize(
    ("machine", "groups"),
    [
        pytest.param("ci-7", ("ci",), id="glob"),
        pytest.param("CI-7", ("ci",), id="case does not count"),
        pytest.param("c02xk1zyjgh5", ("ci",), id="an id"),
        pytest.param("ci-fast-1", ("ci", "fast"), id="two groups"),
        pytest.param("my-ci-7", (), id="whole ids alone"),
        pytest.param("", (), id="no id"),
    ],
)
def test_which_groups_a_machine_is_in(machine: str, groups: tuple[str, ...]) -> None:
    """By its id, whole and without case; asked twice it is the same."""
    roster = policy("").roster
    for _ in range(2):
        assert tuple(group.name for group in roster.machine_groups(machine)) == groups


@pytest.mark.parametrize(
    ("rule", "ci", "other"),
    [
        pytest.param("match: {machine_group: ci}", [""], [], id="match"),
        pytest.param("match: {machine_group: [fast, c*]}", [""], [], id="any of a list, glob"),
        pytest.param("except: {machine_group: ci}", [], [""], id="except"),
        pytest.param("per: machine_group", ["ci", "fast"], [], id="per: each group"),
        pytest.param("per: [person, machine_group]", ["alice|ci", "alice|fast"], [], id="per: combination"),
        pytest.param("per: machine_group, missing: shared", ["ci", "fast"], ["(no machine_group)"], id="missing: shared"),
    ],
)  # fmt: skip
def test_budgets_by_machine_group(rule: str, ci: list[str], other: list[str]) -> None:
    """Which allowances a call draws on."""
    rules = policy(f"budgets: [{{name: a, limit: $5, {rule}}}]\n")
    found = [[scope.value for scope in scopes(rules, on(rules, machine), 0, True)] for machine in ("ci-fast-1", "lt-1")]
    assert found == [ci, other]


def test_a_call_without_a_group_may_be_refused() -> None:
    """`missing: refuse` as for every attribute."""
    rules = policy("budgets: [{name: a, limit: $5, per: machine_group, missing: refuse}]\n")
    assert model_refusal(rules, on(rules, "ci-1")) is None
    refuse = model_refusal(rules, on(rules, "lt-1"))
    assert refuse is not None and "no machine_group" in refuse.reason


@pytest.mark.parametrize(("key", "refused"), [("match", ("ci-1",)), ("except", ("lt-1",))])
def test_model_rules_by_machine_group(key: str, refused: tuple[str, ...]) -> None:
    """For machines of a group, or for all others."""
    rules = policy(f'models: [{{name: m, {key}: {{machine_group: ci}}, deny: ["claude-opus-*"]}}]\n')
    assert tuple(each for each in ("ci-1", "lt-1") if model_refusal(rules, on(rules, each))) == refused


@pytest.mark.parametrize(
    ("selector", "enforced"),
    [
        pytest.param("person: alice", True, id="person"),
        pytest.param("team: payments", True, id="team"),
        pytest.param("team: commerce", True, id="a team above"),
        pytest.param("group: canary", True, id="group"),
        pytest.param("machine: ci-1", True, id="machine"),
        pytest.param("machine_group: ci", True, id="machine group"),
        pytest.param("machine_group: fast", False, id="another machine group"),
        pytest.param("tool: codex", True, id="tool"),
        pytest.param("provider: anthropic", True, id="provider"),
        pytest.param('model: "claude-opus-*"', True, id="model"),
        pytest.param("session: s1", True, id="session"),
        pytest.param('api_key: "sk-ant-api03:0123456789ab"', True, id="api key"),
        pytest.param("account: org-1", True, id="account"),
        pytest.param("project: github.com/acme/shop", True, id="project"),
        pytest.param("billing: metered", True, id="billing"),
        pytest.param("machine_group: ci, person: bob", False, id="all keys must fit"),
    ],
)
def test_a_staged_mode_knows_every_selector(selector: str, enforced: bool) -> None:
    """Under `default: observe` a call that a selector fits is enforced, and no other."""
    rules = policy(
        "teams: {commerce: {}, payments: {parent: commerce}}\n"
        "people: {alice: {team: payments, groups: [canary]}, bob: {}}\n"
        f"mode: {{default: observe, enforce: [{{{selector}}}]}}\n"
    )
    call = Facts.of(
        person="alice", team=("payments", "commerce"), group="canary", machine="ci-1", machine_group="ci", tool="codex",
        provider="anthropic", model="claude-opus-4-5", session="s1", api_key="sk-ant-api03:0123456789ab", account="org-1",
        project="github.com/acme/shop", billing="metered",
    )  # fmt: skip
    assert enforces(rules, call) is enforced
    assert not enforces(rules, Facts.of(person="carol", model="gpt-5-nano"))
