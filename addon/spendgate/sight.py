"""What an account may see of a ledger that is a service's, and do there. Pure: who it is was asked of the system.

An account sees its own person's rows, budgets, refusals, alerts, asks and grants. An account that nobody lists and that counts as
somebody (strangers together, the machine's owner) sees the rows of its own account alone.
The sums of a budget that is shared are its sums.
Everything, and what is about everybody, is for admins.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from spendgate.roster import RESERVED_NAMES

ADMINS: Final = "spendgate-admin"
"""The group of the system whose members are admins, as root is."""


class Peer(Struct, frozen=True):
    """The process at the other end of a socket, as the kernel has it."""

    uid: int
    gids: frozenset[int]
    """Its group and its supplementary groups, at the moment at which it connected."""


class Sight(Struct, frozen=True):
    """What one account sees."""

    account: str
    person: str
    """Whom the policy in force takes the account for."""
    everything: bool = False
    listed: bool = True
    """Whether the policy says so of this account; False: it is counted as this person because nobody lists it."""

    @property
    def where(self) -> tuple[tuple[str, str], ...]:
        """The attributes that a call must have to be seen."""
        if self.everything:
            return ()
        return (("account_os", self.account),) if self.shared else (("person", self.person),)

    @property
    def shared(self) -> bool:
        """Whether the person may be somebody else, as whom this account only counts: strangers, or the machine's owner."""
        return self.person in RESERVED_NAMES or not self.listed

    def sees(self, person: str | None) -> bool:
        """Whether it sees what is about this person alone; None: about several, or nobody in particular."""
        return self.everything or (not self.shared and person == self.person)

    def sees_account(self, account: str) -> bool:
        """Whether it sees what is about this account."""
        return self.everything or account == self.account

    def takes_in_for(self, approvers: frozenset[str]) -> str | None:
        """Whose grants it may take in: its own person's; None: everybody's, as admins and approvers may."""
        return None if self.everything or self.person in approvers else self.person


def admin(peer: Peer, *, service_uid: int, admin_gid: int | None) -> bool:
    """Whether the peer is root, the service's own account, or in the admins' group (None: the system has no such group)."""
    return peer.uid in (0, service_uid) or (admin_gid is not None and admin_gid in peer.gids)
