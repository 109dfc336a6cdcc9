"""mitmproxy's HTTP layer, in which a request that finds no free stream at its provider waits before it leaves, not after.

A provider says how many streams it takes at once on one HTTP/2 connection (RFC 9113, 5.1.2). mitmproxy gives every request its
connection and keeps what finds no stream behind it (`Http2Client.stream_queue`), where it seems to have left: a client that
gives up there is charged, and a connection that breaks leaves it without an answer for ever. Here it waits for its connection,
as one does that is not open yet:

    a stream gets free      the first in the queue goes out, and only then counts as sent
    its client gives up     it is let go at once, and nothing was sent
    its client sends on     up to `QUEUED_BYTES_MAX` are kept, then it is answered that there is no connection
    the connection breaks   it goes out over a new one: no provider has seen it
    a provider says goodbye what runs on its connection goes on; what comes then has a new one
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
from mitmproxy.proxy.layers.http._events import RequestData, RequestProtocolError
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.layers.http._http2 import Http2Client

from spendgate.capture.first_message import QUEUED_BYTES_MAX
from spendgate.capture.http1 import ProviderHttp1
from spendgate.capture.http2 import ProviderHttp2, goes_on_after_goodbye
from spendgate.capture.tunnelled import TunnellingHttpLayer

GAVE_UP = "spendgate: its client left before its turn"
"""Instead of a connection, for a stream whose client is gone."""
TOO_MUCH = "too much was sent while the provider took no more requests"


class Lanes(Protocol):
    """What a stream asks its layer about a connection to a provider."""

    def has_room(self, server: connection.Server) -> bool:
        """Whether one more request can go out on this connection at once."""
        ...

    def is_closing(self, server: connection.Connection) -> bool:
        """Whether its provider takes no new request on it."""
        ...

    def reserve(self, stream_id: int, server: connection.Server) -> None:
        """Keep a place on this connection for this stream, whose head is about to go out."""
        ...

    def release(self, stream_id: int) -> None:
        """It goes out, or does not."""
        ...


class Wanted(GetHttpConnection):
    """mitmproxy's request for a connection, which none will do that is about to close."""

    lanes: Lanes

    def connection_spec_matches(self, connection: connection.Connection) -> bool:
        """Whether this connection will do."""
        return super().connection_spec_matches(connection) and not self.lanes.is_closing(connection)


@dataclass(slots=True)
class _Waiting:
    asked: GetHttpConnection
    behind: int = 0
    """Bytes of its body that came meanwhile."""


class QueueingHttpLayer(TunnellingHttpLayer):
    """An HTTP layer whose requests wait for a stream in the order in which they came."""

    def __init__(self, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._queue: dict[int, _Waiting] = {}
        """By stream, the first to come first."""
        self._reserved: dict[int, connection.Server] = {}

    def has_room(self, server: connection.Server) -> bool:
        """Whether one more request can go out on this connection at once."""
        lane = self._lane(server)
        return lane is None or lane.has_room(sum(there is server for there in self._reserved.values()))

    def is_closing(self, server: connection.Connection) -> bool:
        """Whether its provider takes no new request on it."""
        lane = self._lane(server)
        return lane is not None and lane.closing

    def reserve(self, stream_id: int, server: connection.Server) -> None:
        """Keep a place on this connection for this stream, whose head is about to go out."""
        self._reserved[stream_id] = server

    def release(self, stream_id: int) -> None:
        """It goes out, or does not."""
        self._reserved.pop(stream_id, None)

    def _lane(self, server: connection.Connection) -> ProviderHttp2 | None:
        wire = self.connections.get(server)
        inner = wire.context.layers[-1] if wire is not None else None
        return inner if isinstance(inner, ProviderHttp2) else None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if self._queue:
            yield from self.next_in_turn()

    def next_in_turn(self) -> layer.CommandGenerator[None]:
        """Let those go out for whom a stream is free. Whatever ends a stream is followed by this."""
        while self._queue:
            stream_id, waiting = next(iter(self._queue.items()))
            if self._full(waiting.asked):
                return
            del self._queue[stream_id]
            yield from super().get_connection(waiting.asked)

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        # A client on HTTP/1 has one request at a time.
        queued = reuse and self.context.client.alpn == b"h2" and self._full(event)
        stream = self.command_sources.get(event) if queued else None
        if isinstance(stream, HttpStream):
            self._queue[stream.stream_id] = _Waiting(event)
        else:
            yield from super().get_connection(event, reuse=reuse)

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        _made_ours(self.connections[command.connection].context.layers[-1])
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
        waiting = self._queue.get(command.event.stream_id) if self._queue else None
        if waiting is not None and isinstance(command.event, RequestProtocolError):
            return self._let_go(command.event.stream_id, GAVE_UP)
        if waiting is not None and isinstance(command.event, RequestData):
            waiting.behind += len(command.event.data)
            if waiting.behind > QUEUED_BYTES_MAX:
                return self._let_go(command.event.stream_id, TOO_MUCH)
        return super()._received(command)

    def _let_go(self, stream_id: int, why: str) -> layer.CommandGenerator[None]:
        asked = self._queue.pop(stream_id).asked
        stream = self.command_sources.pop(asked)
        yield from self.event_to_child(stream, GetHttpConnectionCompleted(asked, (None, why)))


def _made_ours(wire: layer.Layer) -> None:
    """Of a provider's connection that mitmproxy has just made, where nothing can be put in its place; it has seen no request."""
    if type(wire) is Http1Client:
        wire.__class__ = ProviderHttp1
        wire.state = wire.read_headers
    elif type(wire) is Http2Client:
        wire.__class__ = ProviderHttp2
        goes_on_after_goodbye(wire.h2_conn)
