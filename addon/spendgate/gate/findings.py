"""What the audit trail says was found about the ledger, the clock or the policy is told to the owner, as an alert is.

A budget may have been refilled by it, so that a line in a file is not enough: each finding about the ledger is a page of its own;
what else is wrong is told once a day for each word, a refused policy for each reason. What somebody has acknowledged is not told
any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spendgate.audit_words import FINDINGS, AuditWord
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.messages import EVIDENCE, severity
from spendgate.ledger.outbox import Outbox, Trail
from spendgate.policy import Policy
from spendgate.window import DAY_MS, local_date

DAILY: Final = frozenset(
    {
        AuditWord.CLOCK_OFF,
        AuditWord.GATE_FAILED,
        AuditWord.POLICY_REFUSED,
        AuditWord.CERTIFICATES_REFUSED,
        AuditWord.CERTIFICATES_NOT_RENEWED,
        AuditWord.CERTIFICATES_END,
        AuditWord.PORT_TAKEN,
    }
)
TOLD: Final = FINDINGS | DAILY
_WHYS: Final = ("signature", "revision")
"""Of refused policies: tampering, and a rollback. A fault is somebody's mistake, and shown to them."""
_SAYS: Final = {
    **dict.fromkeys(FINDINGS, "what was spent may be missing from budgets"),
    AuditWord.CLOCK_OFF: "no budget was refilled by it",
    AuditWord.GATE_FAILED: "calls were decided without the ledger",
    AuditWord.POLICY_REFUSED: "nothing of the refused file counts",
    AuditWord.CERTIFICATES_REFUSED: "nothing of the refused file is shown",
    AuditWord.CERTIFICATES_NOT_RENEWED: "those before are shown until their end",
    AuditWord.CERTIFICATES_END: "from then on no call is metered",
    AuditWord.PORT_TAKEN: "the gate listens elsewhere, and what goes by a proxy variable may not reach it",
}


class Findings:
    """How far one gate has told. Of one thread."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._position = 0

    def look(self, policy: Policy, now_ms: int) -> int:
        """Write an alert for each line that has come since; how many were not there yet. Raises LedgerUnavailable."""
        lines = self._outbox.trail(self._position, [word.value for word in TOLD | {AuditWord.ACKNOWLEDGED}])
        if not lines:
            return 0
        written = self._outbox.tell(rows(policy, lines, now_ms), now_ms)
        self._position = lines[-1].position
        return written


def rows(policy: Policy, lines: Iterable[Trail], now_ms: int) -> list[AlertRow]:
    """The alerts of these lines, the oldest first; of what is told daily only those of the last day. Pure."""
    found: list[AlertRow] = []
    for line in lines:
        word = AuditWord(line.what)
        if word is AuditWord.ACKNOWLEDGED:
            found = [each for each in found if each.value not in FINDINGS]
        elif word in FINDINGS or (abs(now_ms - line.at_ms) < DAY_MS and _tells(word, line.detail)):
            found.append(_row(policy, word, line))
    return found


def _tells(word: AuditWord, detail: str) -> bool:
    return word is not AuditWord.POLICY_REFUSED or detail.rpartition(": ")[2] in _WHYS


def _row(policy: Policy, word: AuditWord, line: Trail) -> AlertRow:
    daily = word in DAILY
    window = str(local_date(policy.timezone, line.at_ms)) if daily else f"line {line.position}"
    if word is AuditWord.POLICY_REFUSED:  # a rollback told in the morning hides no tampering in the afternoon
        window = f"{window} {line.detail.rpartition(': ')[2]}"
    return AlertRow(
        EVIDENCE, EVIDENCE, word.value, window, severity(policy, loud=not daily).value, line.at_ms, None, None, (), policy.owner,
        None, None, None, None, f"{word.value}: {line.detail}; {_SAYS[word]}",
        "spendgate audit list" if daily else "spendgate audit verify", policy.hash,
    )  # fmt: skip
