"""HTTP/1 connections with what mitmproxy's lack; `connections` lists it."""

from __future__ import annotations

import re
from typing import ClassVar

import h11
from h11._readers import ChunkedReader, ContentLengthReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http, version
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http._base import ReceiveHttp
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

from spendgate.capture.connections import UnreadableHook, interim

_SERVER = b"\r\nServer: " + version.MITMPROXY.encode()
HEAD_BYTES_MAX = 256 * 1024
"""A connection on which a head grows longer than this is closed; HTTP/2 has a bound of its own. So is one with a longer line
between chunks, longer trailers, or more empty lines before a request: none of them ends by itself."""
_TRAILERS = (RequestTrailers, ResponseTrailers)
_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")


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
    _fault: ClassVar[ErrorCode]
    _trailers: http.Headers | None = None
    """To be sent with the end of the message that goes out on this connection."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """None of its commands waits for an answer, so that no event has to pass what looks for one: a call has eighteen."""
        return super().handle_event(event) if self.debug is not None else self._handle_event(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if type(self.body_reader) is ContentLengthReader and type(event) is events.DataReceived:
            return self._read_counted(self.body_reader)
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = _TrailerReader()
        if type(self.body_reader) is _TrailerReader:
            return self._read_chunks(event, self.body_reader)
        return super().read_body(event)

    def _read_counted(self, reader: ContentLengthReader) -> layer.CommandGenerator[None]:
        """As stock, without an object of h11's for each piece and for the end."""
        stream_id, request = self.stream_id, self.request
        if stream_id is None or request is None:
            raise RuntimeError("a body without a request")
        if reader._remaining:
            data = self.buf.maybe_extract_at_most(reader._remaining)
            if data is None:
                return
            reader._remaining -= len(data)
            yield ReceiveHttp(self.ReceiveData(stream_id, bytes(data)))
        if reader._remaining == 0:
            if request.data.method.upper() != b"CONNECT":
                yield ReceiveHttp(self.ReceiveEndOfMessage(stream_id))
            is_request = isinstance(self, Http1Server)
            yield from self.mark_done(request=is_request, response=not is_request)

    def _read_chunks(self, event: events.Event, reader: _TrailerReader) -> layer.CommandGenerator[None]:
        for command in super().read_body(event):
            ends = isinstance(command, ReceiveHttp) and isinstance(command.event, self.ReceiveEndOfMessage)
            if ends and reader.trailers is not None and self.stream_id:
                yield ReceiveHttp(self.ReceiveTrailers(self.stream_id, reader.trailers))
                reader.trailers = None
            yield command
        # What is left of chunks that were read is the beginning of a line, and nobody says how long that becomes.
        if self.state == self.read_body and len(self.buf) > HEAD_BYTES_MAX:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
            if self.stream_id:
                too_long = self.ReceiveProtocolError(self.stream_id, "a line between chunks is too long", self._fault)
                yield ReceiveHttp(too_long)

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if self._trailers is None and type(event) not in _TRAILERS:
            return super().send(event)
        if isinstance(event, RequestTrailers | ResponseTrailers):
            self._trailers = event.trailers
            return iter(())  # type: ignore[return-value]  # a generator of nothing
        if self._trailers is not None and isinstance(event, RequestEndOfMessage | ResponseEndOfMessage):
            trailers, self._trailers = self._trailers, None
            return self._send_trailers(event, trailers)
        return super().send(event)

    def _send_trailers(self, event: HttpEvent, trailers: http.Headers) -> layer.CommandGenerator[None]:
        for command in super().send(event):
            if isinstance(command, commands.SendData):  # the last chunk
                yield commands.SendData(command.connection, b"0\r\n" + bytes(trailers) + b"\r\n")
            else:
                yield command


class ProviderHttp1(_Http1Trailers, Http1Client):
    """An HTTP/1 connection to a provider."""

    ReceiveTrailers = ResponseTrailers
    _fault = ErrorCode.GENERIC_SERVER_ERROR

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
    _fault = ErrorCode.GENERIC_CLIENT_ERROR
    _skipped = 0
    """Bytes of empty lines before the request that is waited for."""
    _head = b""
    """Of an answer whose body is at hand."""

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseHeaders) and event.response.data.content and not event.end_stream:
            return self._keep_head(super().send(event))
        if isinstance(event, ResponseProtocolError):
            return _unnamed(super().send(event))
        if self._head and isinstance(event, ResponseData):
            return self._with_head(super().send(event))
        return super().send(event)

    def _keep_head(self, sent: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        for command in sent:
            if isinstance(command, commands.SendData):
                self._head += command.data
            else:
                yield command

    def _with_head(self, sent: layer.CommandGenerator[None]) -> layer.CommandGenerator[None]:
        head, self._head = self._head, b""
        for command in sent:
            if isinstance(command, commands.SendData):
                yield commands.SendData(self.conn, head + command.data)
            else:
                yield command

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        requested = self.request
        self._skip_empty_lines()
        partial = isinstance(event, events.ConnectionClosed) and bool(bytes(self.buf).strip())
        yield from _unnamed(super().read_headers(event))
        too_long = self.state == self.read_headers and len(self.buf) + self._skipped > HEAD_BYTES_MAX
        if too_long:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
        if self.state != self.read_headers:
            self._skipped = 0
        no_request = self.state == self.done and requested is None and self.request is None
        if partial or too_long or no_request:
            yield UnreadableHook(self.context.client)

    def _skip_empty_lines(self) -> None:
        """All at once: mitmproxy takes one an event, and waits for more bytes with a whole request at hand."""
        if found := _EMPTY_LINES.match(bytes(self.buf)):
            self.buf.maybe_extract_at_most(found.end())
            self._skipped += found.end()
