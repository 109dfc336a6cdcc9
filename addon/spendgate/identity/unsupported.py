"""Systems whose connections cannot be asked about yet: every peer is unknown, and says why."""

from __future__ import annotations

import platform

from spendgate.attribution import Peer
from spendgate.identity.interface import Endpoints


class UnsupportedLookup:
    """A `Lookup` that knows nobody; `unknown_people` of the policy then applies to every call."""

    def __init__(self, system: str | None = None) -> None:
        self._peer = Peer(
            why_unknown=f"connections are not looked up on {system or platform.system() or 'this system'}"
        )

    def owner(self, _ends: Endpoints) -> Peer:
        """Nobody, with the reason."""
        return self._peer

    def process(self, peer: Peer, _ends: Endpoints) -> Peer:
        """The peer as it was."""
        return peer
