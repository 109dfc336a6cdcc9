"""A connection's bytes, given to the layers in the very callback in which the loop read them.

mitmproxy reads each connection in a task of its own: bytes wait in a buffer, the task is woken in the loop's next turn, takes
two locks and asks every writer whether it is full. For an event of a live stream, which comes alone, that second turn and its
polling of the sockets cost as much as mitmproxy's HTTP does. What is kept: one event at a time in the order in which they came,
half-closed connections, and what ends which task.

A connection that is full stops those that feed it: a server the client, the client its servers. It is itself still read, where
mitmproxy reads nothing at all: a server that refuses an upload answers in the middle of it, and takes no more.

`tests/capture/test_handler.py` fails where mitmproxy's own handler moves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import cast

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

OWED_BYTES_MAX = 1024 * 1024
"""What a full connection may itself still call forth, as a flood of control frames does, before it is not read either."""


class Reading(asyncio.Protocol):
    """What the loop tells of one connection."""

    def __init__(self, handler: Handler, connection: Connection, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        """Nothing more will come."""
        self.lost: asyncio.Future[None] = loop.create_future()
        """Nothing can be sent either."""
        self.full = False
        """It was given more than it takes."""
        self.owed = 0
        """Bytes that it called forth for itself since it is full."""
        self.transport = transport
        self.connection = connection
        self._handler = handler

    def data_received(self, data: bytes) -> None:
        # A connection that the layers have closed is told to them no more, though its task has not yet ended.
        if self.connection.state is ConnectionState.CLOSED:
            return
        event = events.DataReceived(self.connection, data)
        if not self.full:
            self._handler.take(event)
            return
        before = self.transport.get_write_buffer_size()
        self._handler.take(event)
        self.owed += max(0, self.transport.get_write_buffer_size() - before)
        if self.owed > OWED_BYTES_MAX:
            self._handler.pace()

    def eof_received(self) -> bool:
        _done(self.ended)
        return True  # what is still to be sent to it is sent

    def connection_lost(self, exc: Exception | None) -> None:
        _done(self.ended)
        _done(self.lost)
        self.resume_writing()

    def pause_writing(self) -> None:
        self.full = True
        self._handler.pace()

    def resume_writing(self) -> None:
        if self.full:
            self.full, self.owed = False, 0
            self._handler.pace()


class Handler(ProxyConnectionHandler):
    """mitmproxy's handler of a client with all its connections, without tasks that read."""

    _due: deque[events.Event]
    _taking: bool
    _readings: set[Reading]
    _waited_for: set[Connection]
    """Those for whose HTTP/2 windows, or handshake, too much waits."""

    @classmethod
    def put_in_place_of(cls, handler: ProxyConnectionHandler) -> None:
        """mitmproxy makes its handler where none can be put in its place; this one has handled nothing yet.

        Left alone: connections that mitmproxy's own code in Rust reads (local mode, UDP).
        """
        if type(handler) is ProxyConnectionHandler and handler.client in handler.transports:
            io = handler.transports[handler.client]
            if isinstance(io.writer, asyncio.StreamWriter):
                handler.__class__ = cls
                cast(Handler, handler)._begin()

    def _begin(self) -> None:
        self._due, self._taking = deque(), False
        self._readings, self._waited_for = set(), set()

    async def server_event(self, event: events.Event) -> None:
        self.take(event)

    def take(self, event: events.Event) -> None:
        """Give the layers this event, or, while they are at one, let it wait for its turn."""
        self._due.append(event)
        if self._taking:
            return
        self._taking = True
        try:
            while self._due:
                _run(super().server_event(self._due.popleft()))
        finally:
            self._taking = False

    async def handle_connection(self, connection: Connection) -> None:
        io = self.transports[connection]
        if not isinstance(io.reader, asyncio.StreamReader) or not isinstance(io.writer, asyncio.StreamWriter):
            await super().handle_connection(connection)
            return
        cancelled: asyncio.CancelledError | None = None
        reading = self._read(connection, io.reader, io.writer.transport)
        try:
            await reading.ended
            connection.state &= ~ConnectionState.CAN_READ
        except asyncio.CancelledError as fault:
            connection.state, cancelled = ConnectionState.CLOSED, fault
        self.take(events.ConnectionClosed(connection))
        if connection.state is ConnectionState.CAN_WRITE:
            try:
                await reading.lost
            except asyncio.CancelledError as fault:
                cancelled = fault
        self._readings.discard(reading)
        self._waited_for.discard(connection)
        self.pace()
        reading.transport.close()
        self.transports.pop(connection)
        if cancelled is not None:
            raise cancelled

    def _read(self, connection: Connection, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> Reading:
        """From here on the loop's callbacks are ours, and what the stream has read until now is taken from it."""
        transport = cast(asyncio.Transport, transport)  # every stream's both reads and writes
        reading = Reading(self, connection, transport)
        transport.set_protocol(reading)
        self._readings.add(reading)
        # What the stream's protocol was told before: that it is full, that there is enough to read.
        reading.full = transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]
        self.pace()
        held: bytearray = reader._buffer  # type: ignore[attr-defined]  # no public call gives what is there without waiting
        early = bytes(held)
        held.clear()
        if early:
            reading.data_received(early)
        if reader.at_eof() or reader.exception() is not None:
            reading.eof_received()
        return reading

    def waits(self, connection: Connection, *, too_much: bool) -> None:
        """Too much waits for this connection's HTTP/2 windows or for its handshake, or no longer does."""
        (self._waited_for.add if too_much else self._waited_for.discard)(connection)
        self.pace()

    def pace(self) -> None:
        """Read those alone whose bytes are taken: servers unless the client is full, the client unless one of them is.

        A client whose windows are waited for is read in any case: it is there that it opens them.
        """
        full = {reading.connection for reading in self._readings if reading.full} | self._waited_for
        to_client = self.client in full
        to_server = bool(full - {self.client}) and self.client not in self._waited_for
        for reading in self._readings:
            stopped = to_server if reading.connection is self.client else to_client
            if stopped or reading.owed > OWED_BYTES_MAX:
                reading.transport.pause_reading()
            else:
                reading.transport.resume_reading()


def _run(handling: Coroutine[None, None, None]) -> None:
    """Run to its end what is a coroutine in form only: it waits for nothing but a lock that nobody else takes."""
    try:
        handling.send(None)
    except StopIteration:
        return
    raise RuntimeError("mitmproxy waited while its layers ran")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
