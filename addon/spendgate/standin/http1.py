"""HTTP/1.1 over one TLS connection, by h11; an upgrade to WebSocket is handed on."""

from __future__ import annotations

import asyncio

import h11

from spendgate.standin import websocket
from spendgate.standin.context import Context
from spendgate.standin.respond import BrokenOffError, Reply, Request, body, reply
from spendgate.standin.served import Served

READ_BYTES = 65536


async def serve(context: Context, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests until the client leaves, an answer breaks off, or the connection becomes a WebSocket."""
    wire = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    while True:
        request = await _request(wire, reader, writer)
        if request is None:
            return
        if request.headers.get("upgrade", "").lower() == "websocket":
            await websocket.Conversation(context, request, reader, writer).serve()
            return
        if not await _answer(context, wire, writer, request):
            return
        if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
            return
        wire.start_next_cycle()


async def _request(wire: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    head: h11.Request | None = None
    parts: list[bytes] = []
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            if head is not None and wire.they_are_waiting_for_100_continue:
                writer.write(wire.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            wire.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _made(head, b"".join(parts))
        else:
            return None


def _made(head: h11.Request, content: bytes) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    method, path = head.method.decode("ascii"), head.target.decode("latin-1")
    return Request(method, headers.get("host", "").partition(":")[0], path, headers, content)


async def _answer(context: Context, wire: h11.Connection, writer: asyncio.StreamWriter, request: Request) -> bool:
    served = context.begin(request, "http/1.1")
    answer = reply(request, served, context.script, context.canned)
    served.status = answer.status
    complete = False
    try:
        await asyncio.sleep(answer.script.delay_ms / 1000)
        headers = [*context.headers(served, answer), ("transfer-encoding", "chunked")]
        writer.write(wire.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        if request.method != "HEAD":
            await _body(wire, writer, answer, served)
        writer.write(wire.send(h11.EndOfMessage()) or b"")
        complete = True
        context.log.end(served, complete=True)
        await writer.drain()
    except BrokenOffError:
        await writer.drain()
        writer.transport.abort()
    finally:
        context.log.end(served, complete=complete)
    return complete


async def _body(wire: h11.Connection, writer: asyncio.StreamWriter, answer: Reply, served: Served) -> None:
    async for part in body(answer):
        if not part:
            continue
        writer.write(wire.send(h11.Data(data=part)) or b"")
        served.sent(part)
        await writer.drain()
