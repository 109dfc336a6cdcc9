"""The policies to start from do what their cases say, and none is shipped in doubt."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from spendgate.cli.named import known_here
from spendgate.config.cases import SUFFIX, load_cases, policy_of
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.review.cases import judge
from spendgate.review.doubts import doubts

POLICIES = Path(__file__).parents[2] / "policies"
FILES = sorted(POLICIES.rglob(f"*{SUFFIX}"))
WHOLE = [file for file in sorted(POLICIES.rglob("*.yaml")) if "\nversion: 1\n" in f"\n{file.read_text()}"]
MEANT = {
    "observe-only.yaml": {"observe: no budget of this policy refuses anything"},
    "contractors.yaml": {"c-egon ended on 2026-06-30; their accounts are taken for people who are not listed"},
    "subscription-seats.yaml": {
        "personal calls are in no budget, and a request can claim any account; one is charged all the same where its answer "
        "names the company's"
    },
}
"""Doubts that the example is about."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(SUFFIX))
def test_the_cases_hold(file: Path) -> None:
    """Each case of each example."""
    policy = load(policy_of(file), KNOWN)
    cases = load_cases(file, policy).cases
    assert [(case.name, str(judge(policy, case).found)) for case in cases] == [
        (case.name, str(case.then)) for case in cases
    ]


@pytest.mark.parametrize("file", WHOLE, ids=lambda file: file.name)
def test_nothing_in_it_is_doubtful(file: Path) -> None:
    """`policy check` has no warning that the example does not mean."""
    found = {doubt.text for doubt in doubts(load(file, KNOWN), date(2026, 11, 28), known_here())}
    assert found <= MEANT.get(file.name, set())


@pytest.mark.parametrize("file", [each for each in WHOLE if each.parent != POLICIES], ids=lambda file: file.name)
def test_every_example_has_cases_in_which_each_rule_of_its_decides(file: Path) -> None:
    """An example is believed for what its cases show: every budget (by one of its limits), model rule and rate decides one."""
    policy = load(file, KNOWN)
    cases = load_cases(file.with_name(file.stem + SUFFIX), policy).cases
    rules = {budget.base_name for budget in policy.budgets} | {each.name for each in (*policy.models, *policy.rates)}
    assert rules - {(case.then.rule or "").partition("/")[0] for case in cases} == set()


def test_every_example_is_in_the_table() -> None:
    """And nothing else is."""
    text = (POLICIES / "README.md").read_text()
    listed = re.findall(r"^\|.*\((examples/[^)]+\.yaml)\) \|$", text, re.MULTILINE)
    assert sorted(listed) == sorted(str(file.relative_to(POLICIES)) for file in WHOLE if file.name != "default.yaml")
