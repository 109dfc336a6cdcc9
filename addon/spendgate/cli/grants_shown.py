"""How an ask and a grant are listed, and what is said to somebody who has just asked."""

from __future__ import annotations

from collections.abc import Sequence

from spendgate.answerers import may_approve
from spendgate.approvers import Approver
from spendgate.cli.asking import said
from spendgate.cli.moments import iso, shown
from spendgate.grant_texts import exception_of
from spendgate.grants import Taken
from spendgate.ledger.grants import Asked
from spendgate.money import dollars
from spendgate.policy import Policy
from spendgate.window import shown_in, zone_of


def ask_row(asked: Asked, policy: Policy, now_ms: int, given: str = "", told: str = "") -> dict[str, object]:
    """An ask as it is listed; `given`: what a grant has answered it with; `told`: whether its message is there."""
    each = asked.ask
    state = f"granted {given}".strip() if asked.granted else "open" if asked.open(now_ms) else "over"
    if not asked.granted and (asked.replaced or asked.excepted):
        state = f"replaced by {asked.replaced}" if asked.replaced else "given by an exception"
    return {
        "id": each.id,
        "status": state,
        "person": each.person,
        "budget": each.budget,
        "amount_nanos": each.amount_nanos,
        "asked_at": iso(each.at_ms),
        "until": iso(each.until_ms),
        "ends": shown(each.until_ms, zone_of(policy.timezone)),
        "asked_of": asked.asked_of,
        "reached": told,
        "reason": each.reason,
        "grant": asked.granted,
        "figures": said(asked.figures),
        "code": each.code(),
    }


def grant_row(taken: Taken, policy: Policy, now_ms: int, counting: set[str]) -> dict[str, object]:
    """A grant as it is listed; `counting` are those that the policy in force lets count."""
    each = taken.signed.grant
    word = "granted" if each.id in counting else "does not count"
    over = taken.until_ms <= now_ms or taken.ended
    return {
        "id": each.id,
        "status": f"ended: {taken.ended}" if taken.ended else "ended" if over else word,
        "person": each.person,
        "budget": each.budget,
        "amount_nanos": each.amount_nanos,
        "until": iso(taken.until_ms),
        "ends": shown(taken.until_ms, zone_of(policy.timezone)),
        "by": each.approver,
        "reason": each.reason,
    }


def lines_of(asked: Asked, policy: Policy, *, sends: bool, reaches: bool) -> tuple[str, ...]:
    """`sends`: a gate runs that sends messages; `reaches`: the policy names somebody whom this one goes to."""
    each, figures = asked.ask, said(asked.figures)
    able = may_approve(policy, each.person, each.machine, each.values, each.at_ms)
    what = f"{dollars(each.amount_nanos)} more of {each.budget}"
    until = f"until {shown_in(policy.timezone, each.until_ms)}{f': {each.reason}' if each.reason else ''}."
    if reaches:
        when = "The running gate tells them now" if sends else "No gate runs: the next one tells them"
        first = f"Asked {asked.asked_of} for {what} for {each.person}, {until}"
        told = f"{when}; `spendgate ask list` says whether they have it."
    else:
        first = f"Written down: {each.person} asks {asked.asked_of} for {what}, {until}"
        told = (
            "Nobody is told of it by this policy, which has no `notify` for alerts and no approver with mail: send"
            f" {asked.asked_of} the last line of this yourself."
        )
    return (
        first,
        *([f"When it refused: {figures}."] if figures else []),
        told,
        *(_granting(asked, able) if able else _excepting(asked, policy)),
    )


def _granting(asked: Asked, able: Sequence[Approver]) -> tuple[str, ...]:
    return (
        _who_may(able),
        f"On this machine they answer with:  spendgate grant {asked.ask.id} --key KEYFILE --reason WHY",
        "On another one, send them this line:",
        asked.ask.code(),
    )


def _excepting(asked: Asked, policy: Policy) -> tuple[str, ...]:
    """Where nobody may grant it: what the policy's owner writes into its file."""
    lacks = f"No approver of the policy may grant this to {asked.ask.person}"
    why = lacks if policy.approvers else "The policy has no approvers, so no grant counts"
    return (
        f"{why}. To give it, this goes under `exceptions:` in the policy's file:",
        f"  - {exception_of(asked.ask, asked.asked_of, policy.timezone)}",
    )


def _who_may(able: Sequence[Approver]) -> str:
    names = dict.fromkeys(f"{each.person} (up to {dollars(each.up_to_nanos)})" for each in able)
    return f"Who may approve by the policy: {', '.join(names)}."
