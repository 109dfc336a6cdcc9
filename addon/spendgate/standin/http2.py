"""HTTP/2 over one TLS connection, by h2: each stream answered in a task of its own, under the client's flow control."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from spendgate.standin.context import Context
from spendgate.standin.respond import BrokenOffError, Request, body, reply

READ_BYTES = 65536
HEADER_LIST_BYTES_MAX = 65536


@dataclass(slots=True)
class _Stream:
    headers: dict[str, str]
    parts: list[bytes] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Connection:
    """One HTTP/2 connection."""

    def __init__(self, context: Context, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._context, self._reader, self._writer = context, reader, writer
        self._wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._window = asyncio.Condition()

        self._wire.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: context.streams_max,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_BYTES_MAX,
            },
        )

    async def serve(self) -> None:
        """Answer streams until the client leaves; then end what still runs."""
        self._wire.initiate_connection()
        try:
            while data := await self._received():
                for event in self._wire.receive_data(data):
                    await self._event(event)
                self._flush()
        except h2.exceptions.ProtocolError:
            self._flush()
        finally:
            running = [stream.task for stream in self._streams.values() if stream.task]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _received(self) -> bytes:
        self._flush()
        return await self._reader.read(READ_BYTES)

    def _flush(self) -> None:
        self._writer.write(self._wire.data_to_send())

    async def _event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived) and event.stream_id is not None:
            headers = {str(name): str(value) for name, value in event.headers or ()}
            self._streams[event.stream_id] = _Stream(headers)
        elif isinstance(event, h2.events.DataReceived) and event.stream_id is not None:
            self._wire.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            if stream := self._streams.get(event.stream_id):
                stream.parts.append(event.data or b"")
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id is not None:
            stream = self._streams[event.stream_id]
            stream.task = asyncio.create_task(self._answer(event.stream_id, stream))
        elif isinstance(event, h2.events.StreamReset) and event.stream_id is not None:
            if (gone := self._streams.pop(event.stream_id, None)) and gone.task:
                gone.task.cancel()
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            async with self._window:
                self._window.notify_all()

    async def _answer(self, number: int, stream: _Stream) -> None:
        asked = stream.headers
        request = Request(
            asked[":method"],
            asked.get(":authority", "").partition(":")[0],
            asked[":path"],
            asked,
            b"".join(stream.parts),
        )
        served = self._context.begin(request, "h2")
        answer = reply(request, served, self._context.script, self._context.canned)
        served.status = answer.status
        complete = False
        try:
            await asyncio.sleep(answer.script.delay_ms / 1000)
            headers = [(":status", str(answer.status)), *self._context.headers(served, answer)]
            bodiless = request.method == "HEAD"
            self._wire.send_headers(number, headers, end_stream=bodiless)
            self._flush()
            if not bodiless:
                async for part in body(answer):
                    await self._send(number, part)
                    served.sent(part)
                self._wire.end_stream(number)
                self._flush()
            complete = True
        except BrokenOffError:
            self._wire.reset_stream(number, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self._flush()
        except (h2.exceptions.ProtocolError, ConnectionError):
            # The client reset this stream or left: what was sent until then is in the log.
            return
        finally:
            self._context.log.end(served, complete=complete)
            self._streams.pop(number, None)

    async def _send(self, number: int, data: bytes) -> None:
        while data:
            async with self._window:
                await self._window.wait_for(lambda: self._wire.local_flow_control_window(number) > 0)
            room = min(self._wire.local_flow_control_window(number), self._wire.max_outbound_frame_size)
            self._wire.send_data(number, data[:room])
            data = data[room:]
            self._flush()
            await self._writer.drain()
