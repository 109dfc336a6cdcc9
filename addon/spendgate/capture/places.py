"""No account of the machine takes all connections that the gate can hold: who would take another's place is turned away.

The gate's port is on the loopback, which every account reaches. A connection that says nothing costs its owner nothing and the
gate a file, and where no file can be opened, nobody's call goes through. Nor may its handshakes take the loop's whole time
(`handshakes`). First of the addons that meter.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter

from mitmproxy import connection, tls

from spendgate.capture.ends import ends_of
from spendgate.capture.handshakes import Handshakes
from spendgate.identity.interface import Lookup

logger = logging.getLogger(__name__)

SHARE = 4
"""An account holds one connection for each so many files; each takes two, so that half of all are left to others."""
MOST = 4_096
"""And no more than these, however many files there may be: each that speaks is a moment of the loop that serves all."""
TOO_MANY = "spendgate: too many connections of one account"


class Places:
    """The addon. Connections whose account the system does not tell are counted together."""

    def __init__(self, lookup: Lookup, most: int | None = None) -> None:
        """`most` connections for each account; None: by how many files may be open once the proxy runs."""
        self._lookup = lookup
        self._most = most
        self._held: Counter[int | None] = Counter()
        self._whose: dict[str, int | None] = {}
        self._told: set[int | None] = set()
        self._handshakes = Handshakes()

    def running(self) -> None:
        """mitmproxy's hook. The limit of open files was raised before."""
        if self._most is None:
            self._most = min(_files() // SHARE, MOST)

    def client_connected(self, client: connection.Client) -> None:
        """mitmproxy's hook: a client with an error is closed before a byte of it is read."""
        if client.error:
            return
        uid = self._lookup.owner(ends_of(client)).uid
        if self._most is not None and self._held[uid] >= self._most:
            client.error = TOO_MANY
            self._tell(uid)
            return
        self._whose[client.id] = uid
        self._held[uid] += 1

    def client_disconnected(self, client: connection.Client) -> None:
        """mitmproxy's hook, also of those that were turned away."""
        if client.id not in self._whose:
            return
        uid = self._whose.pop(client.id)
        self._handshakes.end(uid, client.id)
        self._held[uid] -= 1
        if not self._held[uid]:
            del self._held[uid]
            self._told.discard(uid)

    async def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """mitmproxy's hook: the handshake goes on when it has ended."""
        client = data.context.client.id
        if client in self._whose:
            await self._handshakes.begin(self._whose[client], client)

    def tls_established_client(self, data: tls.TlsData) -> None:
        """mitmproxy's hook."""
        self._handshakes.end(self._whose.get(data.conn.id), data.conn.id)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """mitmproxy's hook."""
        self._handshakes.end(self._whose.get(data.conn.id), data.conn.id)

    def _tell(self, uid: int | None) -> None:
        """Once, until it has none any more."""
        if uid not in self._told:
            self._told.add(uid)
            who = "accounts that the system does not tell" if uid is None else f"one account (uid {uid})"
            logger.warning(
                "connections of %s are turned away: %d are open, and the rest is for others", who, self._most
            )


def _files() -> int:
    """How many files this process may have open; Windows bounds sockets by memory alone."""
    if sys.platform == "win32":
        return 65_536
    import resource  # noqa: PLC0415 - POSIX alone has it

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
