"""OpenAI's Responses over WebSocket, by wsproto: each `response.create` is answered with the events of one response, in its lane.

A `response.steer` is taken, and followed by a response that nobody asked for; what it steers is over by then: one message is
answered after the other.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import wsproto
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    TextMessage,
)
from wsproto.events import Request as Handshake
from wsproto.extensions import PerMessageDeflate

from spendgate.standin import openai, realtime, tools
from spendgate.standin.context import Context
from spendgate.standin.respond import Request, new_id

READ_BYTES = 65536


class Conversation:
    """One connection from its handshake on."""

    def __init__(
        self, context: Context, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._context, self._request, self._reader, self._writer = context, request, reader, writer
        self._wire = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        self._text: list[str] = []
        self._session = realtime.Session(request.path)
        self._asked: dict[str, object] = {}
        """What is answered."""
        self._way: dict[str, object] = {}
        """The lane of that, as a message has it."""

    async def serve(self) -> None:
        """Answer until either side closes; the handshake has a log row of its own, without a body."""
        head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._request.headers.items()]
        self._wire.initiate_upgrade_connection(head, self._request.path)
        handshake = self._context.begin(self._request, "websocket")
        canned = self._context.canned
        handshake.status = canned.status if canned and canned.frame is None else 101
        try:
            while await self._events(handshake.request_id):
                self._wire.receive_data(await self._reader.read(READ_BYTES) or None)
        finally:
            self._context.log.end(handshake, complete=self._wire.state is ConnectionState.CLOSED)

    async def _events(self, request_id: str) -> bool:
        """Answer what has arrived. False: the conversation is over."""
        for event in self._wire.events():
            if isinstance(event, Handshake):
                self._handshake(request_id)
            elif isinstance(event, TextMessage):
                self._text.append(event.data)
                if event.message_finished:
                    message = "".join(self._text)
                    self._text.clear()
                    await self._message(message)
            elif isinstance(event, BytesMessage):
                self._send(CloseConnection(code=1003))
            elif isinstance(event, Ping):
                self._send(event.response())
            elif isinstance(event, CloseConnection):
                self._closed(event)
        await self._writer.drain()
        return self._wire.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)

    def _send(self, event: Event) -> None:
        self._writer.write(self._wire.send(event))

    def _closed(self, event: CloseConnection) -> None:
        if self._wire.state is ConnectionState.REMOTE_CLOSING:
            self._send(event.response())

    def _handshake(self, request_id: str) -> None:
        canned = self._context.canned
        if canned is None or canned.frame is not None:
            identity = [(b"x-request-id", request_id.encode())]
            self._send(AcceptConnection(extensions=[PerMessageDeflate()], extra_headers=identity))
            if self._request.path.startswith(realtime.PATH):
                self._send(TextMessage(data=json.dumps(self._session.described("session.created"))))
            return
        length = (b"content-length", str(len(canned.body)).encode())
        headers = [*((name.encode(), value.encode()) for name, value in canned.headers), length]
        head = self._wire.send(RejectConnection(status_code=canned.status, headers=headers, has_body=True))
        # One write: Codex reads the body of a rejected handshake only where it comes with the head.
        self._writer.write(head + self._wire.send(RejectData(data=canned.body, body_finished=True)))

    async def _message(self, text: str) -> None:
        asked = json.loads(text)
        if self._request.path.startswith(realtime.PATH):
            script = self._context.script
            for event in self._session.answer(asked, script):
                self._send(TextMessage(data=json.dumps(event)))
                if script.delay_ms and event["type"] in realtime.WORKS:
                    await self._writer.drain()
                    await asyncio.sleep(script.delay_ms / 1000)
            return
        if asked.get("type") == "response.steer":
            before = {"previous_response_id": asked["previous_response_id"]}
            steer = {"id": new_id("steer"), **before}
            self._send(TextMessage(data=json.dumps({"type": "response.steer.accepted", "steer": steer, **self._way})))
            asked = {**self._asked, **before}
        elif asked.get("type") != "response.create":
            return
        self._asked = asked
        self._way = {name: asked[name] for name in ("stream_id",) if name in asked}
        served = self._context.begin(self._request, "websocket")
        served.method, served.billable, served.status, served.request_bytes = "WEBSOCKET", True, 200, len(text.encode())
        canned, script = self._context.canned, tools.turn(self._context.script, text.encode())
        if canned and canned.frame is not None:
            served.status = canned.status
            self._send(TextMessage(data=canned.frame.decode()))
            self._context.log.end(served, complete=True)
            return
        if asked.get("generate") is False:
            # Codex warms a connection up so; what comes back has an id, no output and no counts above zero.
            script = replace(script, input=0, cache_read=0, write=0, output=0, reasoning=0, tool="")
            served.billable = False
        served.model = script.model or str(asked.get("model", ""))
        served.response_id, served.usage, served.reported = new_id("resp"), script.counts(), script.usage
        complete = False
        try:
            await asyncio.sleep(script.delay_ms / 1000)
            for event in openai.response_events(script, served.model, served.response_id):
                message = json.dumps(self._of(event, asked))
                self._send(TextMessage(data=message))
                served.sent(message.encode())
                await self._writer.drain()
                await asyncio.sleep(script.interval_ms / 1000)
            complete = True
        finally:
            self._context.log.end(served, complete=complete)

    def _of(self, event: dict[str, object], asked: dict[str, object]) -> dict[str, object]:
        """An event of this one's answer, which says what it goes on from and in which lane it is."""
        before, response = asked.get("previous_response_id"), event.get("response")
        if before is not None and isinstance(response, dict):
            event = {**event, "response": {**response, "previous_response_id": before}}
        return {**event, **self._way}
