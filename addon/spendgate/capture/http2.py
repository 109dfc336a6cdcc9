"""HTTP/2 connections with what mitmproxy's lack; `connections` lists it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import h2.connection
import h2.errors
import h2.events
from mitmproxy import connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import ReceiveHttp, format_error
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Connection, Http2Server

from spendgate.capture.connections import UnreadableHook, Waiting, WaitingHook

WAITING_BYTES_MAX = 1024 * 1024
"""Of one HTTP/2 connection, for its peer to open a window, before what feeds it is not read."""
TAKEN_BACK_MAX = 200
"""Requests that a client may take back before they are answered, at once; `TAKEN_BACK_A_SECOND` are forgotten. An editor takes
back one with each letter that is typed. What is reset makes room for another one, so that the number of open streams bounds
nothing (CVE-2023-44487): half a megabyte of such requests kept the gate busy for minutes."""
TAKEN_BACK_A_SECOND = 20


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
        goes_on_after_goodbye(self.h2_conn)

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


def goes_on_after_goodbye(wire: h2.connection.H2Connection) -> None:
    """h2 takes any GOAWAY for the end, and nothing that comes after it."""
    machine = wire.state_machine
    open_state = h2.connection.ConnectionState.CLIENT_OPEN
    farewell = (open_state, h2.connection.ConnectionInputs.RECV_GOAWAY)
    machine._transitions = {**machine._transitions, farewell: (None, open_state)}


class ClientHttp2(_Http2Waiting, Http2Server):
    """An HTTP/2 connection of a client."""

    clock: ClassVar[Callable[[], float]] = time.monotonic
    _taken_back = 0.0
    _since_s = 0.0

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        if isinstance(event, h2.events.StreamReset) and self._too_many(event.stream_id or 0):
            yield from self.protocol_error("too many requests are taken back", h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            return True
        return (yield from super().handle_h2_event(event))

    def _too_many(self, stream_id: int) -> bool:
        """Whether the reset of this stream is one too many. Those that were being answered cost their client a wait."""
        stream = self.h2_conn.streams.get(stream_id)
        if stream is not None and stream.state_machine.headers_sent:
            return False
        now_s = type(self).clock()
        self._taken_back = 1 + max(0.0, self._taken_back - TAKEN_BACK_A_SECOND * (now_s - self._since_s))
        self._since_s = now_s
        return self._taken_back > TAKEN_BACK_MAX

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
