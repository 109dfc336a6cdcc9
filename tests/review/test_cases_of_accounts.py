"""Cases of calls that a plan or a personal account pays, under each word of `billing.personal`."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.config.cases import load_cases
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.review.cases import judge

HEAD = """\
version: 1
owner: lead@acme.example
budgets: [{name: person, per: person, limit: $1 per day}]
billing: {accounts: [{provider: anthropic, account: org-1}], personal: WORD}
"""
CASES = """\
cases:
  - name: on somebody's own account
    given: [{spent: $0.90, ago: 1h}]
    when: {person: alice, model: claude-sonnet-4-5, provider: anthropic, account: org-2, billing: BILLING, costs: $0.20}
    then: THEN
"""


@pytest.mark.parametrize(
    ("word", "billing", "then"),
    [
        ("ignore", "metered", "admitted"),
        ("ignore", "personal", "admitted"),
        ("count", "metered", "refused by person"),
        ("count", "personal", "refused by person"),
        ("count", "subscription", "admitted"),
        ("refuse", "metered", "refused by billing.personal"),
        ("refuse", "subscription", "refused by billing.personal"),
    ],
)
def test_what_becomes_of_it(tmp_path: Path, word: str, billing: str, then: str) -> None:
    """As the gate decides, by the account and by what its row says."""
    (tmp_path / "p.yaml").write_text(HEAD.replace("WORD", word))
    file = tmp_path / "p.test.yaml"
    file.write_text(CASES.replace("BILLING", billing).replace("THEN", then))
    policy = load(tmp_path / "p.yaml", KNOWN)
    (case,) = load_cases(file, policy).cases
    assert str(judge(policy, case).found) == then
