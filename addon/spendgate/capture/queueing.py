"""mitmproxy's HTTP layer, in which a request that finds no free stream at its provider waits before it leaves, not after.

A provider says how many streams it takes at once on one HTTP/2 connection (RFC 9113, 5.1.2). mitmproxy gives every request its
connection and keeps what finds no stream behind it (`Http2Client.stream_queue`), where it seems to have left: a client that
gives up there is charged, and a connection that breaks leaves it without an answer for ever. Here it waits for its connection,
as one does that is not open yet:

    a stream gets free      the first in the queue goes out, and only then counts as sent
    its client gives up     it is let go at once, and nothing was sent
    the connection breaks   it goes out over a new one: no provider has seen it
"""

from __future__ import annotations

from collections import deque

from mitmproxy import connection
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HTTPMode,
    HttpStream,
    RegisterHttpConnection,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestProtocolError

from spendgate.capture.connections import ProviderHttp2, made_ours
from spendgate.capture.tunnelled import TunnellingHttpLayer

GAVE_UP = "spendgate: its client left before its turn"
"""Instead of a connection, for a stream whose client is gone."""


class QueueingHttpLayer(TunnellingHttpLayer):
    """An HTTP layer whose requests wait for a stream in the order in which they came."""

    def __init__(self, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._queue: deque[GetHttpConnection] = deque()

    def has_room(self, server: connection.Server) -> bool:
        """Whether one more request can go out on this connection at once."""
        wire = self.connections.get(server)
        inner = wire.context.layers[-1] if wire is not None else None
        return not isinstance(inner, ProviderHttp2) or inner.has_room()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if self._queue:
            yield from self.next_in_turn()

    def next_in_turn(self) -> layer.CommandGenerator[None]:
        """Let those go out for whom a stream is free. Whatever ends a stream is followed by this."""
        while self._queue and not self._full(self._queue[0]):
            yield from super().get_connection(self._queue.popleft())

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        # A client on HTTP/1 has one request at a time.
        if reuse and self.context.client.alpn == b"h2" and self._full(event):
            self._queue.append(event)
        else:
            yield from super().get_connection(event, reuse=reuse)

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        made_ours(self.connections[command.connection].context.layers[-1])
        waiting = self.waiting_for_establishment[command.connection]
        others: list[GetHttpConnection] = []
        if not command.err and command.connection.alpn == b"h2":
            others = waiting[1:]
            del waiting[1:]
        yield from super().register_connection(command)
        for asked in others:
            yield from self.get_connection(asked)

    def _full(self, asked: GetHttpConnection) -> bool:
        """Whether the connection that it would get takes no more streams just now."""
        for there in self.connections:
            if isinstance(there, connection.Server) and asked.connection_spec_matches(there):
                if there in self.waiting_for_establishment or there.error:
                    return False
                if there.connected:
                    return not self.has_room(there)
        return False

    def _received(self, command: ReceiveHttp) -> layer.CommandGenerator[None]:
        if self._queue and isinstance(command.event, RequestProtocolError):
            stream = self.streams.get(command.event.stream_id)
            for asked in self._queue:
                if stream is not None and self.command_sources.get(asked) is stream:
                    return self._let_go(asked, stream)
        return super()._received(command)

    def _let_go(self, asked: GetHttpConnection, stream: HttpStream) -> layer.CommandGenerator[None]:
        self._queue.remove(asked)
        del self.command_sources[asked]
        yield from self.event_to_child(stream, GetHttpConnectionCompleted(asked, (None, GAVE_UP)))
