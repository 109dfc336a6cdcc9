"""mitmproxy's WebSocket layer with a bound, flat memory, and a conversation that may keep, answer or add messages.

Messages pass whole and unchanged, in the frames they came in unless those are very many; pings, pongs and closes pass at once.
Awaiting a hook here would stop both directions and the pongs, so a `Conversation` is asked without waiting: what it keeps back
it delivers later.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field
from typing import Protocol

import wsproto
from mitmproxy import http
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers.websocket import WebsocketConnection, WebsocketEndHook, WebsocketLayer, WebsocketStartHook
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol
from wsproto.utilities import split_comma_header

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""A longer message, inflated, closes the connection with 1009."""
FRAMES_MAX = 1_024
"""A message in more frames passes in so many, the last holding the rest: empty ones cost the sender next to nothing."""


@dataclass(frozen=True, slots=True)
class Push:
    """One message to be sent by the gate: kept back until now, or its own."""

    content: bytes
    to_server: bool
    text: bool = True
    close: int | None = None
    """After it, close the connection on both sides with this code; `content` may then be empty for no message."""


class Conversation(Protocol):
    """What a WebSocket layer asks about the messages of one connection. No method may raise or block."""

    upstream: bool
    """False: the gate answers by itself; there is no server."""
    first: tuple[Push, ...]
    """What to say before anybody has said anything."""

    def from_client(self, content: bytes, text: bool) -> tuple[Push, ...] | None:
        """None: pass it as it is. Else what to send now instead, which may be nothing."""
        ...

    def from_server(self, content: bytes) -> None:
        """A message that is on its way to the client."""
        ...

    def part(self) -> bool:
        """Its host is captured no longer: nothing more of the client passes.

        True: it can end now. Else it ends with its last answer.
        """
        ...

    def ended(self, by_client: bool) -> None:
        """The connection is over. Called once."""
        ...


class Deliver(events.MessageInjected[tuple[Push, ...]]):
    """Injected: send these messages now."""


class BoundedDeflate(PerMessageDeflate):
    """permessage-deflate that stops inflating at the bound. wsproto's own inflates whatever comes."""

    _inflated = 0

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        if not self._inbound_compressed or not self._inbound_is_compressible or self._decompressor is None:
            return super().frame_inbound_payload_data(proto, data)
        try:
            inflated: bytes = self._decompressor.decompress(bytes(data), MESSAGE_BYTES_MAX - self._inflated + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._inflated += len(inflated)
        return CloseReason.MESSAGE_TOO_BIG if self._inflated > MESSAGE_BYTES_MAX else inflated

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        if fin:
            self._inflated = 0
        return super().frame_inbound_complete(proto, fin)


@dataclass(slots=True)
class _Incoming:
    """A message that has not ended: finished frames, and the running one. wsproto cuts text at whole characters."""

    frames: list[bytes] = field(default_factory=list)
    frame: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, data: str | bytes | bytearray, *, frame_finished: bool, message_finished: bool) -> None:
        piece = data.encode() if isinstance(data, str) else data
        self.frame += piece
        self.size += len(piece)
        if message_finished or (frame_finished and len(self.frames) < FRAMES_MAX - 1):
            self.frames.append(bytes(self.frame))
            self.frame.clear()


class MeteredWebsocketLayer(WebsocketLayer):
    """Relays messages under a conversation; None relays them all."""

    def __init__(self, context: context.Context, flow: http.HTTPFlow, conversation: Conversation | None) -> None:
        super().__init__(context, flow)
        self.conversation = conversation
        self.upstream = conversation is None or conversation.upstream
        self._incoming = {True: _Incoming(), False: _Incoming()}

    def start(self, _: events.Event) -> layer.CommandGenerator[None]:
        client, server = self.context.client, self.context.server
        self.client_ws = WebsocketConnection(wsproto.ConnectionType.SERVER, self._extensions(), conn=client)
        self.server_ws = WebsocketConnection(wsproto.ConnectionType.CLIENT, self._extensions(), conn=server)
        yield WebsocketStartHook(self.flow)
        self._handle_event = self.relay_messages  # type: ignore[method-assign,assignment]  # mitmproxy's own way to switch
        for push in self.conversation.first if self.conversation is not None else ():
            yield from self._push(push)

    _handle_event = start

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        """One event of either side, or messages that a conversation delivers."""
        if isinstance(event, Deliver):
            for push in event.message:
                yield from self._push(push)
        elif isinstance(event, events.DataReceived | events.ConnectionClosed):
            from_client = event.connection == self.context.client
            source = self.client_ws if from_client else self.server_ws
            if source.state is ConnectionState.CLOSED:
                return
            source.receive_data(event.data if isinstance(event, events.DataReceived) else None)
            for ws_event in source.events():
                yield from self._relay(ws_event, from_client)
                if isinstance(ws_event, CloseConnection) or self._handle_event == self.done:
                    return

    def _relay(self, ws_event: wsproto.events.Event, from_client: bool) -> layer.CommandGenerator[None]:
        if isinstance(ws_event, Message):
            incoming = self._incoming[from_client]
            incoming.add(
                ws_event.data, frame_finished=ws_event.frame_finished, message_finished=ws_event.message_finished
            )
            if incoming.size > MESSAGE_BYTES_MAX:
                close = CloseConnection(code=CloseReason.MESSAGE_TOO_BIG, reason="message too big")
                yield from self._close(close, from_client)
            elif ws_event.message_finished:
                self._incoming[from_client] = _Incoming()
                yield from self._message(incoming.frames, isinstance(ws_event, TextMessage), from_client)
        elif isinstance(ws_event, Ping | Pong):
            yield from self._send(ws_event, to_server=from_client)
        elif isinstance(ws_event, CloseConnection):
            yield from self._close(ws_event, from_client)

    def _message(self, frames: list[bytes], text: bool, from_client: bool) -> layer.CommandGenerator[None]:
        """A whole message: sent on at once, or what the conversation says instead."""
        instead = None
        if from_client and self.conversation is not None:
            instead = self.conversation.from_client(b"".join(frames), text)
        if instead is None:
            for number, frame in enumerate(frames, 1):
                yield from self._send(_message(frame, text, number == len(frames)), to_server=from_client)
        else:
            for push in instead:
                yield from self._push(push)
        if not from_client and self.conversation is not None:
            self.conversation.from_server(b"".join(frames))

    def _push(self, push: Push) -> layer.CommandGenerator[None]:
        # One frame: a message cut into several at a fixed length would be cut inside a character.
        if push.content or push.close is None:
            yield from self._send(_message(push.content, push.text, True), to_server=push.to_server)
        if push.close is not None:
            yield from self._close(CloseConnection(code=push.close), by_client=False)

    def _send(self, ws_event: wsproto.events.Event, *, to_server: bool) -> layer.CommandGenerator[None]:
        target = self.server_ws if to_server else self.client_ws
        if target.state is ConnectionState.OPEN and (self.upstream or not to_server):
            yield target.send2(ws_event)

    def _close(self, close: CloseConnection, by_client: bool) -> layer.CommandGenerator[None]:
        if self.flow.websocket is not None:
            self.flow.websocket.timestamp_end = time.time()
            self.flow.websocket.closed_by_client = by_client
            self.flow.websocket.close_code = close.code
        for ws in (self.server_ws, self.client_ws) if self.upstream else (self.client_ws,):
            if ws.state in {ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING}:
                yield ws.send2(close)
            yield commands.CloseConnection(ws.conn)
        self._handle_event = self.done  # type: ignore[method-assign]  # mitmproxy's own way to switch
        if self.conversation is not None:
            self.conversation.ended(by_client)
        self.flow.live = False
        yield WebsocketEndHook(self.flow)

    def done(self, _: events.Event) -> layer.CommandGenerator[None]:
        """Whatever still comes is dropped."""
        yield from ()

    def _extensions(self) -> list[Extension]:
        """What the server agreed to. Of the extensions only permessage-deflate can be read."""
        agreed = self.flow.response.headers.get("sec-websocket-extensions", "") if self.flow.response else ""
        extensions: list[Extension] = []
        for offer in split_comma_header(agreed.encode("ascii", "replace")) if agreed else ():
            if offer.split(";", 1)[0].strip() == PerMessageDeflate.name:
                deflate = BoundedDeflate()
                deflate.finalize(offer)
                extensions.append(deflate)
        return extensions


def _message(content: bytes, text: bool, finished: bool) -> TextMessage | BytesMessage:
    if text:
        return TextMessage(content.decode(), message_finished=finished)
    return BytesMessage(content, message_finished=finished)
