"""The process that answers a service's clients, beside its gate: `spendgate answer`, which `run` starts and nobody types.

It is the gate's account and opens the ledger as a command does, so that it is in no call's way: whatever a client does costs this
process time and memory, which are bounded, and never the gate's. It ends when its gate does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from spendgate.cli.account import name_of
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.socket_desk import WRITES, answered
from spendgate.errors import StateError
from spendgate.ledger.gates import GateLock
from spendgate.sight import ADMINS, Peer, admin

MEMORY_BYTES: Final = 2 << 30
NICENESS: Final = 5
WRITES_A_MINUTE: Final = 20
"""Of one account: each leaves lines in the ledger, which stay."""
_AGAIN_S: Final = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("answer", hidden=True)(answer)


def answer(
    state: Annotated[Path, typer.Option("--state", metavar="DIR")],
    socket: Annotated[Path, typer.Option("--socket", metavar="PATH")],
) -> None:
    """Answer at the socket until stdin ends, which it does with the gate that holds its other end."""
    _bounded()
    asyncio.run(_until_alone(state, socket))


def _bounded() -> None:
    import resource  # noqa: PLC0415 - POSIX alone has it, as it has the socket

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    os.nice(NICENESS)


async def _until_alone(state: Path, socket: Path) -> None:
    from spendgate.service.server import Server  # noqa: PLC0415 - Linux alone has what it asks of the kernel

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_wait_for_end, args=(lambda: loop.call_soon_threadsafe(stop.set),), daemon=True).start()
    # Several gates may share a ledger: one of them has its clients answered, and another one's process when it has ended.
    while (lock := GateLock.take(socket.with_name(f"{socket.name}.lock"), create=True)) is None:
        try:
            await asyncio.wait_for(stop.wait(), _AGAIN_S)
        except TimeoutError:
            continue
        return
    try:
        await Server(Answering(state)).serve(socket, stop)
    finally:
        lock.drop()


def _wait_for_end(then: Callable[[], object]) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    then()


class Answering:
    """What each peer is answered. Used by several threads."""

    def __init__(self, state: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._state, self._now = state, now
        self._written: dict[int, deque[float]] = {}
        self._lock = threading.Lock()

    def __call__(self, peer: Peer, call: str, args: bytes) -> bytes:
        """Raises SpendgateError."""
        if call in WRITES:
            self._count(peer.uid)
        everything = admin(peer, service_uid=os.geteuid(), admin_gid=_admin_gid())
        return answered(FileDesk(self._state, name_of(peer.uid), everything), call, args)

    def _count(self, uid: int) -> None:
        """Raises StateError where an account writes too often."""
        now = self._now()
        with self._lock:
            self._written = {each: past for each, past in self._written.items() if past[-1] > now - 60}
            past = self._written.setdefault(uid, deque(maxlen=WRITES_A_MINUTE))
            if len(past) == WRITES_A_MINUTE and past[0] > now - 60:
                raise StateError(f"that is more than {WRITES_A_MINUTE} requests in a minute; wait for one")
            past.append(now)


def _admin_gid() -> int | None:
    """Asked each time: the group may be made while the gate runs."""
    import grp  # noqa: PLC0415 - POSIX alone has it

    try:
        return grp.getgrnam(ADMINS).gr_gid
    except KeyError:
        return None
