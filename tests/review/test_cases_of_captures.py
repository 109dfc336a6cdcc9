"""Cases under `capture.providers`: a call that is not decrypted was not admitted, nobody asked it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.config.cases import load_cases
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.errors import PolicyError
from spendgate.review.cases import Verdict, judge

HEAD = """\
version: 1
owner: lead@acme.example
capture: {providers: [anthropic]}
budgets: [{name: person, per: person, limit: $1 per day}]
"""


def judged(tmp_path: Path, when: str, then: str, head: str = HEAD) -> Verdict:
    """The verdict of one case of a call that costs $2."""
    (tmp_path / "p.yaml").write_text(head)
    file = tmp_path / "p.test.yaml"
    file.write_text(f"cases:\n  - name: c\n    when: {{person: alice, costs: $2, {when}}}\n    then: {then}\n")
    (case,) = load_cases(file, load(tmp_path / "p.yaml", KNOWN)).cases
    return judge(load(tmp_path / "p.yaml", KNOWN), case)


def test_without_a_provider_a_call_is_at_the_maker_of_its_model(tmp_path: Path) -> None:
    """It asks the policy, which refuses it."""
    found = judged(tmp_path, "model: claude-opus-4-5", "admitted")
    assert (found.passed, str(found.found)) == (False, "refused by person")


def test_what_is_not_decrypted_is_not_admitted(tmp_path: Path) -> None:
    """It is said why, and a case may expect it."""
    found = judged(tmp_path, "model: gpt-5", "admitted")
    assert (found.passed, str(found.found), found.why) == (
        False,
        "uncaptured",
        "capture.providers does not name openai",
    )
    assert judged(tmp_path, "model: claude-opus-4-5, provider: openrouter", "uncaptured").passed


def test_a_call_of_which_nobody_knows_whose_it_is(tmp_path: Path) -> None:
    """Where some providers alone are decrypted, a case must say which one it is about."""
    with pytest.raises(PolicyError) as caught:
        judged(tmp_path, "model: house-7b", "admitted")
    assert caught.value.faults[0].endswith(
        "cases[1].when: provider is missing: capture.providers names some alone, and no model says whose it is"
    )


@pytest.mark.parametrize(
    ("capture", "when", "then"),
    [
        ("never: ['*.cursor.sh']", "model: claude-opus-4-5, provider: cursor", "uncaptured"),
        (
            "providers: [anthropic], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "model: gpt-4o, provider: azure",
            "refused by person",
        ),
        (
            "providers: [anthropic], never: ['*.azure.com'], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "model: gpt-4o, provider: azure",
            "uncaptured",
        ),
    ],
)
def test_a_case_is_decrypted_where_the_gate_does_so(tmp_path: Path, capture: str, when: str, then: str) -> None:
    """A domain under `never` has the hosts below it, and a host of one's own is decrypted whatever `providers` names."""
    head = HEAD.replace("{providers: [anthropic]}", f"{{{capture}}}")
    assert str(judged(tmp_path, when, then, head).found) == then
