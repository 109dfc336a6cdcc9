"""The roster: whom an OS account is."""

from __future__ import annotations

from datetime import date

import pytest

from spendgate.attribution import Evidence
from spendgate.roster import MachineGroup, Person, Roster, Team, UnknownPeople, lineage

TODAY = date(2026, 11, 22)
PEOPLE = (
    Person(
        name="alice",
        accounts=("alice", "ACME\\alice", "admin@lt-0412"),
        email="Alice@acme.example",
        team="payments",
        groups=("senior",),
    ),
    Person(name="bob", accounts=("bob",), until=TODAY),
    Person(name="carol", accounts=("carol",), until=date(2026, 11, 21)),
)
TEAMS = (
    Team(name="commerce", lineage=("commerce",)),
    Team(name="payments", parent="commerce", lineage=("payments", "commerce")),
)


@pytest.mark.parametrize(
    ("account", "machine", "person"),
    [
        pytest.param("alice", None, "alice", id="account"),
        pytest.param("acme\\ALICE", None, "alice", id="case does not count"),
        pytest.param("admin", "LT-0412", "alice", id="an account of one machine"),
        pytest.param("admin", "lt-0413", "shared", id="the same account of another"),
        pytest.param("bob", None, "bob", id="until is the last day"),
        pytest.param("carol", None, "shared", id="after until"),
        pytest.param("mallory", None, "shared", id="not listed"),
        pytest.param(None, None, "shared", id="not known"),
    ],
)
def test_whom_an_account_is(account: str | None, machine: str | None, person: str) -> None:
    """Accounts compare without case; what is not listed today falls to `unknown_people`."""
    roster = Roster(people=PEOPLE, teams=TEAMS, unknown=UnknownPeople.SHARED)
    assert roster.person_of(account, today=TODAY, machine=machine).person == person


def test_a_person_brings_team_and_groups() -> None:
    """The team comes with its ancestors, the evidence is the socket's owner."""
    found = Roster(people=PEOPLE, teams=TEAMS).person_of("alice", today=TODAY)
    assert (found.team, found.groups, found.evidence) == (("payments", "commerce"), ("senior",), Evidence.SOCKET_OWNER)


@pytest.mark.parametrize(
    ("unknown", "account", "owner", "person", "refused"),
    [
        pytest.param("each", "Mallory", None, "mallory", False, id="each"),
        pytest.param("each", None, None, "unknown", False, id="each, account not known"),
        pytest.param("shared", "mallory", "alice", "shared", False, id="shared"),
        pytest.param("refuse", "mallory", "alice", "mallory", True, id="refuse"),
        pytest.param("refuse", None, None, "unknown", True, id="refuse, account not known"),
        pytest.param("owner", "mallory", "ALICE", "alice", False, id="owner by name"),
        pytest.param("owner", "mallory", "acme\\alice", "alice", False, id="owner by account"),
        pytest.param("owner", "mallory", "alice@acme.example", "alice", False, id="owner by e-mail"),
        pytest.param("owner", "mallory", None, "shared", False, id="no owner known"),
        pytest.param("owner", "mallory", "carol", "shared", False, id="owner has left"),
    ],
)  # fmt: skip
def test_accounts_that_nobody_lists(
    unknown: str, account: str | None, owner: str | None, person: str, *, refused: bool
) -> None:
    """`unknown_people` decides, and never makes a person out of root or nobody."""
    machines = (MachineGroup(name="laptops", match=("LT-*",), owner=owner),)
    roster = Roster(people=PEOPLE, teams=TEAMS, unknown=UnknownPeople(unknown), machines=machines)
    found = roster.person_of(account, today=TODAY, machine="lt-7")
    assert (found.person, found.refused) == (person, refused)


def test_a_circle_of_teams_is_an_error() -> None:
    """A team is never its own ancestor, and a chain is bounded."""
    with pytest.raises(ValueError, match="a -> b -> a goes in a circle"):
        lineage("a", {"a": "b", "b": "a"})
    with pytest.raises(ValueError, match="more than 32"):
        lineage("0", {str(number): str(number + 1) for number in range(40)})
