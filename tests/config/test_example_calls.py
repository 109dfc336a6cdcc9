"""Whose calls the examples of machines, stages and several files are about, by the sentences in their heads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spendgate.config.people import Known
from spendgate.config.policies import load
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.notices import notices
from spendgate.policy import Policy, person_of
from spendgate.providers.registry import HOST_DIALECTS, PROVIDER_HOSTS, PROVIDER_NAMES
from spendgate.selector import Facts

KNOWN = Known(providers=PROVIDER_NAMES, dialects=HOST_DIALECTS, hosts=PROVIDER_HOSTS)
EXAMPLES = Path(__file__).parents[2] / "policies" / "examples"
NOW_MS = 1_795_000_000_000  # 2026-11-18
TODAY = date(2026, 11, 18)


def call(policy: Policy, account: str, machine: str, model: str = "claude-sonnet-4-5") -> Facts:
    """A call as the gate sees it."""
    who = person_of(policy, account, today=TODAY, machine=machine)
    groups = tuple(group.name for group in policy.roster.machine_groups(machine))
    return Facts.of(
        person=who.person, team=who.team, group=who.groups, machine=machine, machine_group=groups, model=model, session="s",
    )  # fmt: skip


def drawn(policy: Policy, facts: Facts) -> set[tuple[str, str]]:
    """Which allowances it draws on."""
    return {(scope.budget, scope.value) for scope in scopes(policy, facts, NOW_MS, True)}


def test_build_machines_have_allowances_of_their_own() -> None:
    """And count for their owner, whatever account runs on them."""
    policy = load(EXAMPLES / "ci-machines.yaml", KNOWN)
    build = call(policy, "runner", "ci-night-1")
    assert build.values["person"] == ("release-lead",)
    assert drawn(policy, build) == {("build-machine", "ci-night-1"), ("builds", "ci"), ("builds", "nightly")}
    assert model_refusal(policy, build) is not None
    assert model_refusal(policy, call(policy, "runner", "ci-1", "claude-haiku-4-5")) is None
    alice = call(policy, "alice", "lt-1")
    assert drawn(policy, alice) == {("person/day", "alice"), ("person/month", "alice")}
    assert model_refusal(policy, alice) is None
    assert call(policy, "runner", "lt-1").values["person"] == ("shared",)


@pytest.mark.parametrize(
    ("account", "machine", "refused"),
    [("alice", "lt-1", True), ("bob", "lt-1", False), ("bob", "ci-1", True), ("runner", "ci-2", True)],
)
def test_a_stage_refuses_its_own_alone(account: str, machine: str, *, refused: bool) -> None:
    """Volunteers and build machines; the others are watched."""
    policy = load(EXAMPLES / "staged-roll-out.yaml", KNOWN)
    assert enforces(policy, call(policy, account, machine)) is refused
    assert not notices(policy, NOW_MS)
    assert notices(policy, NOW_MS + 365 * 86_400_000)[0].startswith("the policy ended on 2027-06-30")


def test_a_teams_file_adds_to_the_companys() -> None:
    """For its own people, and beside the rules for all."""
    policy = load(EXAMPLES / "overlay" / "policy.yaml", KNOWN)
    common = {"person/day", "person/month"}
    found = {
        name: {budget for budget, _ in drawn(policy, call(policy, name, "lt-1"))} for name in ("alice", "bob", "carol")
    }
    assert found == {"alice": common | {"payments"}, "bob": common | {"payments", "payments-each"}, "carol": common}
    opus = {name: model_refusal(policy, call(policy, name, "lt-1", "claude-opus-4-5")) for name in found}
    assert {name for name, refuse in opus.items() if refuse is not None} == {"bob"}
    assert opus["bob"] is not None and opus["bob"].suggest == "claude-sonnet-4-5"
