"""Who is at the other end: what is found of its process counts from the moment it is found."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest
from mitmproxy import connection

from spendgate.attribution import Evidence, Peer
from spendgate.capture import turns, visitor
from spendgate.capture.turns import Look, Turns
from spendgate.capture.visitor import TOO_MANY, Visitor
from spendgate.identity.interface import Endpoints

ACCOUNT = Peer(uid=0, account="root", evidence=Evidence.SOCKET_OWNER)
CALLER = Peer(uid=0, account="root", login_account="alice", evidence=Evidence.SOCKET_OWNER)


class Kernel:
    """The account at once, the process as it is told."""

    def owner(self, ends: Endpoints) -> Peer:
        return ACCOUNT

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        raise AssertionError("asked beside the loop only")


class Beside:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.work: Future[Peer] = Future()

    def submit(self, _uid: int | None, _look: Look) -> Future[Peer]:
        return self.work


def met(beside: turns.Beside, kernel: Kernel | None = None) -> Visitor:
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

    class Idle:
        def submit(self, _uid: int | None, _look: Look) -> Future[Peer]:
            raise AssertionError("asked beside the loop")

    found = met(Idle(), Knowing())
    assert (await found.known(), found.looking) == (replace(CALLER, pid=7), False)


async def test_an_account_with_many_connections_keeps_no_other_waiting() -> None:
    """Accounts take turns, and of one account no more wait than are found in time: its next call is its account's alone."""
    beside, done, asked = Turns(), threading.Event(), list[str]()

    def look(name: str) -> Peer:
        asked.append(name)
        done.wait()
        return CALLER

    try:
        busy = [beside.submit(1, lambda: look("busy")) for _ in range(turns._AT_ONCE)]
        while len(asked) < turns._AT_ONCE:
            await asyncio.sleep(0.001)
        many = [beside.submit(1, lambda: look("one")) for _ in range(turns.WAITING_MAX + 1)]
        other = beside.submit(2, lambda: look("other"))
        done.set()
        assert other is not None
        await asyncio.wrap_future(other)
        place = asked.index("other")
        for each in (*busy, *many[:-1]):
            assert each is not None
            await asyncio.wrap_future(each)
    finally:
        done.set()
        beside.shutdown()

    assert many[-1] is None
    assert place <= 2 * turns._AT_ONCE, asked


async def test_who_waits_behind_too_many_of_its_own_is_its_account() -> None:
    """At once, with the reason."""

    class Full:
        def submit(self, _uid: int | None, _look: Look) -> None:
            return None

    found = met(Full())
    assert (found.peer, found.looking) == (replace(ACCOUNT, why_unknown=TOO_MANY), False)
