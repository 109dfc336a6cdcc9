"""The only place that reaches into mitmproxy's HTTP core: streams that can be answered, cut and watched while they run.

mitmproxy's hooks cannot answer a request whose body is still open, cannot end a running response, and do not say when a
request leaves. `MeteredHttpStream` adds these four things by subclassing, without touching a module of mitmproxy:

    sent            `Watch.sent` runs exactly when the request's head is given to the upstream connection
    answer          a response while the request's body is still arriving; the rest of the body is read and dropped
    first message   an awaited hook on a streamed request's beginning, before its head goes upstream
    cut             the client's stream ends in its dialect's own error form, and that one stream is reset upstream

Trailers, interim answers, bounds on heads and unreadable bytes are `connections`' concern, which lists what stock mitmproxy does.

mitmproxy is pinned to its minor version; tests/capture/test_stream.py fails where its core moves.
"""

from __future__ import annotations

from mitmproxy import ctx, flow, http
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    HTTPMode,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHeadersHook, HttpResponseHeadersHook

from spendgate.capture.connections import Unprocessed, interim
from spendgate.capture.dispatch import Dispatch, answering
from spendgate.capture.first_message import FirstMessage
from spendgate.capture.flow import CUT, Cut, FirstMessageHook, MeteredFlow, SentHook
from spendgate.capture.queueing import GAVE_UP, Lanes, Wanted
from spendgate.capture.socket_layer import MeteredWebsocketLayer
from spendgate.capture.tap import Tap

MISDIRECTED = (
    "this is a proxy: set it as HTTPS_PROXY, or, for a base URL, start the gate with --mode reverse:https://HOST"
)


class MeteredHttpStream(HttpStream):
    """mitmproxy's HTTP stream with `sent`, an early answer, a first message and `cut`."""

    flow: MeteredFlow

    def __init__(self, context: context.Context, stream_id: int, lanes: Lanes) -> None:
        super().__init__(context, stream_id)
        self._lanes = lanes

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        addons = ctx.master.addons
        if isinstance(event, RequestHeaders | ResponseHeaders) and isinstance(addons, Dispatch):
            # Run here, the hooks on a head need not go up and down through every layer. `response` must: on its way up all
            # that was received is sent, before the call is settled.
            return answering(super().handle_event, event, addons, HttpRequestHeadersHook | HttpResponseHeadersHook)
        return super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, Cut):
            yield from self._cut_when_whole(b"")
        else:
            yield from super()._handle_event(event)

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        if event.replay_flow is None:
            # mitmproxy takes a given flow here instead of making its own: the way to hand it a subclass.
            made = MeteredFlow(self.context.client, self.context.server, self._paused_event_queue, self._lanes.has_room)
            if self.mode is not HTTPMode.transparent and event.request.first_line_format == "relative":
                yield from self._misdirected(made, event.request)
                return
            event.replay_flow = made
        yield from super().state_wait_for_request_headers(event)

    def _misdirected(self, made: MeteredFlow, request: http.Request) -> layer.CommandGenerator[None]:
        """Answers 400 to a request that is for an origin, not for a proxy. mitmproxy would follow its Host, which may be us:
        web pages can send such a request, and programs do whose base URL is the proxy's."""
        self.flow, made.request = made, request
        self.client_state = self.state_errored
        fault = ResponseProtocolError(self.stream_id, MISDIRECTED, ErrorCode.DESTINATION_UNKNOWN)
        yield SendHttp(fault, self.context.client)

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

    def _left_unsent(self) -> layer.CommandGenerator[None]:
        """The client is gone, and nothing has gone upstream, nor will it."""
        self.flow.broken_by = "client"
        self.client_state = self.state_consume_request_body  # not yet upstream, whatever it was about to be
        left = RequestProtocolError(self.stream_id, "client left", ErrorCode.CANCEL)
        yield from super().handle_protocol_error(left)
        self.client_state = self.state_errored

    # sent

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        while (yield from self._connected()):
            if self._left():  # while its connection was made
                yield from self._left_unsent()
                return False
            if self.flow.watch is None or self.flow.watch.sent():
                return True
            self._lanes.reserve(self.stream_id, self.context.server)
            yield SentHook(self.flow)
            self._lanes.release(self.stream_id)
            # Its connection may be gone since.
        return False

    def _connected(self) -> layer.CommandGenerator[bool]:
        """As mitmproxy's own, by a connection that is not about to close."""
        asked, there = self.flow.request, self.flow.server_conn
        wanted = Wanted((asked.host, asked.port), asked.scheme == "https", there.via, there.transport_protocol)
        wanted.lanes = self._lanes
        found, fault = yield wanted
        if fault:
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, fault, ErrorCode.CONNECT_FAILED)
            )
            return False
        self.context.server = self.flow.server_conn = found
        return True

    def _left(self) -> bool:
        waiting = self._paused_event_queue
        return not self.context.client.connected or any(isinstance(event, RequestProtocolError) for event in waiting)

    # answer

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        if request and self.request_body_buf and self.flow.watch is not None:
            answer = self.flow.watch.oversized(len(self.request_body_buf))
            if answer is not None:
                yield from self.answer(answer)
                return True
        return (yield from super().check_body_size(request))

    def answer(self, response: http.Response) -> layer.CommandGenerator[None]:
        """Send `response` although the request has not ended. What still comes of the request is read and dropped.

        Over HTTP/1.1 the connection closes after it: where the client stops early, no next request could be found.
        """
        if not self.flow.request.is_http2:
            response.headers["connection"] = "close"
        self.client_state = self.state_errored
        self.request_body_buf.clear()
        self.flow.response = response
        yield from self.send_response()
        if self.server_state == self.state_done:
            yield from self.flow_done()

    # first message

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        if self.flow.first is None:
            yield from super().start_request_stream()
        else:
            self.client_state = self.state_first_message

    def state_first_message(
        self, event: RequestData | RequestTrailers | RequestEndOfMessage
    ) -> layer.CommandGenerator[None]:
        """Collect a streamed request's beginning, ask, then go on as mitmproxy does."""
        first = self.flow.first or FirstMessage(complete=bool)
        if isinstance(event, RequestData):
            first.gathered += event.data
            if len(first.gathered) < first.bytes_max and not first.complete(first.gathered):
                return
        first.body = bytes(first.gathered)
        first.gathered.clear()
        self.client_state = self.state_stream_request_body
        yield FirstMessageHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        if self.flow.response is not None:
            yield from self.answer(self.flow.response)
            return
        yield from super().start_request_stream()
        if self.client_state == self.state_stream_request_body:
            if first.body:
                yield from self.state_stream_request_body(RequestData(self.stream_id, first.body))
            if not isinstance(event, RequestData):
                yield from self.state_stream_request_body(event)

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
