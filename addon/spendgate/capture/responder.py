"""The gate's own answer to a canary call, which is what counts as health: a listener that logs "started" may capture nothing.

A canary call goes the way that a tool's call goes: through the listener, through TLS with a leaf of our CA, into the HTTP
layer, which answers it with the gate's instance id. Nothing leaves the machine. Since mitmproxy connects before it knows who
is asked for, the canary's host and addresses lead to a loopback socket that accepts and says nothing. It closes at once, since
every account of the machine can connect to it: a connection that stays is a file that the gate has less for calls.
"""

from __future__ import annotations

import asyncio
import secrets

from mitmproxy import http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from spendgate.capture.health import CANARY_ADDRESS, CANARY_ADDRESS6
from spendgate.capture.scope import CANARY_HOST, INSTANCE_HEADER

CANARY_ADDRESSES = frozenset({CANARY_ADDRESS, CANARY_ADDRESS6})


class Responder:
    """The addon. `instance` tells this gate's answers from another's."""

    def __init__(self) -> None:
        self.instance = secrets.token_hex(8)
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None

    async def start(self) -> None:
        """Opens the loopback socket. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._address = self._server.sockets[0].getsockname()[:2]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """mitmproxy's hook: the canary's way ends here."""
        address = data.server.address
        if address and (address[0] == CANARY_HOST or address[0] in CANARY_ADDRESSES):
            data.server.address = self._address

    def answer(self) -> http.Response:
        """What a canary call gets."""
        return http.Response.make(
            200, b'{"gate":"up"}\n', {"content-type": "application/json", INSTANCE_HEADER: self.instance}
        )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
