"""What is agreed with providers, as `policy explain` tells it of one call."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.policy import Policy
from spendgate.review.explain import Line, explain
from spendgate.selector import Facts

NOW_MS = 1_795_000_000_000
POLICY = """\
version: 1
owner: lead@acme.example
budgets:
  - {name: person, per: person, limit: $5 per day}
pricing:
  adjust:
    - {match: {provider: anthropic}, multiply: 0.85}
    - {match: {provider: anthropic, model: claude-haiku-*}, set: {input: $1, output: $2}}
billing:
  accounts: [{provider: anthropic, account: org-1}]
  personal: WORD
  seats: [{name: max, match: {tool: claude-code}, price: $200 per month}]
"""


def policy(word: str) -> Policy:
    return parse_policy(POLICY.replace("WORD", word).encode())


def told(word: str, **values: str) -> list[Line]:
    """What is said of a call of Anthropic's."""
    facts = Facts.of(**{"person": "alice", "provider": "anthropic", "model": "claude-opus-4-5", **values})
    return list(explain(policy(word), facts, NOW_MS, 1, None))


@pytest.mark.parametrize(
    ("word", "values", "rule", "says", "end"),
    [
        ("ignore", {}, "pricing.adjust[1]", "costs list price x 0.85", "leaves"),
        ("ignore", {"model": "claude-haiku-4-5"}, "pricing.adjust[2]", "costs input $1 output $2", "leaves"),
        ("ignore", {"account": "me"}, "billing.personal", "its account is personal: it is in no budget", "leaves"),
        ("count", {"account": "me"}, "billing.personal", "its account is personal: it is counted", "leaves"),
        (
            "refuse",
            {"account": "me"},
            "billing.personal",
            "refuses: the anthropic account me is not the company's",
            "is refused by billing.personal: Spendgate: the anthropic account me is not the company's (rule billing.personal).",
        ),
        (
            "refuse",
            {"billing": "subscription", "tool": "claude-code"},
            "billing.seats",
            "the seat max pays for it: it costs nothing",
            "leaves",
        ),
        ("refuse", {"billing": "subscription"}, "billing.seats", "its plan pays for it: it costs nothing", "leaves"),
    ],
)
def test_a_call_is_told_whose_it_is_and_what_it_costs(
    word: str, values: dict[str, str], rule: str, says: str, end: str
) -> None:
    """Account, price, seat; and what becomes of it."""
    lines = told(word, **values)
    assert says in [line.says for line in lines if line.rule == rule]
    assert lines[-1].says == end


def test_budgets_show_no_room_for_what_they_do_not_count() -> None:
    """A plan's call and an ignored one draw on none; a counted one does."""
    for word, values, applies in (
        ("ignore", {"account": "me"}, False),
        ("count", {"account": "me"}, True),
        ("ignore", {"billing": "subscription"}, False),
        ("ignore", {}, True),
    ):
        (budget,) = [line for line in told(word, **values) if line.kind == "budget"]
        assert budget.applies is applies
