"""A flow of the gate's own: what its stream tells the exchange that it carries, and what can be asked of it while it runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mitmproxy import connection, http
from mitmproxy.flow import Error
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy import commands, events

from spendgate.capture.first_message import FirstMessage, gave_up
from spendgate.capture.socket_layer import Conversation

CUT = "spendgate: cut"
"""The flow's error where the gate itself ended the stream."""

type HasRoom = Callable[[connection.Server], bool]
"""Whether one more request can go out on this connection at once."""


class Watch(Protocol):
    """What a stream tells the exchange that it carries. No method may raise or block."""

    def unreached(self, fault: str, proxy: ServerSpec | None) -> http.Response | None:
        """The answer to a request for which there is no connection, from mitmproxy's text of why; None: mitmproxy's own."""
        ...

    def sent(self) -> bool:
        """The request's head is about to be given to the upstream connection. False: `SentHook` is to be awaited first, and then
        this to be asked again: until it is true, nothing counts as sent."""
        ...

    def oversized(self, received: int) -> http.Response | None:
        """The answer to a request whose body is too long, `received` bytes of which are here; None: go on."""
        ...


class MeteredFlow(http.HTTPFlow):
    """A flow made by `MeteredHttpStream`. Replayed and loaded flows are never one, so the meter knows them apart."""

    def __init__(
        self, client: connection.Client, server: connection.Server, queued: deque[events.Event], has_room: HasRoom
    ) -> None:  # fmt: skip
        super().__init__(client, server)
        self._queued = queued
        self._has_room = has_room
        self.watch: Watch | None = None
        self.first: FirstMessage | None = None
        self.conversation: Conversation | None = None
        self.broken_by: str | None = None
        """`client` or `server`, where one of them ended the exchange before its time."""
        self.asked_as: str | None = None
        """The host that the client named, at a reverse listener: mitmproxy puts the upstream's in its place."""
        self.captured = False
        """Of a CONNECT: for a host whose calls are read, and can be answered one by one."""
        self.unprocessed = False
        """The provider says that it did nothing with this request."""

    def client_left(self) -> Callable[[], bool]:
        """A question that can be asked while a hook waits: has the client hung up or reset this stream?

        One that goes on sending without end is no better: what it sends meanwhile is kept.
        """
        client, queued = self.client_conn, self._queued
        return lambda: not client.connected or gave_up(queued)

    def upstream_open(self) -> bool:
        """Whether a request that passes now goes out at once: its connection is there, and takes one more stream."""
        client, server = self.client_conn, self.server_conn
        one_each = client.alpn == b"h2" != server.alpn  # each request then has a connection of its own
        there = server.connected and (server.tls_established or not server.tls) and not one_each
        return there and self._has_room(server)


@dataclass
class FirstMessageHook(commands.StartHook):
    """The beginning of a streamed request is in `flow.first.body`. A response set here is sent; nothing goes upstream."""

    flow: MeteredFlow


@dataclass
class SentHook(commands.StartHook):
    """The request's head leaves when this hook has ended: what must be on disk before it is written meanwhile."""

    flow: MeteredFlow


class Cut(events.MessageInjected[None]):
    """Injected: end this flow's stream with its tap's `cut`."""


def kill(flow: http.HTTPFlow) -> None:
    """Nothing goes upstream, and the client's connection or stream is closed."""
    flow.error = Error(Error.KILLED_MESSAGE)
