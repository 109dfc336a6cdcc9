"""Who is at the other end: what is found of its process counts from the moment it is found."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import pytest
from mitmproxy import connection

from spendgate.attribution import Evidence, Peer
from spendgate.capture import visitor
from spendgate.capture.visitor import Visitor
from spendgate.identity.interface import Endpoints

ACCOUNT = Peer(uid=0, account="root", evidence=Evidence.SOCKET_OWNER)
CALLER = Peer(uid=0, account="root", login_account="alice", evidence=Evidence.SOCKET_OWNER)


class Kernel:
    """The account at once, the process as it is told."""

    def owner(self, ends: Endpoints) -> Peer:
        return ACCOUNT

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        raise AssertionError("asked beside the loop only")


class Beside(Executor):
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.work: Future[Any] = Future()

    def submit(self, *_: object, **__: object) -> Future[Any]:
        return self.work


def met(beside: Executor, kernel: Kernel | None = None) -> Visitor:
    """A client that has just connected."""
    client = connection.Client(peername=("127.0.0.1", 50_000), sockname=("127.0.0.1", 8_443), timestamp_start=0.0)
    return Visitor(client, kernel or Kernel(), beside)


async def test_what_is_found_counts_in_the_same_turn_of_the_loop() -> None:
    """`sudo` spent root's money where a request was decided between the answer and the loop's callbacks for it."""
    beside = Beside()
    found = met(beside)
    seen: list[Peer] = []
    loop = asyncio.get_running_loop()

    beside.work.set_result(CALLER)  # the loop is told, and takes the answer in its next turn
    loop.call_soon(lambda: seen.append(found.peer))  # in that turn, before the answer's own callbacks
    await asyncio.sleep(0)
    known = await found.known()

    assert (seen, known) == ([CALLER], CALLER)


async def test_a_process_that_cannot_be_found_leaves_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a fault nor a look-up that hangs keeps the call, nor takes away what is known."""
    failed, hanging = Beside(), Beside()
    failed.work.set_exception(OSError("no /proc"))
    monkeypatch.setattr(visitor, "PROCESS_WAIT_S", 0.01)

    assert await met(failed).known() == ACCOUNT
    assert await met(hanging).known() == ACCOUNT


async def test_who_is_known_at_once_is_not_looked_for() -> None:
    """No thread is woken for a process that came with its account."""

    class Knowing(Kernel):
        def owner(self, ends: Endpoints) -> Peer:
            return replace(CALLER, pid=7)

    class Idle(Executor):
        def submit(self, *_: object, **__: object) -> Future[Any]:
            raise AssertionError("asked beside the loop")

    found = met(Idle(), Knowing())
    assert (await found.known(), found.looking) == (replace(CALLER, pid=7), False)
