"""What an account sees of a service's ledger: a table, and that nobody sees another person's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.roster import RESERVED_NAMES
from spendgate.sight import Peer, Sight, admin

ALICE = Sight("al", "alice")
SHARED = Sight("stranger", RESERVED_NAMES[0])
GUEST = Sight("guest", "alice", listed=False)
"""Counts as alice, whose machine it is."""
ROOT = Sight("root", "root", everything=True)


@pytest.mark.parametrize(
    ("sight", "where", "sees"),
    [
        (ALICE, (("person", "alice"),), [True, False, False, False]),
        (SHARED, (("account_os", "stranger"),), [False, False, False, False]),
        (GUEST, (("account_os", "guest"),), [False, False, False, False]),
        (ROOT, (), [True, True, True, True]),
    ],
)
def test_what_is_seen(sight: Sight, where: tuple[tuple[str, str], ...], sees: list[bool]) -> None:
    """Rows by their attributes; what is about one person, about several (None), about strangers who count as one."""
    assert sight.where == where
    assert [sight.sees(person) for person in ("alice", "bob", None, RESERVED_NAMES[0])] == sees


def test_accounts() -> None:
    """Coverage is told by account."""
    assert [ALICE.sees_account(name) for name in ("al", "alice", "bob")] == [True, False, False]
    assert ROOT.sees_account("bob")


def test_whose_grants_may_be_taken_in() -> None:
    """One's own; everybody's by an approver, whose key has signed them, and by an admin."""
    assert ALICE.takes_in_for(frozenset({"lead"})) == "alice"
    assert ALICE.takes_in_for(frozenset({"alice"})) is None
    assert ROOT.takes_in_for(frozenset()) is None


@pytest.mark.parametrize(
    ("uid", "gids", "admin_gid", "is_admin"),
    [
        (0, (), None, True), (990, (990,), 40, True), (1000, (1000, 40), 40, True), (1000, (1000,), 40, False),
        (1000, (0, 1000), 40, False), (1000, (1000,), None, False), (4294967295, (), None, False),
    ],
)  # fmt: skip
def test_admins(uid: int, gids: tuple[int, ...], admin_gid: int | None, is_admin: bool) -> None:
    """Root, the service itself, the group; root's group is none of them, nor is anybody where there is no such group."""
    assert admin(Peer(uid, frozenset(gids)), service_uid=990, admin_gid=admin_gid) is is_admin


@given(st.text(), st.text(), st.text())
def test_no_account_sees_another_persons(account: str, person: str, other: str) -> None:
    """Whatever they are called."""
    sight = Sight(account, person)
    assert sight.sees(other) is (other == person and other not in RESERVED_NAMES)
    assert sight.where in ((("person", person),), (("account_os", account),))
