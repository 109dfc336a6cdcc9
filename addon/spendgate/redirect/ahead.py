"""The event loop of a gate that traffic is led to: no turn of it is long, and the sign of life is never behind the traffic.

A loop's turn takes every socket that is ready. An account that has thousands of connections speak at once would make one turn
last longer than the rules outlive a sign of life: they would end, and everybody's calls go direct, although the gate hangs
nowhere. So a turn takes `READY_MAX` of them (the kernel gives the others first the next time), and what asks for a sign of
life is heard by a thread, which has the loop answer in its very next turn. The answer is still the loop's: one that does not
come to its next turn gives none.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from spendgate.identity.interface import Address

READY_MAX = 16
"""Some 5 ms of the processor each at the worst, a TLS hello, so that a turn ends in a third of a second on a machine that is busy
with four others."""


class FewAtOnce(selectors.EpollSelector):
    """epoll(7), asked for `READY_MAX` events at most. It keeps those that were given behind those that were not."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the standard library's, which asks for all."""
        wait_s = -1.0 if timeout is None else max(0.0, math.ceil(timeout * 1e3) * 1e-3)
        own: Any = self  # the two attributes have no public name
        keys: dict[int, selectors.SelectorKey] = own._fd_to_key
        try:
            found = own._selector.poll(wait_s, READY_MAX)
        except InterruptedError:
            return []
        ready = []
        for fd, event in found:
            if (key := keys.get(fd)) is not None:
                reads = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
                writes = selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0
                ready.append((key, (reads | writes) & key.events))
        return ready


class _ShortTurns(asyncio.SelectorEventLoop):
    def __init__(self, held: Mapping[Address, socket.socket]) -> None:
        super().__init__(FewAtOnce())
        self._held = dict(held)

    async def create_server(
        self,
        protocol_factory: Any,  # noqa: ANN401 - passed on
        host: Any = None,  # noqa: ANN401 - passed on
        port: Any = None,  # noqa: ANN401 - passed on
        *,
        backlog: int = 100,
        **more: Any,  # noqa: ANN401 - passed on
    ) -> asyncio.Server:
        """asyncio takes as many connections in one turn as may wait for it; how many may, a listener can be told later."""
        at = {"sock": held} if (held := self._held.pop((host, port), None)) else {"host": host, "port": port}
        more = {**more, **at, "backlog": min(backlog, READY_MAX)}
        return await super().create_server(protocol_factory, **more)


def new_loop(held: Mapping[Address, socket.socket] = MappingProxyType({})) -> asyncio.AbstractEventLoop:
    """A loop whose turns are short. `held`: what listens already, and is taken where a server is to listen there."""
    return _ShortTurns(held)


def heard(loop: asyncio.AbstractEventLoop, line: socket.socket, hear: Callable[[], bool]) -> None:
    """Have the loop call `hear` in its next turn whenever `line` has something to read, until that gives False.

    Who closes `line` before shuts it down, which is heard too.
    """
    fd = line.fileno()

    def wait() -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        done = threading.Event()
        goes_on = True

        def hear_it() -> None:
            nonlocal goes_on
            try:
                goes_on = hear()
            finally:
                done.set()

        while goes_on:
            poll.poll()
            done.clear()
            try:
                loop.call_soon_threadsafe(hear_it)
            except RuntimeError:
                return  # the loop is closed
            done.wait()

    threading.Thread(target=wait, name="spendgate-pulse", daemon=True).start()
