"""With `request_stream` the only place that reaches into mitmproxy's HTTP core: streams that can be answered, cut and watched.

mitmproxy's hooks cannot answer a request whose body is still open, cannot end a running response, and do not say when a
request leaves. `MeteredHttpStream` adds these four things by subclassing, without touching a module of mitmproxy, the first
three of them in its request's half:

    sent            `Watch.sent` runs exactly when the request's head is given to the upstream connection
    answer          a response while the request's body is still arriving; the rest of the body is read and dropped
    first message   an awaited hook on a streamed request's beginning, before its head goes upstream
    cut             the client's stream ends in its dialect's own error form, and that one stream is reset upstream

Trailers, interim answers, bounds on heads and unreadable bytes are `connections`' concern, which lists what stock mitmproxy does.

mitmproxy is pinned to its minor version; tests/capture/test_stream.py fails where its core moves.
"""

from __future__ import annotations

from typing import Final

from mitmproxy import ctx, flow
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHeadersHook, HttpResponseHeadersHook

from spendgate.capture.connections import interim
from spendgate.capture.dispatch import Dispatch, answering
from spendgate.capture.flow import CUT, Cut
from spendgate.capture.http2 import Unprocessed
from spendgate.capture.queueing import GAVE_UP
from spendgate.capture.request_stream import RequestStream
from spendgate.capture.socket_layer import MeteredWebsocketLayer
from spendgate.capture.tap import Tap

_HEADS: Final = (RequestHeaders, ResponseHeaders)
_ON_HEADS: Final = HttpRequestHeadersHook | HttpResponseHeadersHook


class MeteredHttpStream(RequestStream):
    """mitmproxy's HTTP stream with `sent`, an early answer, a first message and `cut`."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if type(event) in _HEADS and isinstance(addons := ctx.master.addons, Dispatch):
            # Run here, the hooks on a head need not go up and down through every layer. `response` must: on its way up all
            # that was received is sent, before the call is settled.
            return answering(super().handle_event, event, addons, _ON_HEADS)
        return super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        return self._cut_when_whole(b"") if isinstance(event, Cut) else super()._handle_event(event)

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if event.message == GAVE_UP:
            yield from self._left_unsent()
            return
        # The hook that follows sees only a text, which is the same for both sides over HTTP/2.
        self.flow.broken_by = "client" if isinstance(event, RequestProtocolError) else "server"
        self.flow.unprocessed = (
            isinstance(event, Unprocessed) and self.server_state == self.state_wait_for_response_headers
        )
        if self.flow.broken_by == "server" and self.server_state == self.state_stream_response_body:
            yield from self._rest()
        yield from super().handle_protocol_error(event)

    # the response: bytes first, then the tap

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> layer.CommandGenerator[None]:
        if not interim(event.response):
            yield from super().state_wait_for_response_headers(event)
        elif self.flow.request.http_version != "HTTP/1.0":
            yield SendHttp(ResponseHeaders(self.stream_id, event.response, end_stream=False), self.context.client)

    def start_response_stream(self) -> layer.CommandGenerator[None]:
        # As mitmproxy's own, without a log line for each call.
        if self.flow.response is not None:
            yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response, end_stream=False), self.context.client)
        self.server_state = self.state_stream_response_body

    def state_stream_response_body(
        self, event: ResponseData | ResponseTrailers | ResponseEndOfMessage
    ) -> layer.CommandGenerator[None]:
        tap = self.flow.response.stream if self.flow.response else None
        if not isinstance(tap, Tap):
            yield from super().state_stream_response_body(event)
        elif not isinstance(event, ResponseData):
            yield from self._rest()
            yield from super().state_stream_response_body(event)
        elif tap.cut is not None:
            yield from self._cut_when_whole(event.data)
        elif tap.hidden is None:
            yield SendHttp(event, self.context.client)
            tap.feed(event.data)
        else:
            yield from self._pass(tap, event.data)

    def _pass(self, tap: Tap, data: bytes) -> layer.CommandGenerator[None]:
        """The client's part of these bytes to the client, all of them to the tap. Empty bytes would end an HTTP/1 body."""
        passing = data if tap.hidden is None else tap.hidden.feed(data)
        if passing:
            yield SendHttp(ResponseData(self.stream_id, passing), self.context.client)
        tap.feed(data)

    def _rest(self) -> layer.CommandGenerator[None]:
        """What was held back of an event that never ended: the stream is over."""
        tap = self.flow.response.stream if self.flow.response else None
        if isinstance(tap, Tap) and tap.hidden is not None and (held := tap.hidden.close()):
            yield SendHttp(ResponseData(self.stream_id, held), self.context.client)

    # cut

    def _cut_when_whole(self, data: bytes) -> layer.CommandGenerator[None]:
        """Pass `data` up to the end of its last whole event and cut there; pass all of it where none ends in it."""
        tap = self.flow.response.stream if self.flow.response else None
        if not isinstance(tap, Tap) or self.server_state != self.state_stream_response_body:
            return
        whole = tap.whole(data)
        passing = data if whole is None else data[:whole]
        if passing:
            yield from self._pass(tap, passing)
        if whole is not None:
            yield from self._cut(tap.ending())

    def _cut(self, frame: bytes) -> layer.CommandGenerator[None]:
        yield from self._rest()
        if frame:
            yield SendHttp(ResponseData(self.stream_id, frame), self.context.client)
        yield SendHttp(RequestProtocolError(self.stream_id, CUT, ErrorCode.CANCEL), self.context.server)
        self.client_state = self.server_state = self.state_errored
        self.flow.error = flow.Error(CUT)
        yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)
        end: HttpEvent = ResponseEndOfMessage(self.stream_id)
        if not frame:
            # Nothing readable can be added to this body, and ending it cleanly would present it as whole.
            end = ResponseProtocolError(self.stream_id, CUT, ErrorCode.KILL)
        yield SendHttp(end, self.context.client)

    # switching protocols

    def flow_done(self) -> layer.CommandGenerator[None]:
        if self.flow.response is None or self.flow.response.status_code != 101:
            yield from super().flow_done()
        elif self.flow.websocket is None:
            # mitmproxy would relay whatever follows as raw TCP, past the meter.
            yield commands.CloseConnection(self.context.client)
            self.client_state = self.server_state = self.state_errored
            yield DropStream(self.stream_id)
        else:
            self.child_layer = MeteredWebsocketLayer(self.context, self.flow, self.flow.conversation)
            self._handle_event = self.passthrough  # type: ignore[method-assign]  # mitmproxy's own way to switch
            yield from self.child_layer.handle_event(events.Start())
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
