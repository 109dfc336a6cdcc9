"""Single values that are hardly meant."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.review.slips import slips

HEAD = "version: 1\nowner: lead@acme.example\n"


@pytest.mark.parametrize(
    ("text", "subject", "told"),
    [
        ("budgets: [{name: a, limit: $0}]", "budgets.a", "a allows $0: it refuses every call that costs anything"),
        ("budgets: [{name: a, limit: $0, action: warn}]", "", ""),
        (
            'models: [{name: a, deny: "gpt-4*, gpt-5*"}]',
            "models.a",
            "a: 'gpt-4*, gpt-5*' is one pattern with a comma in it, and fits nothing; write a list: [a, b]",
        ),
        (
            'models: [{name: a, deny: ["gpt-4*"], except: {tool: "*"}}]',
            "models.a",
            "a excepts by tool alone, which a client can forge: nobody need come under it",
        ),
        ('models: [{name: a, deny: ["gpt-4*"], except: {tool: codex, machine: ci-1}}]', "", ""),
        (
            "pricing: {adjust: [{match: {provider: openai}, multiply: 0.000001}]}",
            "pricing",
            "pricing.adjust[1] takes off more than 99%: its calls cost next to nothing, and no budget stops them",
        ),
        ("pricing: {adjust: [{match: {provider: openai}, multiply: 0.01}]}", "", ""),
    ],
)
def test_each_slip_is_told(text: str, subject: str, told: str) -> None:
    """And nothing that may well be meant."""
    found = [(doubt.subject, doubt.text) for doubt in slips(parse_policy(f"{HEAD}{text}\n".encode()))]
    assert found == ([(subject, told)] if told else [])
