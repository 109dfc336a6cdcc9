"""What a refused person reads."""

from __future__ import annotations

import pytest

from spendgate.admission import RefusalKind, Refuse
from spendgate.gate.wording import message

FIGURES = {
    "settled_nanos": 19_500_000_000,
    "held_nanos": 300_000_000,
    "hold_nanos": 600_000_000,
    "limit_nanos": 20_000_000_000,
}


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        pytest.param(
            Refuse(RefusalKind.SPENT, "person/day", "", value="alice", resets_ms=1_795_420_800_000, others=1, **FIGURES),
            "Spendgate: budget person/day (alice) is spent. On this machine $19.50 spent and $0.30 held of $20.00; this call"
            " needs $0.60. It resets Mon 23 Nov 2026 00:00 America/Los_Angeles. 1 more rule refuses it too. Ask.",
            id="spent",
        ),
        pytest.param(
            Refuse(RefusalKind.HELD, "organization", "", **FIGURES),
            "Spendgate: the rest of budget organization is held for calls that are still running. On this machine $19.50 spent"
            " and $0.30 held of $20.00; this call needs $0.60. Try again in a moment. Ask.",
            id="held",
        ),
        pytest.param(
            Refuse(RefusalKind.RULE, "frontier", "model opus is not allowed", suggest="sonnet"),
            "Spendgate: model opus is not allowed (rule frontier). Use sonnet. Ask.",
            id="rule",
        ),
        pytest.param(
            Refuse(RefusalKind.FAILURE, "on_failure", "the disk is full, and the policy then refuses"),
            "Spendgate cannot decide about this call: the disk is full, and the policy then refuses. Ask.",
            id="failure",
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_a_person_needs(refuse, said):
    """The rule, spent and held of what, when it resets in the policy's zone, and whom to ask."""
    assert message(refuse, timezone="America/Los_Angeles", help_text="Ask.") == said
