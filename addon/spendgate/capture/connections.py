"""mitmproxy's HTTP connections with what they lack, by subclassing; `stream` puts them in the place of the stock ones.

What stock mitmproxy 12.2 does, and what a client would suffer from it compared with a direct connection:

    chunked trailers    HTTP/1: raises, the exchange hangs         here: passed on, both ways (stock HTTP/2 passes them)
    1xx before a reply  HTTP/1: a 103 is taken for the answer      here: passed on, and the answer follows (RFC 9110, 15.2)
                        HTTP/2: swallowed, the answer follows      as stock: a client can tell no difference but its absence
    a long head         HTTP/1: kept without end, both ways        here: closed at `HEAD_BYTES_MAX`
    a reply of ours     HTTP/1: head and body in two TLS records   here: in one; clients that read once keep its text
    empty lines first   HTTP/1: one an event                       here: skipped (RFC 9112, 2.2)
    unreadable bytes    closed                                     here: closed, and told by `UnreadableHook`
    an error's head     names mitmproxy and its version            here: names nobody
    a goodbye           HTTP/2: breaks off what runs               here: what runs goes on, what comes has a new connection
    a refused stream    HTTP/2: an error as any                    here: told by `Unprocessed`, since it cost nothing
    a shut window       HTTP/2: what waits for it grows for ever   here: told by `WaitingHook`, so that its source is not read
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import h2.connection
import h2.errors
import h2.events
import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import connection, http, version
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import ReceiveHttp, format_error
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestEndOfMessage,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Connection, Http1Server
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Connection, Http2Server

_SERVER = b"\r\nServer: " + version.MITMPROXY.encode()
HEAD_BYTES_MAX = 256 * 1024
"""A connection on which a head grows longer than this is closed; HTTP/2 has a bound of its own."""


WAITING_BYTES_MAX = 1024 * 1024
"""Of one HTTP/2 connection, for its peer to open a window, before what feeds it is not read."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether too much waits for the peer of one of a client's connections, the client's own or a server's."""

    client: connection.Client
    connection: connection.Connection
    too_much: bool


@dataclass
class WaitingHook(commands.StartHook):
    """Too much began to wait for the windows of an HTTP/2 connection, or no longer does."""

    waiting: Waiting
    blocking = False


@dataclass
class UnreadableHook(commands.StartHook):
    """Bytes came that are no request, after which the connection is closed; no flow tells of them."""

    client: connection.Client
    blocking = False


def interim(response: http.Response) -> bool:
    """Whether another answer follows this one: every 1xx but the switch to another protocol."""
    return 100 <= response.status_code < 200 and response.status_code != 101


def _unnamed(sent: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
    """An error's answer without mitmproxy's `Server`: a page that probes ports must not learn what listens."""
    for command in sent:
        if isinstance(command, commands.SendData):
            head, gap, body = command.data.partition(b"\r\n\r\n")
            yield commands.SendData(command.connection, head.replace(_SERVER, b"", 1) + gap + body)
        else:
            yield command


class _TrailerReader(ChunkedReader):
    """A chunked body whose trailers are kept apart: mitmproxy raises where it sees any."""

    trailers: http.Headers | None = None

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event: h11.Data | h11.EndOfMessage | None = super().__call__(buf)
        if isinstance(event, h11.EndOfMessage) and event.headers:
            self.trailers = http.Headers(event.headers.raw_items())
            return h11.EndOfMessage()
        return event


class _Http1Trailers(Http1Connection):
    """Trailers of HTTP/1, as mitmproxy's HTTP/2 has them."""

    ReceiveTrailers: ClassVar[type[RequestTrailers | ResponseTrailers]]
    _trailers: http.Headers | None = None
    """To be sent with the end of the message that goes out on this connection."""

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = _TrailerReader()
        reader = self.body_reader
        for command in super().read_body(event):
            ends = isinstance(command, ReceiveHttp) and isinstance(command.event, self.ReceiveEndOfMessage)
            if ends and isinstance(reader, _TrailerReader) and reader.trailers is not None and self.stream_id:
                yield ReceiveHttp(self.ReceiveTrailers(self.stream_id, reader.trailers))
                reader.trailers = None
            yield command

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestTrailers | ResponseTrailers):
            self._trailers = event.trailers
        elif self._trailers is not None and isinstance(event, RequestEndOfMessage | ResponseEndOfMessage):
            trailers, self._trailers = self._trailers, None
            for command in super().send(event):
                if isinstance(command, commands.SendData):  # the last chunk
                    yield commands.SendData(command.connection, b"0\r\n" + bytes(trailers) + b"\r\n")
                else:
                    yield command
        else:
            yield from super().send(event)


class ProviderHttp1(_Http1Trailers, Http1Client):
    """An HTTP/1 connection to a provider."""

    ReceiveTrailers = ResponseTrailers

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        more = True
        while more:
            more = False
            for command in super().read_headers(event):
                yield command
                more = (
                    isinstance(command, ReceiveHttp)
                    and isinstance(command.event, ResponseHeaders)
                    and interim(command.event.response)
                )
                if more:
                    # Dropped here, mitmproxy's reader has not yet taken this head for the answer's.
                    event = events.DataReceived(self.conn, b"")
                    break
        if self.state == self.read_headers and len(self.buf) > HEAD_BYTES_MAX and self.stream_id:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
            too_long = "response head too long"
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, too_long, ErrorCode.GENERIC_SERVER_ERROR))


class ClientHttp1(_Http1Trailers, Http1Server):
    """An HTTP/1 connection of a client."""

    ReceiveTrailers = RequestTrailers
    _head = b""
    """Of an answer whose body is at hand."""

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseHeaders) and event.response.data.content and not event.end_stream:
            for command in super().send(event):
                if isinstance(command, commands.SendData):
                    self._head += command.data
                else:
                    yield command
        elif isinstance(event, ResponseProtocolError):
            yield from _unnamed(super().send(event))
        elif self._head and isinstance(event, ResponseData):
            head, self._head = self._head, b""
            for command in super().send(event):
                if isinstance(command, commands.SendData):
                    yield commands.SendData(self.conn, head + command.data)
                else:
                    yield command
        else:
            yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        left, requested = len(self.buf), self.request
        partial = isinstance(event, events.ConnectionClosed) and bool(bytes(self.buf).strip())
        yield from _unnamed(super().read_headers(event))
        while self.state == self.read_headers and isinstance(event, events.DataReceived) and 0 < len(self.buf) < left:
            # mitmproxy takes one empty line an event, and waits for more bytes with a whole request at hand.
            left = len(self.buf)
            yield from _unnamed(super().read_headers(event))
        too_long = self.state == self.read_headers and len(self.buf) > HEAD_BYTES_MAX
        if too_long:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        no_request = self.state == self.done and requested is None and self.request is None
        if partial or too_long or no_request:
            yield UnreadableHook(self.context.client)


class _Http2Waiting(Http2Connection):
    """Tells when too much waits: a socket that is never full says nothing of a window that is shut."""

    _too_much = False

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super()._handle_event(event)
        if self._too_much or self.h2_conn.stream_buffers:
            too_much = self._waits() > WAITING_BYTES_MAX
            if too_much is not self._too_much:
                self._too_much = too_much
                yield WaitingHook(Waiting(self.context.client, self.conn, too_much))

    def _waits(self) -> int:
        """Bytes that a window holds back; none where nothing more can be sent."""
        if not self.conn.state & connection.ConnectionState.CAN_WRITE:
            return 0
        return sum(len(part.data) for parts in self.h2_conn.stream_buffers.values() for part in parts)


@dataclass
class Unprocessed(ResponseProtocolError):
    """The provider says of a request that it did nothing with it (RFC 9113, 8.7)."""


class ProviderHttp2(_Http2Waiting, Http2Client):
    """An HTTP/2 connection to a provider."""

    closing = False
    """The provider takes no new request here; what runs goes on (RFC 9113, 6.8)."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        _goes_on_after_goodbye(self.h2_conn)

    def has_room(self, reserved: int = 0) -> bool:
        """Whether the provider takes one more stream now, beside these that are about to be opened.

        Before its settings have come it is trusted with one, not with the ten that mitmproxy guesses: they come with the end of
        the handshake, and what it would refuse till then has left.
        """
        guessed = self.provisional_max_concurrency is not None
        streams_max = 1 if guessed else self.h2_conn.remote_settings.max_concurrent_streams
        return not self.closing and self.h2_conn.open_outbound_streams + reserved < streams_max

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        if isinstance(event, h2.events.StreamReset) and event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM:
            yield from self._unprocessed([event.stream_id or 0], "the provider refused the stream")
            return False
        if isinstance(event, h2.events.ConnectionTerminated):
            last = event.last_stream_id or 0
            beyond = [stream_id for stream_id in self.streams if stream_id > last]
            yield from self._unprocessed(beyond, "the provider closes the connection")
            if event.error_code == h2.errors.ErrorCodes.NO_ERROR and self.streams:
                self.closing = True
                return False
            self.h2_conn.state_machine.state = h2.connection.ConnectionState.CLOSED
        return (yield from super().handle_h2_event(event))

    def _unprocessed(self, stream_ids: list[int], why: str) -> layer.CommandGenerator[None]:
        for stream_id in stream_ids:
            if self.streams.pop(stream_id, None) is not None:
                yield ReceiveHttp(Unprocessed(stream_id, why, ErrorCode.GENERIC_SERVER_ERROR))


def _goes_on_after_goodbye(wire: h2.connection.H2Connection) -> None:
    """h2 takes any GOAWAY for the end, and nothing that comes after it."""
    machine = wire.state_machine
    open_state = h2.connection.ConnectionState.CLIENT_OPEN
    farewell = (open_state, h2.connection.ConnectionInputs.RECV_GOAWAY)
    machine._transitions = {**machine._transitions, farewell: (None, open_state)}


class ClientHttp2(_Http2Waiting, Http2Server):
    """An HTTP/2 connection of a client."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and (status := self._answers(event)):
            head = [(b":status", b"%d" % status), (b"content-type", b"text/html")]
            self.h2_conn.send_headers(event.stream_id, head)
            self.h2_conn.send_data(event.stream_id, format_error(status, event.message), end_stream=True)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        else:
            yield from super()._handle_event(event)

    def _answers(self, error: ResponseProtocolError) -> int | None:
        """The status with which this error is answered; None: its stream is reset, or closed already."""
        if not self.is_open_for_us(error.stream_id):
            return None
        answered = self.h2_conn.streams[error.stream_id].state_machine.headers_sent
        return None if answered else error.code.http_status_code()

    def protocol_error(self, message: str, error_code: int = 1) -> layer.CommandGenerator[None]:
        yield UnreadableHook(self.context.client)
        yield from super().protocol_error(message, error_code)


def made_ours(wire: layer.Layer) -> None:
    """Of a provider's connection that mitmproxy has just made, where nothing can be put in its place; it has seen no request."""
    if type(wire) is Http1Client:
        wire.__class__ = ProviderHttp1
        wire.state = wire.read_headers
    elif type(wire) is Http2Client:
        wire.__class__ = ProviderHttp2
        _goes_on_after_goodbye(wire.h2_conn)
