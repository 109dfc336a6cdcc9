"""A closed-loop load generator over raw sockets: HTTP/1.1 and HTTP/2, through a CONNECT proxy or straight to the origin.

Its own cost is kept low and alike for whatever is measured; CPU is read from the measured process, not from here.
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events


@dataclass(frozen=True)
class Target:
    """Where the load goes: TLS for `host` with the server at `address`, by CONNECT through `proxy` where there is one."""

    host: str
    address: tuple[str, int]
    proxy: tuple[str, int] | None
    ca: str
    http2: bool = False


@dataclass(frozen=True)
class Result:
    """One run. Seconds."""

    latencies: tuple[float, ...]
    seconds: float

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) * 1000

    @property
    def p99_ms(self) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * 0.99) - 1] * 1000


async def connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection to the target, through its proxy."""
    context = ssl.create_default_context(cafile=target.ca)
    context.set_alpn_protocols(["h2"] if target.http2 else ["http/1.1"])
    reader, writer = await asyncio.open_connection(*(target.proxy or target.address))
    if target.proxy:
        authority = f"{target.address[0]}:{target.address[1]}"
        writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(head.split(b"\r\n", 1)[0].decode())
    await writer.start_tls(context, server_hostname=target.host)
    return reader, writer


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str, body: bytes = b"{}"
) -> bytes:
    """One HTTP/1.1 POST on an open connection: the answer's body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"content-length:" in answer:
        return await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
    chunks = []
    while size := int(await reader.readline(), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(chunks)


class Http2Client:
    """One HTTP/2 connection that asks one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.conn.initiate_connection()
        self.writer.write(self.conn.data_to_send())

    async def ask(self, host: str, path: str, body: bytes = b"{}") -> bytes:
        stream = self.conn.get_next_available_stream_id()
        head = [(":method", "POST"), (":path", path), (":authority", host), (":scheme", "https")]
        self.conn.send_headers(stream, [*head, ("content-length", str(len(body)))])
        self.conn.send_data(stream, body, end_stream=True)
        self.writer.write(self.conn.data_to_send())
        content = b""
        while True:
            data = await self.reader.read(65_536)
            if not data:
                raise ConnectionError("closed")
            for event in self.conn.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    content += event.data
                    self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.writer.write(self.conn.data_to_send())
                    return content
            self.writer.write(self.conn.data_to_send())


async def run(
    target: Target, path: str, count: int, concurrency: int, *, fresh: bool = False, body: bytes = b"{}"
) -> Result:
    """`count` calls by `concurrency` workers; `fresh`: a new connection for each call."""
    latencies: list[float] = []

    async def worker(calls: int) -> None:
        link = None if fresh else await _open(target)
        for _ in range(calls):
            began = time.perf_counter()
            here = link or await _open(target)
            await here[1](path, body)
            latencies.append(time.perf_counter() - began)
            if fresh:
                here[0].close()
        if link:
            link[0].close()

    began = time.perf_counter()
    await asyncio.gather(*(worker(count // concurrency) for _ in range(concurrency)))
    return Result(tuple(latencies), time.perf_counter() - began)


async def _open(target: Target):
    reader, writer = await connect(target)
    if target.http2:
        client = Http2Client(reader, writer)
        return writer, lambda path, body: client.ask(target.host, path, body)
    return writer, lambda path, body: ask(reader, writer, target.host, path, body)
