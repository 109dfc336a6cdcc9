"""A forward proxy that leads every name to the stand-in, to try a client without the gate. It decrypts nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

HEAD_BYTES_MAX = 65536


@dataclass(slots=True)
class Tunnel:
    """Answers CONNECT for `names` with a pipe to the stand-in's port, and 403 for all else, whose names it counts."""

    names: frozenset[str]
    port: int
    asked: dict[str, int] = field(default_factory=dict)
    """How often each host was asked for."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> int:
        """Listen on a free port of the loopback, and give it."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every pipe."""
        if self._server:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_ = head.split(b" ", 2)
            host = target.rpartition(b":")[0].decode("latin-1") or target.decode("latin-1")
            self.asked[host] = self.asked.get(host, 0) + 1
            if method != b"CONNECT" or host not in self.names:
                writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
                return
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A client that leaves is everyday.
            return
        finally:
            writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(HEAD_BYTES_MAX):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
