"""The socket with friends and enemies: each gets its answer or nothing, and none of them costs another one's."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from spendgate.errors import LedgerUnavailable, SpendgateError, StateError, UsageError
from spendgate.sight import Peer

if sys.platform != "linux":
    pytest.skip("the service's socket: Linux alone for now", allow_module_level=True)

from spendgate.service import server as serving
from spendgate.service.client import asked
from spendgate.service.interface import QUESTION_BYTES_MAX, Answer, Kind, framed

Answers = Callable[[Peer, str, bytes], bytes]


def echo(peer: Peer, call: str, args: bytes) -> bytes:
    """What was asked, and by whom."""
    return msgspec.json.encode([peer.uid, call, msgspec.json.decode(args)])


@asynccontextmanager
async def server(path: Path, answers: Answers = echo) -> AsyncIterator[serving.Server]:
    """One that answers."""
    stop, found = asyncio.Event(), serving.Server(answers)
    task = asyncio.create_task(found.serve(path, stop))
    while not path.is_socket():
        await asyncio.sleep(0.01)
    try:
        yield found
    finally:
        stop.set()
        await task


@contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
        found.settimeout(30)
        found.connect(str(path))
        yield found


def answer_of(connection: socket.socket) -> Answer:
    """All that comes until the end."""
    data = b""
    while part := connection.recv(65536):
        data += part
    return msgspec.json.decode(data[4:], type=Answer)


async def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    """Whatever the question claims; everybody may connect; the socket goes with its server."""
    path = tmp_path / "gate.sock"
    path.write_text("left behind")
    async with server(path):
        assert path.stat().st_mode & 0o777 == 0o666
        found = await asyncio.to_thread(asked, path, "spend", {"uid": 4711}, list)
        assert found == [os.geteuid(), "spend", {"uid": 4711}]
    assert not path.exists()


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (UsageError("write it so"), UsageError, "write it so"),
        (StateError("not yours"), StateError, "not yours"),
        (LedgerUnavailable("disk full"), SpendgateError, "disk full"),
        (ValueError("sk-ant-secret"), SpendgateError, "spend failed by a fault of Spendgate's own: ValueError"),
    ],
)
async def test_faults_come_over_as_they_are(tmp_path: Path, fault: Exception, kind: type[Exception], text: str) -> None:
    """A command ends as it would on a file; of a fault that nobody foresaw only the class is told."""

    def fails(*_: object) -> bytes:
        raise fault

    async with server(tmp_path / "gate.sock", fails):
        with pytest.raises(kind) as told:
            await asyncio.to_thread(asked, tmp_path / "gate.sock", "spend", {}, list)
        assert str(told.value) == text


GARBAGE = {
    "not JSON": framed(b"\x00\xff{{{"),
    "another protocol": b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
    "deep": framed(b"[" * 60_000),
    "of another version": framed(b'{"call": "spend", "args": {}, "version": 2}'),
    "without arguments": framed(b'{"call": "spend"}'),
    "too long": (1 << 31).to_bytes(4, "big") + b"x" * QUESTION_BYTES_MAX * 4,
    "a number for a call": framed(b'{"call": 7, "args": {}}'),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_told_so(tmp_path: Path, data: bytes) -> None:
    """And the next one is answered."""
    path = tmp_path / "gate.sock"
    async with server(path):

        def throw() -> Answer | None:
            with connected(path) as enemy:
                try:
                    enemy.sendall(data)
                    return answer_of(enemy)
                except (BrokenPipeError, ConnectionResetError):
                    return None  # turned away before all of it was read

        found = await asyncio.to_thread(throw)
        assert found is None or (found.fault is not None and found.fault.kind is Kind.USAGE)
        assert (await asyncio.to_thread(asked, path, "x", {}, list))[1] == "x"


async def test_who_says_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never asks, and one that asks byte by byte, end when their time is over."""
    monkeypatch.setattr(serving, "QUESTION_S", 0.3)
    path = tmp_path / "gate.sock"
    async with server(path) as found:

        def wait() -> list[bytes]:
            with connected(path) as half_open, connected(path) as slow:
                slow.sendall(b"\x00\x00")
                ended = []
                for each in (half_open, slow):
                    try:
                        ended.append(each.recv(1))
                    except ConnectionResetError:
                        ended.append(b"")
                return ended

        assert await asyncio.to_thread(wait) == [b"", b""]
        assert found._open.total() == 0


async def test_one_account_has_so_many_connections(tmp_path: Path) -> None:
    """Hundreds at once: eight are kept, the rest is told so at once, and there is room as soon as they go."""
    path = tmp_path / "gate.sock"
    async with server(path) as found:

        def storm() -> list[Kind | None]:
            enemies = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(300)]
            try:
                for each in enemies:
                    each.connect(str(path))  # waits where the backlog is full
                    each.settimeout(30)
                return [answer_of(each).fault.kind for each in enemies[8:]]  # type: ignore[union-attr]
            finally:
                for each in enemies:
                    each.close()

        assert await asyncio.to_thread(storm) == [Kind.BUSY] * 292
        while found._open.total():
            await asyncio.sleep(0.01)
        assert (await asyncio.to_thread(asked, path, "x", {}, list))[1] == "x"


async def test_one_account_is_answered_one_at_a_time(tmp_path: Path) -> None:
    """What takes long is one thread's, not all."""
    at_once, most, lock = [0], [0], threading.Lock()

    def slow(*_: object) -> bytes:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        with lock:
            at_once[0] -= 1
        return b"1"

    path = tmp_path / "gate.sock"
    async with server(path, slow):
        assert await asyncio.gather(*(asyncio.to_thread(asked, path, "x", {}, int) for _ in range(6))) == [1] * 6
    assert most == [1]


async def test_an_answer_is_bounded_and_need_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 16 MiB is told so; who does not read theirs is left, and the next one is answered."""
    monkeypatch.setattr(serving, "TAKEN_S", 0.3)
    path = tmp_path / "gate.sock"

    def much(_peer: Peer, call: str, _args: bytes) -> bytes:
        return b'"' + b"x" * (17 << 20 if call == "too much" else 8 << 20 if call == "much" else 1) + b'"'

    async with server(path, much):
        with pytest.raises(StateError, match="more than 16 MiB"):
            await asyncio.to_thread(asked, path, "too much", {}, str)
        with connected(path) as deaf:
            deaf.sendall(framed(b'{"call": "much", "args": {}}'))
            assert await asyncio.to_thread(asked, path, "little", {}, str) == "x"
        assert len(await asyncio.to_thread(asked, path, "much", {}, str)) == 8 << 20


def test_nobody_there_is_told_so(tmp_path: Path) -> None:
    """No socket, and one whose server has died."""
    with pytest.raises(StateError, match="is not there: is the gate's service running"):
        asked(tmp_path / "none.sock", "x", {}, list)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(StateError, match=r"nobody answers at .*dead.sock: the gate's service has stopped"):
        asked(tmp_path / "dead.sock", "x", {}, list)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another account")
async def test_a_client_asks_nobody_who_could_be_anybody(tmp_path: Path) -> None:
    """A folder that others may write, and a socket that another account than its owner answers at."""
    path = tmp_path / "gate.sock"
    async with server(path):
        tmp_path.chmod(0o777)
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(StateError, match="can be written by other accounts"):
            await asyncio.to_thread(asked, path, "x", {}, list)
        tmp_path.chmod(0o755)
        assert (await asyncio.to_thread(asked, path, "x", {}, list))[1] == "x"
