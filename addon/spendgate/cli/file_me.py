"""Everything that a ledger's file keeps about whoever asks, until when, and what of it anybody else sees: for `me`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from spendgate.alerts import routing
from spendgate.answerers import answering_team, owner_of
from spendgate.attribution import Evidence
from spendgate.cli.moments import iso
from spendgate.cli.own import Hand, own_person
from spendgate.config.trust import trusted
from spendgate.ledger.messages import severity
from spendgate.ledger.mine import Kept, Whose
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.roster import PersonMatch
from spendgate.sight import Sight
from spendgate.window import DAY_MS


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that leaves this machine, or is shown to somebody else on it: who, what of you, when."""

    who: str
    what: str
    when: str


def document(hand: Hand, now_ms: int, most: int | None) -> dict[str, Any]:
    """For programs. `most`: so many rows of each table are in it, the newest; None: all."""
    policy, sight = hand.policy, hand.sight
    match, _ = own_person(hand.state, policy, sight.account, now_ms)
    with closing(Reader(hand.state.ledger)) as reader:
        of = whose(sight, match)
        tables = reader.kept_of(of)
    return {
        "account": sight.account,
        "person": match.person,
        "team": list(match.team),
        "groups": list(match.groups),
        "email": routing.email(policy, of.person) if of.person else None,
        "policy": {"hash": policy.hash, "owner": policy.owner, "privacy": _settings(policy)},
        "state": str(hand.state.root),
        "state_owner_uid": hand.state.root.stat().st_uid,
        "company_sees": {"note": _nothing(policy), "receivers": [asdict(each) for each in _seen(policy, match)]},
        "kept": [{**_row(each, policy, now_ms), **_content(each, most)} for each in tables],
    }


def whose(sight: Sight, match: PersonMatch) -> Whose:
    """An allowance that several accounts share is nobody's own: of it an account sees what its own calls left."""
    own = match.evidence is Evidence.SOCKET_OWNER or match.person == sight.account
    return Whose(sight.account, match.person if own and not sight.shared else None)


def _content(kept: Kept, most: int | None) -> dict[str, object]:
    if most is None or len(kept.rows) <= most:
        return {"content": list(kept.rows)}
    return {"content": list(kept.rows[len(kept.rows) - most :]), "content_left_out": len(kept.rows) - most}


def _row(kept: Kept, policy: Policy, now_ms: int) -> dict[str, object]:
    return {
        "table": kept.table, "rows": len(kept.rows), "first_at": _iso(kept.first_ms), "last_at": _iso(kept.last_ms),
        "until": _until(kept, policy, now_ms), "what": kept.what,
    }  # fmt: skip


def _until(kept: Kept, policy: Policy, now_ms: int) -> str:
    keep_days = policy.privacy.keep_days
    if kept.until == "good" or keep_days is None:
        return "for good"
    days = f"{keep_days} days"
    if kept.until != "keep":
        return f"{days}: {kept.until}"
    if kept.last_ms is None:
        return days
    last = kept.last_ms // DAY_MS * DAY_MS + (keep_days + 1) * DAY_MS
    return f"{days}: the last until {_iso(max(last, now_ms))[:10]}"


def _iso(ms: int | None) -> str:
    return "" if ms is None else iso(ms)


def _seen(policy: Policy, match: PersonMatch) -> Iterator[Seen]:
    """By the policy in force. Nothing else of a ledger leaves the machine."""
    tried = severity(policy, loud=False).value
    rules = [each.name for each in policy.alerts]
    shares = [f"{budget.name} at {percent}%" for budget in policy.budgets for percent in budget.alerts]
    named = policy.roster.team_by_name
    entries = [entry for team in match.team if team in named for entry in named[team].notify]
    told = ", ".join((*rules, *shares)) or "no alert is in the policy"
    for entry in {entry.to: entry for entry in (*entries, *policy.notify)}.values():
        what = "the text of alerts about you: your name, the machine, the rule, figures, the command for the calls"
        what += f" ({told})"
        what += "; what you ask for, with your reason" if "alert" in entry.purposes else ""
        what += "; that you tried a grant that does not count" if tried in entry.purposes else ""
        what += "; the digest of a week, with your name and what you spent" if routing.DIGEST in entry.purposes else ""
        yield Seen(routing.key(entry), what, f"when one is told, for: {', '.join(entry.purposes)}")
    if routing.email(policy, match.person) is not None and routing.mail_of(policy, match.team) is not None:
        yield Seen("yourself, by mail", "the same alerts", "when one is told")
    if answers := _who_answers(policy, match):
        yield Seen(
            f"by mail {', '.join(answers)}", "what you ask for, with your reason and your figures", "when you ask"
        )
    if policy.prices_update == "daily":
        yield Seen("the source of the price list", "that a list is fetched; nothing of you", "once a day")
    trust = trusted()
    if trust is not None and trust.url is not None:
        yield Seen(trust.url, "that the policy is fetched; nothing of you", "each time that it is looked for")


def _who_answers(policy: Policy, match: PersonMatch) -> tuple[str, ...]:
    """Who may have a mail of an ask of this person's, as `routing.keys_of_ask` has it."""
    people: dict[str, None] = {}
    for team in {answering_team(policy, budget, match.team): None for budget in policy.budgets}:
        if routing.mail_of(policy, team) is not None:
            owner = policy.roster.listed(owner_of(policy, team))
            people |= dict.fromkeys((*([owner.name] if owner else []), *(each.person for each in policy.approvers)))
    return tuple(name for name in people if name != match.person and routing.email(policy, name) is not None)


def _nothing(policy: Policy) -> str:
    hub = f"fleet.hub {policy.fleet.hub} is not reached by this version" if policy.fleet.hub else "there is no hub"
    return f"{hub}: no row, sum or balance leaves this machine"


def _settings(policy: Policy) -> dict[str, object]:
    privacy = policy.privacy
    return {"keep_days": privacy.keep_days, "project": privacy.project, "process": privacy.process}
