"""The loop of a gate that traffic is led to: short turns, all sockets in their turn, the sign of life before them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

import pytest

from spendgate.redirect.ahead import READY_MAX, heard, new_loop

MANY = 3 * READY_MAX


def test_a_listener_takes_few_connections_in_a_turn() -> None:
    """Each is some milliseconds of the loop, and asyncio takes a hundred; those behind come in the next turns."""
    loop, turns = new_loop(), [0]

    class Taken(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            turns[-1] += 1
            transport.close()

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = await loop.create_server(Taken, sock=listening)
        listening.listen(MANY)
        with contextlib.ExitStack() as down:
            for _ in range(MANY):
                down.enter_context(socket.create_connection(listening.getsockname()))
            while sum(turns) < MANY:
                turns.append(0)
                await asyncio.sleep(0)
        server.close()

    loop.run_until_complete(serve())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert max(turns) <= READY_MAX


def test_the_sign_of_life_is_not_behind_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sockets are ready at once, and in their first moment it is asked for: answered a turn later; all are served."""
    loop, served, answered = new_loop(), [], []
    asked, pulse = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    queued, plain = threading.Event(), loop.call_soon_threadsafe

    def called(*words: Any) -> asyncio.Handle:
        try:
            return plain(*words)
        finally:
            queued.set()

    def serve(number: int, line: socket.socket) -> None:
        line.recv(1)
        if not served:
            asked.send(b"pulse")
            queued.wait()
        served.append(number)
        if len(served) == MANY:
            loop.stop()

    def hear() -> bool:
        answered.append(len(served))
        return pulse.recv(10) != b""

    monkeypatch.setattr(loop, "call_soon_threadsafe", called)
    with contextlib.ExitStack() as down:
        heard(loop, pulse, hear)
        for number in range(MANY):
            near, far = socket.socketpair()
            down.callback(near.close)
            down.callback(far.close)
            near.setblocking(False)
            far.send(b"x")
            loop.add_reader(near.fileno(), serve, number, near)
        loop.run_forever()
        loop.call_soon(asked.close)
        loop.call_later(0.01, loop.stop)
        loop.run_forever()

    assert sorted(served) == list(range(MANY))
    assert answered[0] == READY_MAX
    pulse.close()
    loop.close()
