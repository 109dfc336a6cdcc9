"""What asks and grants tell people, as rows of the outbox. Pure.

An ask goes to those who can answer it, as alerts of severity `alert` go (`alerts.routing.keys_of_ask`); a grant that was taken in
goes to the person, as a `notice`; one that was refused to the file's owner, whom no rule keeps from it (`EVIDENCE`). Each is
written in the transaction of what it is about, and waits there for a gate to send it.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Final

from spendgate.alert_rules import Severity
from spendgate.answerers import answering_team, may_approve
from spendgate.grant_texts import Ask, Grant, exception_of
from spendgate.grants import Place, Refusal
from spendgate.ledger.interface import AlertRow
from spendgate.money import dollars, short_dollars
from spendgate.policy import Policy, person_then
from spendgate.window import shown_in

ASK: Final = "ask"
GRANT: Final = "grant"
"""`AlertRow.form` of the two; `value` is whose it is, `window` the id."""
EVIDENCE: Final = "evidence"
"""`AlertRow.rule` and `form` of what no rule of the policy tells and none turns off; `value` is what it is about."""
GRANT_REFUSED: Final = "grant refused"
YOU: Final = "YOUR_NAME"


def figures_said(spent_nanos: int | None, held_nanos: int | None, limit_nanos: int | None) -> str:
    """What a refusal said, in words; empty where nothing was refused."""
    if limit_nanos is None:
        return ""
    held = f" and {dollars(held_nanos)} held" if held_nanos else ""
    return f"{dollars(spent_nanos or 0)} spent{held} of {dollars(limit_nanos)}"


def of_ask(
    ask: Ask, policy: Policy, owner: str, figures: tuple[int | None, int | None, int | None], at_ms: int
) -> AlertRow:
    """The message of an ask. `figures` are what was spent and held of which limit when it was refused, in nano-dollars."""
    said = figures_said(*figures)
    until = shown_in(policy.timezone, ask.until_ms)
    text = f"{ask.person} asks for {dollars(ask.amount_nanos)} more of {ask.budget} until {until}"
    text += f": {ask.reason}" if ask.reason else ""
    text += f". When it refused: {said}" if said else ""
    team = person_then(policy, ask.person, None, ask.machine, at_ms).team
    budget = next((each for each in policy.budgets if each.name == ask.budget), None)
    return AlertRow(
        rule=f"{ASK} {ask.id}", form=ASK, value=ask.person, window=ask.id, severity=Severity.ALERT.value, at_ms=at_ms,
        again_ms=ask.until_ms, person=None, team=answering_team(policy, budget, team) if budget else team, owner=owner,
        spent_nanos=figures[0], mark_nanos=figures[2], calls=None, of_calls=None, text=text,
        command=_answer(ask, policy, owner, at_ms), policy_hash=policy.hash,
    )  # fmt: skip


def _answer(ask: Ask, policy: Policy, owner: str, now_ms: int) -> str:
    """What whoever may grant it runs, as a shell takes it; where the policy names nobody who may, the exception that does it."""
    names = list(
        dict.fromkeys(each.person for each in may_approve(policy, ask.person, ask.machine, ask.values, now_ms))
    )
    if not names:
        return f"exceptions: [{exception_of(ask, owner, policy.timezone)}]"
    why = [] if ask.reason else ["--reason", "WHY"]
    by = names[0] if len(names) == 1 else YOU
    return shlex.join(["spendgate", "grant", ask.code(), "--key", "KEYFILE", "--by", by, *why])


def of_grant(grant: Grant, policy: Policy, at_ms: int) -> AlertRow:
    """The message of a grant that was taken in."""
    team = person_then(policy, grant.person, None, grant.machine, at_ms).team
    text = (
        f"{grant.person} has {short_dollars(grant.amount_nanos)} more of {grant.budget} until "
        f"{shown_in(policy.timezone, grant.until_ms)}, granted by {grant.approver}: {grant.reason}"
    )
    since = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    command = shlex.join(["spendgate", "calls", "--since", since, "--where", f"person={grant.person}"])
    return AlertRow(
        rule=f"{GRANT} {grant.id}", form=GRANT, value=grant.person, window=grant.id, severity=Severity.NOTICE.value,
        at_ms=at_ms, again_ms=grant.until_ms, person=grant.person, team=team, owner=grant.approver, spent_nanos=None,
        mark_nanos=grant.amount_nanos, calls=None, of_calls=None, text=text, command=command, policy_hash=policy.hash,
    )  # fmt: skip


def of_refused_grant(grant: Grant, refusal: Refusal, policy: Policy, place: Place, at_ms: int) -> AlertRow:
    """The message of a grant that somebody tried to take in and that does not count. Nothing that the grant says of itself is
    true but where its approver has signed it."""
    text = (
        f"{GRANT_REFUSED}: {refusal.why}: {refusal.said}. It says {dollars(grant.amount_nanos)} more of {grant.budget} for "
        f"{grant.person}, in the name of {grant.approver}; {place.who} tried to take it in; no budget was refilled by it"
    )
    return AlertRow(
        rule=EVIDENCE, form=EVIDENCE, value=GRANT_REFUSED, window=f"{GRANT} {grant.id}",
        severity=severity(policy, loud=False).value, at_ms=at_ms, again_ms=None, person=place.person, team=(), owner=policy.owner,
        spent_nanos=None, mark_nanos=grant.amount_nanos, calls=None, of_calls=None, text=text, command="spendgate audit list",
        policy_hash=policy.hash,
    )  # fmt: skip


def severity(policy: Policy, *, loud: bool) -> Severity:
    """As loud as it is (`loud`: a page, else an alert), or as the loudest for which the file names a receiver: it must reach
    somebody."""
    named = {purpose for entry in policy.notify for purpose in entry.purposes}
    wanted = (
        (Severity.PAGE, Severity.ALERT, Severity.NOTICE) if loud else (Severity.ALERT, Severity.PAGE, Severity.NOTICE)
    )
    return next((each for each in wanted if each.value in named), wanted[0])
