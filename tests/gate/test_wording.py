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
            "Spendgate: budget person/day (alice) has $0.50 left; this call may need about $0.60 (an estimate). On this machine"
            " $19.50 spent and $0.30 held of $20.00. It resets Mon 23 Nov 2026 00:00 America/Los_Angeles. 1 more rule refuses it"
            " too. Ask.",
            id="less left than a usual call needs",
        ),
        pytest.param(
            Refuse(
                RefusalKind.RULE, "loop", "100 of 100 requests per minute are used", value="alice|codex", resets_ms=1,
                retry_after_ms=11_001, rate=True, others=1,
            ),
            "Spendgate: rate loop (alice, codex): on this machine 100 of 100 requests per minute are used. Try again in"
            " 12 seconds. 1 more rule refuses it too. Ask.",
            id="a rate",
        ),
        pytest.param(
            Refuse(
                RefusalKind.RULE, "loop", "9 of 9 requests per 24h are used", resets_ms=1, retry_after_ms=86_400_000,
                rate=True,
            ),
            "Spendgate: rate loop: on this machine 9 of 9 requests per 24h are used. Try again in 24 hours. Ask.",
            id="a rate over a day",
        ),
        pytest.param(
            Refuse(RefusalKind.RULE, "loop", "8 of 8 calls at once are running", retry_after_ms=3_000, rate=True),
            "Spendgate: rate loop: on this machine 8 of 8 calls at once are running. Try again in a moment. Ask.",
            id="calls at once",
        ),
        pytest.param(
            Refuse(RefusalKind.SPENT, "session", "", bounded=True, **FIGURES),
            "Spendgate: budget session has $0.50 left; this call may cost up to $0.60. On this machine $19.50 spent and"
            " $0.30 held of $20.00. Ask.",
            id="less left than the ceiling",
        ),
        pytest.param(
            Refuse(RefusalKind.SPENT, "session", "", bounded=True, **FIGURES | {"settled_nanos": 19_504_000_000}),
            "Spendgate: budget session has $0.496 left; this call may cost up to $0.60. On this machine $19.504 spent and"
            " $0.30 held of $20.00. Ask.",
            id="what is spent and left is the limit",
        ),
        pytest.param(
            Refuse(RefusalKind.SPENT, "session", "", bounded=True, settled_nanos=999_999_999, hold_nanos=2, limit_nanos=10**9),
            "Spendgate: budget session has $0.00 left; this call may cost up to $0.0001. On this machine $1.00 spent of $1.00."
            " Ask.",
            id="less left than is printed",
        ),
        pytest.param(
            Refuse(RefusalKind.SPENT, "person/tool", "", value="root|curl", **FIGURES | {"limit_nanos": 19_500_000_000}),
            "Spendgate: budget person/tool (root, curl) is spent. On this machine $19.50 spent and $0.30 held of $19.50; this"
            " call may need about $0.60 (an estimate). Ask.",
            id="nothing left",
        ),
        pytest.param(
            Refuse(RefusalKind.SPENT, "project", "", value="a%7Cb|50%25", hold_nanos=1, settled_nanos=0, limit_nanos=0),
            "Spendgate: budget project (a|b, 50%) is spent. On this machine $0.00 spent of $0.00. Ask.",
            id="values with a bar",
        ),
        pytest.param(
            Refuse(RefusalKind.HELD, "organization", "", **FIGURES),
            "Spendgate: the rest of budget organization is held for calls that are still running. On this machine $19.50 spent"
            " and $0.30 held of $20.00; this call would hold $0.60 (an estimate). Try again in a moment. Ask.",
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


@pytest.mark.parametrize(
    ("help_text", "ends"),
    [
        ("Ask in #ai.", " Ask in #ai. To ask for more, run: `spendgate ask`"),
        ("Ask in #ai", " Ask in #ai (to ask for more, run: `spendgate ask`)"),
        ("https://acme.example/", " https://acme.example/ (to ask for more, run: `spendgate ask`)"),
        ("", "UTC. To ask for more, run: `spendgate ask`"),
    ],
)
def test_the_command_to_ask_by_is_no_part_of_the_help_before_it(help_text: str, ends: str) -> None:
    """Also where `help` ends without a stop, as in a name of a channel or an address."""
    spent = Refuse(RefusalKind.SPENT, "day", "", resets_ms=1_800_000_000_000, **FIGURES)
    assert message(spent, timezone="UTC", help_text=help_text, asks="spendgate ask").endswith(ends)
