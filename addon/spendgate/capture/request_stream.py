"""The request's half of a metered stream: it says when its head leaves, can be answered while its body is still arriving, and is
asked about by its beginning where it stays open. `stream` has the other half, and says what of mitmproxy this stands on.
"""

from __future__ import annotations

from mitmproxy import connection, flow, http
from mitmproxy.proxy import commands, context, layer, mode_specs
from mitmproxy.proxy.layers.http import DropStream, HTTPMode, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook

from spendgate.capture.first_message import FirstMessage
from spendgate.capture.flow import FirstMessageHook, MeteredFlow, SentHook
from spendgate.capture.queueing import Lanes, Wanted
from spendgate.capture.unreached import unreached
from spendgate.capture.way_out import ThroughProxy

MISDIRECTED = (
    "this is a proxy: set it as HTTPS_PROXY, or, for a base URL, start the gate with --mode reverse:https://HOST"
)


class RequestStream(HttpStream):
    """mitmproxy's HTTP stream with `sent`, an early answer and a first message."""

    flow: MeteredFlow

    def __init__(self, context: context.Context, stream_id: int, lanes: Lanes) -> None:
        super().__init__(context, stream_id)
        self._lanes = lanes

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        if event.replay_flow is None:
            # mitmproxy takes a given flow here instead of making its own: the way to hand it a subclass.
            made = MeteredFlow(self.context.client, self.context.server, self._paused_event_queue, self._lanes.has_room)
            if self.mode is not HTTPMode.transparent and event.request.first_line_format == "relative":
                yield from self._misdirected(made, event.request)
                return
            if isinstance(self.context.client.proxy_mode, mode_specs.ReverseMode):
                made.asked_as = event.request.host_header
            event.replay_flow = made
        yield from super().state_wait_for_request_headers(event)

    def _misdirected(self, made: MeteredFlow, request: http.Request) -> layer.CommandGenerator[None]:
        """Answers 400 to a request that is for an origin, not for a proxy. mitmproxy would follow its Host, which may be us:
        web pages can send such a request, and programs do whose base URL is the proxy's."""
        self.flow, made.request = made, request
        self.client_state = self.state_errored
        fault = ResponseProtocolError(self.stream_id, MISDIRECTED, ErrorCode.DESTINATION_UNKNOWN)
        yield SendHttp(fault, self.context.client)

    def _left_unsent(self) -> layer.CommandGenerator[None]:
        """The client is gone, and nothing has gone upstream, nor will it."""
        self.flow.broken_by = "client"
        self.client_state = self.state_consume_request_body  # not yet upstream, whatever it was about to be
        left = RequestProtocolError(self.stream_id, "client left", ErrorCode.CANCEL)
        yield from super().handle_protocol_error(left)
        self.client_state = self.state_errored

    def handle_connect_regular(self) -> layer.CommandGenerator[None]:
        """As mitmproxy's own, but for a provider that cannot be reached: most clients lose what a refused CONNECT says, so it is
        accepted, and each call in it is answered in the provider's shape."""
        if not self.flow.response and self.context.options.connection_strategy == "eager":
            host, port = self.context.server.address or ("", 0)
            fault = yield commands.OpenConnection(self.context.server)
            told = unreached(fault, host) if fault else None
            if told and self.flow.captured:
                # One that failed cannot be opened again. What is not read inside opens this one, and ends by the same fault.
                self.context.server = connection.Server(address=self.context.server.address)
                self.context.server.error = fault
            elif fault:
                said = told.message if told else f"Cannot connect to {host}:{port}: {fault}"
                self.flow.response = http.Response.make(502, said)
        self.child_layer = layer.NextLayer(self.context)
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # mitmproxy's

    def handle_connect_upstream(self) -> layer.CommandGenerator[None]:
        self.child_layer = ThroughProxy.make(self.context, send_connect=True)[0]
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]  # mitmproxy's

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
            yield from self._unreached(fault)
            return False
        self.context.server = self.flow.server_conn = found
        return True

    def _unreached(self, fault: str) -> layer.CommandGenerator[None]:
        """As an error of the connection; who can be told more is told it, in the provider's shape."""
        told = self.flow.watch.unreached(fault, self.flow.server_conn.via) if self.flow.watch is not None else None
        if told is None:
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, fault, ErrorCode.CONNECT_FAILED)
            )
            return
        self.flow.error = flow.Error(fault)
        yield HttpErrorHook(self.flow)
        if (yield from self.check_killed(False)):
            return
        if not self.flow.request.is_http2:
            told.headers["connection"] = "close"
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield SendHttp(ResponseHeaders(self.stream_id, told, end_stream=False), self.context.client)
        yield SendHttp(ResponseData(self.stream_id, told.content or b""), self.context.client)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        yield DropStream(self.stream_id)

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
