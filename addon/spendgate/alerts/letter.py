"""What is sent of a message that is due: its title and its body."""

from __future__ import annotations

from datetime import UTC, datetime

from spendgate.alerts import routing
from spendgate.ledger.messages import ASK, EVIDENCE, GRANT
from spendgate.ledger.outbox import Due


def title(due: Due) -> str:
    """`Spendgate alert: person/month 80%`; of an ask whose it is, of a digest its week, of evidence what was found."""
    if due.form == ASK:
        return f"Spendgate: {due.value} asks for more"
    if due.form == GRANT:
        return f"Spendgate: {due.value} has more"
    if due.form == routing.DIGEST:
        return f"Spendgate {due.rule}, {due.window}"
    return f"Spendgate {due.severity}: {due.value if due.form == EVIDENCE else due.rule}"


def body(due: Due, machine: str) -> str:
    """The sentence with the figures, who answers for it, the command behind it, and its name; also the machine that figures
    and the command are of, for its reader has many. An ask or a grant has its own words for that."""
    if due.form == routing.DIGEST:
        return due.long_text or due.text
    when = datetime.fromtimestamp(due.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    does = {GRANT: "Shows all of it", EVIDENCE: "More"}.get(due.form, "The calls")
    if due.form == ASK:
        exception = not due.command.startswith("spendgate ")
        does = "Grants it, in the policy file (nobody may by a signature)" if exception else "Grants it"
    name = {ASK: "Ask", GRANT: "Grant"}.get(due.form, "Alert")
    where = "" if due.form in (ASK, GRANT) else f"\nOn the machine: {machine}"
    return (
        f"{due.text}.{where}\nAnswers for it: {due.owner}\n{does}: {due.command}\n"
        f"{name} {due.name}, rule {due.rule}, {when}"
    )
