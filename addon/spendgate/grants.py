"""Grants: more of one budget for one person for a while, signed by an approver of the policy. Does one count? Pure.

The grant names the ledger and the machine that it is for: taken into another ledger, or into a new one in its place, it counts
nothing.

`judge` decides, by the policy in force, whether one counts; it is asked when a grant is taken in and again whenever it is read
from the ledger, so that who writes to the ledger by other means has gained nothing. Where `policy.md` is silent, this holds:

- `up_to` is the most that one approver's grants in one ledger may add up to at any instant, over all persons and budgets.
- Nobody approves for themselves.
- A grant adds its amount once, in the first window that needs it, whatever number of windows it overlaps.
- An ask has one answer at a time: each approver is told of it, and two who answer would grant it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from spendgate.answerers import facts_of, still_listed
from spendgate.approvers import Approver
from spendgate.budget import Budget
from spendgate.exceptions import Granted
from spendgate.grant_texts import Grant, SignedGrant
from spendgate.minisign import PublicKey, Signature
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.selector import exactly
from spendgate.window import shown_in

SKEW_MS: Final = 10 * 60_000
"""How far the approver's clock may be ahead of this machine's."""


class Why(StrEnum):
    """In a few words, why a grant does not count."""

    SIGNATURE = "bad signature"
    LEDGER = "for another ledger"
    MACHINE = "for another machine"
    PERSON = "for somebody else"
    APPROVER = "unknown approver"
    OWN = "for the approver's own budget"
    REACH = "not within the approver's for"
    LIMIT = "above the approver's limit"
    BUDGET = "budget unknown"
    TWICE = "twice"
    ANSWERED = "answered already"
    FUTURE = "from the future"
    ENDED = "ended"


HONEST: Final = frozenset({Why.BUDGET, Why.FUTURE, Why.ENDED, Why.ANSWERED})
"""Came too late, after another approver's, or while the policy or a clock was another: nobody has tried anything."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a grant does not count, and the sentence that says it with its figures."""

    why: Why
    said: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a grant is to count."""

    ledger: str
    machine: str
    person: str | None = None
    """Who takes it in; None: somebody who may for others."""
    who: str = ""
    """Their account."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A grant that this ledger has taken in, in the order in which it did. `until_ms` is its end, also where it was ended."""

    signed: SignedGrant
    at_ms: int
    until_ms: int
    ended: str = ""
    """Why it was ended before its time."""


def judge(signed: SignedGrant, policy: Policy, place: Place, earlier: Sequence[Taken], now_ms: int) -> Refusal | None:
    """Whether a grant may be taken in now; None: it may. `earlier` are the grants that the ledger has."""
    grant = signed.grant
    if grant.until_ms <= now_ms:
        return Refusal(Why.ENDED, f"it ended {shown_in(policy.timezone, grant.until_ms)}")
    if grant.issued_ms > now_ms + SKEW_MS:
        signed_at = shown_in(policy.timezone, grant.issued_ms)
        return Refusal(
            Why.FUTURE, f"it was signed {signed_at}, which is still to come here: look at this machine's clock"
        )
    if place.person is not None and place.person != grant.person:
        return Refusal(Why.PERSON, f"it is for {grant.person}, and you are {place.person}")
    refusal = counts(signed, policy, place, earlier, now_ms)
    return _answered(grant, policy, earlier, now_ms) if refusal is None else refusal


def counts(signed: SignedGrant, policy: Policy, place: Place, earlier: Sequence[Taken], now_ms: int) -> Refusal | None:
    """Whether the policy lets a grant count that was taken in after `earlier`; None: it does. Its own time is not looked at."""
    grant = signed.grant
    approvers = [each for each in policy.approvers if each.person == grant.approver]
    if not approvers or not still_listed(policy, grant.approver, now_ms):
        return Refusal(Why.APPROVER, f"the policy in force names no approver {grant.approver}")
    approvers = [each for each in approvers if _signed_by(each, signed)]
    if not approvers:
        return Refusal(
            Why.SIGNATURE, f"it is not what {grant.approver} signed: it was changed, or another key signed it"
        )
    if grant.ledger != place.ledger:
        return Refusal(
            Why.LEDGER,
            f"it is for the ledger {grant.ledger}, and this one is {place.ledger}: a new ledger starts without the grants of"
            " the old one; ask again",
        )
    if grant.machine != place.machine:
        return Refusal(Why.MACHINE, f"it is for the machine {grant.machine}, and this one is {place.machine}")
    if grant.approver == grant.person:
        return Refusal(Why.OWN, f"{grant.approver} signed for themselves; another approver must")
    budget = next((each for each in policy.budgets if each.name == grant.budget), None)
    if budget is None:
        return Refusal(Why.BUDGET, f"the policy in force has no budget {grant.budget}")
    if set(budget.per) != set(grant.values) or grant.values.get("person", grant.person) != grant.person:
        return Refusal(Why.BUDGET, f"{budget.name} is now kept per {', '.join(budget.per) or 'nobody'}; ask again")
    if any(taken.signed.grant.id == grant.id for taken in earlier):
        return Refusal(Why.TWICE, "this ledger has taken it in already; it counts once")
    return _within(grant, approvers, policy, earlier, now_ms)


def _answered(grant: Grant, policy: Policy, earlier: Sequence[Taken], now_ms: int) -> Refusal | None:
    """Whether another grant still answers the same ask. One that has ended or was revoked leaves it to be answered anew."""
    for each in earlier:
        other = each.signed.grant
        runs = not each.ended and each.until_ms > now_ms
        if runs and (other.ask, other.ledger) == (grant.ask, grant.ledger) and authentic(each.signed, policy):
            until = shown_in(policy.timezone, each.until_ms)
            more = f"{short_dollars(other.amount_nanos)} more until {until}"
            return Refusal(
                Why.ANSWERED,
                f"{other.approver} has answered the ask {grant.ask} with {more}, grant {other.id}: revoke that one first, or"
                f" have {grant.person} ask again",
            )
    return None


def authentic(signed: SignedGrant, policy: Policy) -> bool:
    """Whether the approver whom it names has signed it, so that nobody else can have made up its id."""
    return any(_signed_by(each, signed) for each in policy.approvers if each.person == signed.grant.approver)


def _signed_by(approver: Approver, signed: SignedGrant) -> bool:
    return _verified(approver.key, signed.grant.data(), signed.signature)


@lru_cache(maxsize=4096)
def _verified(key: str, data: bytes, signature: Signature) -> bool:
    """Remembered: a gate reads all that its ledger has taken in whenever one more is."""
    try:
        PublicKey.parse(key).verify(data, signature)
    except ValueError:
        return False
    return True


def _within(
    grant: Grant, approvers: Iterable[Approver], policy: Policy, earlier: Sequence[Taken], now_ms: int
) -> Refusal | None:
    """Whether one of the approver's entries reaches this person and this much."""
    facts = facts_of(policy, grant.person, grant.machine, grant.values, now_ms)
    reaching = [each for each in approvers if not each.reach.clauses or each.reach.fits(facts)]
    if not reaching:
        return Refusal(Why.REACH, f"{grant.approver} may not approve for {grant.person}")
    most = max(each.up_to_nanos for each in reaching)
    at_once = grant.amount_nanos + most_at_once(grant, earlier)
    if at_once > most:
        beside = "" if at_once == grant.amount_nanos else " beside what they have granted here for that time"
        return Refusal(
            Why.LIMIT,
            f"it is {short_dollars(grant.amount_nanos)}, which makes {short_dollars(at_once)}{beside};"
            f" {grant.approver} may grant up to {short_dollars(most)}",
        )
    return None


def most_at_once(grant: Grant, earlier: Sequence[Taken]) -> int:
    """The most that the approver's earlier grants add up to at any instant of this one, in nano-dollars."""
    beside = [
        (max(each.signed.grant.from_ms, grant.from_ms), each.until_ms, each.signed.grant.amount_nanos)
        for each in earlier
        if each.signed.grant.approver == grant.approver
    ]
    beside = [(start, end, nanos) for start, end, nanos in beside if start < min(end, grant.until_ms)]
    return max((sum(n for s, e, n in beside if s <= at < e) for at, _, _ in beside), default=0)


def raised(policy: Policy, taken: Sequence[Taken], place: Place, now_ms: int) -> tuple[Policy, tuple[Taken, ...]]:
    """The policy with what these grants add, and those of them that count no more though nobody has ended them yet.

    A grant that has ended still tells what was spent under it, in the windows that it was in. One that never counted here
    (another ledger's, one that nobody signed) is none.
    """
    found: list[Granted] = []
    earlier: list[Taken] = []
    stopped: list[Taken] = []
    for each in taken:
        refusal = counts(each.signed, policy, place, earlier, now_ms)
        if refusal is not None and refusal.why in _NEVER:
            continue
        if refusal is not None and not each.ended and each.until_ms > now_ms:
            stopped.append(replace(each, ended=refusal.said))
        over = refusal is not None or each.ended  # and stays so where the clock is set back before its end
        held = replace(each, until_ms=min(each.until_ms, now_ms)) if over else each
        budget = next((known for known in policy.budgets if known.name == each.signed.grant.budget), None)
        if budget is not None and held.until_ms > each.signed.grant.from_ms:
            found.append(exception_of(each.signed.grant, budget, held.until_ms, policy.timezone))
        earlier.append(held)
    return policy.granting(tuple(found)), tuple(stopped)


_NEVER: Final = frozenset({Why.SIGNATURE, Why.LEDGER, Why.MACHINE, Why.OWN, Why.TWICE})


def exception_of(grant: Grant, budget: Budget, until_ms: int, zone: str) -> Granted:
    """What the grant is to its budget: more for this person's calls on this allowance, once."""
    until = shown_in(zone, grant.until_ms)
    return Granted(
        budget=budget.name,
        match=exactly({**grant.values, "person": grant.person}),
        add_nanos=grant.amount_nanos,
        once=budget.window is not None,
        from_ms=grant.from_ms,
        until_ms=until_ms,
        reason=f"{grant.reason} (grant {grant.id})",
        approved_by=grant.approver,
        grant=grant.id,
        told=f"until {until} by {grant.approver}: {grant.reason}",
    )
