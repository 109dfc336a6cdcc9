"""`exec`: a gate that was started for one command serves the account that started it. First of the addons that meter.

Its port is on the loopback, which every account of the machine reaches. What comes through it leaves with the rights of this
process, and through a proxy that wants a password with that password: nobody else's traffic may.
"""

from __future__ import annotations

import logging

from mitmproxy import connection

from spendgate.capture.ends import ends_of
from spendgate.identity.interface import Lookup

logger = logging.getLogger(__name__)

ROOT = 0
NOT_OURS = "spendgate: another account's connection"


class OneAccount:
    """The addon. `uid` is the account's."""

    def __init__(self, lookup: Lookup, uid: int) -> None:
        self._lookup = lookup
        self._uid = uid
        self._told: set[int] = set()

    def client_connected(self, client: connection.Client) -> None:
        """mitmproxy's hook: a client with an error is closed before a byte of it is read.

        Root may come, as the command may be run through `sudo`; where root has started the command, it may have become anyone.
        Where the system does not say whose a connection is, it is not turned away: the command may run in a container.
        """
        uid = self._lookup.owner(ends_of(client)).uid
        if uid is None or self._uid == ROOT or uid in (ROOT, self._uid):
            return
        client.error = NOT_OURS
        if uid not in self._told:
            self._told.add(uid)
            logger.warning(
                "a connection of another account (uid %d) was turned away: this gate is for one command", uid
            )
