"""Reads `approvers`; and checks that every owner is reached by what alerts there are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from spendgate.alert_rules import AlertRule, Severity
from spendgate.approvers import Approver
from spendgate.budget import Budget
from spendgate.config import forms
from spendgate.config.alert_words import positive
from spendgate.config.faults import NotAmong, one_of, shown
from spendgate.config.nodes import Mapping
from spendgate.config.people import Declared
from spendgate.config.rules import read_selector
from spendgate.config.sections import Section
from spendgate.roster import Notify, Roster

_OWNED: Final = (Severity.ALERT, Severity.PAGE)
"""What an owner must hear of; a notice is for whoever asks for it."""
_KEY_BYTES: Final = 42
"""A minisign public key, by its documentation ("Public key format"): `Ed`, the key's id in 8 bytes, an Ed25519 key of 32."""
_KEY_HEAD: Final = b"Ed"


def read_approvers(top: Section, declared: Declared, roster: Roster) -> tuple[Approver, ...]:
    """The approvers in file order; those with a fault are left out."""
    owners: dict[str, str] = {}
    found: list[Approver] = []
    people = tuple(person.name for person in roster.people)
    for entry in top.sections("approvers"):
        person = entry.parsed("person", lambda text: _listed(text, people), required=True)
        key = entry.parsed("key", minisign_key, required=True)
        up_to = entry.parsed("up_to", positive, required=True)
        reach = read_selector(entry, "for", declared)
        entry.done()
        if key is not None and person is not None and owners.setdefault(key, person) != person:
            entry.fault("key", f"is {owners[key]}'s already; a signature must tell who approved")
        if person is not None and key is not None and up_to is not None:
            found.append(Approver(person=person, key=key, up_to_nanos=up_to, reach=reach))
    return tuple(found)


def _listed(text: str, people: tuple[str, ...]) -> str:
    if text not in people:
        allowed = one_of(people[:12]) if people else "the file lists nobody under people"
        raise NotAmong(f"{shown(text)} is no person that is listed; {allowed}", text, people)
    return text


@forms.written("RW[Q-T][A-Za-z0-9+/]{53}")
def minisign_key(text: str) -> str:
    """A public key as minisign prints it: 56 letters of base64 that begin `RW`."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != _KEY_BYTES or not data.startswith(_KEY_HEAD):
        raise ValueError(
            f"{shown(text)} is not a minisign public key; allowed: the last line of minisign.pub, 56 letters that begin RW"
        )
    return text


def unreached_owners(
    sources: Sequence[Section],
    roster: Roster,
    notify: tuple[Notify, ...],
    told: tuple[Sequence[Budget], Sequence[AlertRule]],
) -> None:
    """A fault at each owner who would hear nothing of an alert: neither the team's nor the file's entries are for it.

    `sources` are the policy file and the included ones that list teams; `told` are the budgets, whose thresholds are alerts, and
    the alert rules.
    """
    budgets, alerts = told
    used = {rule.severity for rule in alerts}
    if any(budget.alerts for budget in budgets):
        used.add(Severity.ALERT)
    reached = {purpose for entry in notify for purpose in entry.purposes}
    missing = [severity for severity in _OWNED if severity in used and severity not in reached]
    if not missing:
        return
    if sources[0].has("owner"):
        sources[0].fault("owner", _unreached("notify", missing))
    listed = [(source.faults, source.node("teams")) for source in sources]
    for faults, key, node in [
        (faults, *entry) for faults, teams in listed if isinstance(teams, Mapping) for entry in teams.entries
    ]:
        team = roster.team_by_name.get(key.value)
        if team is not None and team.owner is not None:
            lineage = [roster.team_by_name[name] for name in team.lineage]
            own = {purpose for each in lineage for entry in each.notify for purpose in entry.purposes}
            if unheard := [severity for severity in missing if severity not in own]:
                text = _unreached(f"notify, or teams.{team.name}.notify,", unheard)
                faults.add(node.place, f"teams.{team.name}.owner", text)


def _unreached(where: str, missing: Sequence[Severity]) -> str:
    return (
        f"is not told of {' and '.join(f'{each}s' for each in missing)}, of which this file has some; give {where} an entry "
        f'such as {{to: "slack://${{SPENDGATE_SECRET_AI}}", for: [{", ".join(missing)}]}}'
    )
