"""A roster that changes under a running gate: who moves, or whose account moves, brings along what was spent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.test_moving_limits import NOON, policy, set_clock
from gate.world import House, costing, end, house, intent, replace
from spendgate.attribution import Attribution, Evidence
from spendgate.gate.interface import Admitted, Intent
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy

PERSON = "budgets: [{name: person, per: person, limit: $5 per month, wait: 0s}]\n"
TEAMS = 'teams: {a: {owner: "v@acme.example"}, b: {owner: "v@acme.example", timezone: Europe/Berlin}}\n'
COMMERCE = """\
people: {alice: {team: payments}}
teams: {commerce: {owner: "v@acme.example"}, payments: {owner: "v@acme.example"%s}}
budgets: [{name: commerce, match: {team: commerce}, limit: $5 per month, wait: 0s}]
"""
MACHINES = """\
people: {alice: {}}
machines: {office: {match: [%s]}}
budgets: [{name: office, match: {machine_group: office}, limit: $5 per month, wait: 0s}]
"""


def by(account: str, rules: Policy) -> Intent:
    """A call of an OS account, as these rules attribute it."""
    who = rules.roster.person_of(account, today=datetime.fromtimestamp(NOON / 1000, UTC).date(), machine="lt-1")
    said = Attribution(
        person=who.person, machine="lt-1", account_os=account, tool="claude-code", team=who.team[0] if who.team else None,
        teams=who.team, groups=who.groups, machine_groups=tuple(each.name for each in rules.roster.machine_groups("lt-1")),
        person_evidence=Evidence.SOCKET_OWNER,
    )  # fmt: skip
    return replace(intent(), attribution=said)


async def spend(place: House, rules: Policy, account: str) -> bool:
    """One call of $4.90; whether it was let through."""
    call = by(account, rules)
    admitted = isinstance(await place.gate.hold(call), Admitted)
    if admitted:
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(4.9), end())
        place.gate.backlog.write_out()
    return admitted


@pytest.mark.parametrize(
    ("before", "after", "account"),
    [
        pytest.param(
            f"people: {{alice: {{team: a}}}}\n{TEAMS}{PERSON}", f"people: {{alice: {{team: b}}}}\n{TEAMS}{PERSON}", "alice",
            id="a team with another zone",
        ),
        pytest.param(COMMERCE % "", COMMERCE % ", parent: commerce", "alice", id="a team gets a parent"),
        pytest.param(
            f"people: {{alice: {{}}}}\nunknown_people: each\n{PERSON}",
            f"people: {{alice: {{accounts: [alice, bob]}}}}\nunknown_people: each\n{PERSON}", "bob",
            id="an account is listed",
        ),
        pytest.param(
            "people: {alice: {}, bob: {groups: [x]}}\n" + PERSON.replace("per: person", "per: person, match: {group: x}"),
            "people: {alice: {groups: [x]}, bob: {groups: [x]}}\n"
            + PERSON.replace("per: person", "per: person, match: {group: x}"), "alice",
            id="a group is entered",
        ),
        pytest.param(MACHINES % "ci-*", MACHINES % "ci-*, lt-*", "alice", id="a machine's group is widened"),
    ],
)  # fmt: skip
async def test_what_was_spent_comes_along(tmp_path: Path, before: str, after: str, account: str) -> None:
    """Nobody starts afresh in a running window, however often the file was loaded before."""
    old, new = policy(before.replace("", "")), policy(after)
    async with house(tmp_path, old) as place:
        set_clock(place.time, NOON)
        assert await spend(place, old, account)
        assert await spend(place, old, account)
        await place.gate.set_policy(old)
        await place.gate.set_policy(new)
        assert not await spend(place, new, account)
        with Reader(place.rows.path) as reader:
            assert reader.check() == ()
