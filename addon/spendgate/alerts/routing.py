"""Whom an alert reaches: the person, the entries of the team and of those above it, the file's."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from spendgate.alert_rules import Severity
from spendgate.alerts.interface import Alert
from spendgate.answerers import may_approve, owner_of
from spendgate.grant_texts import Ask
from spendgate.policy import Policy
from spendgate.roster import Notify

DIGEST: Final = "digest"
"""What an entry's `for` calls the week's digest."""


def receivers(policy: Policy, purpose: str, team: tuple[str, ...]) -> tuple[Notify, ...]:
    """The entries for messages of this purpose (a severity, or `digest`) about this team (with its ancestors), each once."""
    named = policy.roster.team_by_name
    entries = [entry for name in team if name in named for entry in named[name].notify]
    return tuple({entry.to: entry for entry in (*entries, *policy.notify) if purpose in entry.purposes}.values())


def notifies(policy: Policy) -> bool:
    """Whether the policy names any way to tell anybody of anything."""
    return bool(policy.notify or any(team.notify for team in policy.roster.team_by_name.values()))


def told(policy: Policy, alert: Alert) -> tuple[str, ...]:
    """Who hears of it, in words: the person's name, and the services without what may be secret in an address."""
    person = (alert.person,) if alert.person else ()
    return (*person, *dict.fromkeys(service(entry) for entry in receivers(policy, alert.severity.value, alert.team)))


def service(entry: Notify) -> str:
    """`slack`."""
    return entry.to.partition(":")[0].lower()


MAIL: Final = "mail"
DESKTOP: Final = "desktop"
_SHOWN_HASH: Final = 8


def key(entry: Notify) -> str:
    """By which the ledger knows a receiver: `slack-1f3a9c0d`, without what may be secret in an address."""
    return f"{service(entry)}-{sha256(entry.to.encode()).hexdigest()[:_SHOWN_HASH]}"


def keys(policy: Policy, purpose: str, person: str | None, team: tuple[str, ...], *, desktop: bool) -> tuple[str, ...]:
    """To whom an alert goes, each by its key: the entries, the person by mail, the desktop of this session."""
    entries = receivers(policy, purpose, team)
    found = [key(entry) for entry in entries]
    if person is not None and email(policy, person) is not None and mail_of(policy, team) is not None:
        found.append(f"{MAIL}:{person}")
    if desktop and person is not None:
        found.append(DESKTOP)
    return tuple(found)


def keys_of_ask(policy: Policy, ask: Ask, team: tuple[str, ...], now_ms: int) -> tuple[str, ...]:
    """To whom an ask goes: the entries for alerts about the team whose budget it is; by mail whoever answers for it, where they
    are listed, and each who may grant it."""
    found = [key(entry) for entry in receivers(policy, Severity.ALERT.value, team)]
    if mail_of(policy, team) is not None:
        owner = policy.roster.listed(owner_of(policy, team))
        people = [owner.name] if owner is not None and owner.name != ask.person else []
        people += [each.person for each in may_approve(policy, ask.person, ask.machine, ask.values, now_ms)]
        found += [f"{MAIL}:{person}" for person in people if email(policy, person) is not None]
    return tuple(dict.fromkeys(found))


def digest_keys(policy: Policy, team: str) -> tuple[str, ...]:
    """To whom a digest goes: the file's entries that are for it; of a team's digest its own entries."""
    own = policy.roster.team_by_name.get(team)
    entries = policy.notify if not team else own.notify if own else ()
    return tuple([key(entry) for entry in entries if DIGEST in entry.purposes])


class Address(NamedTuple):
    """Where a message goes: an entry's address, `${…}` as it is written; and which person by its mail server, else its own."""

    to: str
    person: str = ""


def address(policy: Policy, receiver: str, team: tuple[str, ...]) -> Address | None:
    """Where this receiver is under the policy in force; None: the policy names it no more."""
    if receiver.startswith(f"{MAIL}:"):
        to, through = email(policy, receiver.removeprefix(f"{MAIL}:")), mail_of(policy, team)
        return None if to is None or through is None else Address(through.to, to)
    entries = (*policy.notify, *(entry for each in policy.roster.teams for entry in each.notify))
    return next((Address(entry.to) for entry in entries if key(entry) == receiver), None)


def email(policy: Policy, person: str) -> str | None:
    """A person's address, where the policy has one."""
    return next((each.email for each in policy.roster.people if each.name == person), None)


def mail_of(policy: Policy, team: tuple[str, ...]) -> Notify | None:
    """The entry whose server carries mail to people: the nearest team's, else the file's."""
    named = policy.roster.team_by_name
    entries = [entry for name in team if name in named for entry in named[name].notify]
    return next((entry for entry in (*entries, *policy.notify) if service(entry) in ("mailto", "mailtos")), None)
