"""The service's side of the socket: who may connect, how much at once, how long anything may take; not what is answered.

It runs in a process of its own beside the gate (`cli/answering`): whatever clients do, a gate's call waits for none of it.

    connections  256 at once, 8 of one account; what is more is told so and closed
    a question   64 KiB, all there within 5 s of the connection
    answers      one at a time for each account, four at a time for all; 16 MiB, read within 30 s
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.service.interface import (
    ANSWER_BYTES_MAX,
    ANSWER_S,
    LENGTH_BYTES,
    QUESTION_BYTES_MAX,
    QUESTION_S,
    TAKEN_S,
    VERSION,
    Answer,
    Kind,
    Question,
    fault,
    framed,
)
from spendgate.service.peers import peer_of
from spendgate.sight import Peer

CONNECTIONS: Final = 256
CONNECTIONS_OF_ONE: Final = 8
THREADS: Final = 4
_BACKLOG: Final = 1024
"""Who waits to be accepted, which takes microseconds; the system may allow fewer."""

Answers = Callable[[Peer, str, bytes], bytes]
"""The value of one call, as JSON, of its arguments, as JSON. Runs in a thread. Raises SpendgateError."""


class Server:
    """Answers at one path. Of one event loop."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="answers")
        self._open: Counter[int] = Counter()
        self._working: dict[int, asyncio.Lock] = {}

    async def serve(self, path: Path, stop: asyncio.Event) -> None:
        """Until `stop`. The socket is every account's to connect to; who it is decides. Raises OSError."""
        with _listening(path) as listener:
            server = await asyncio.start_unix_server(
                self._met, sock=listener, limit=QUESTION_BYTES_MAX, backlog=_BACKLOG
            )
            try:
                await stop.wait()
            finally:
                server.close()
                self._pool.shutdown(wait=False, cancel_futures=True)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = peer_of(writer.get_extra_info("socket"))
        except OSError:
            writer.transport.abort()
            return
        uid = peer.uid
        if self._open.total() >= CONNECTIONS or self._open[uid] >= CONNECTIONS_OF_ONE:
            writer.write(framed(fault(Kind.BUSY, "the service has too many connections now; try again")))
            writer.close()
            return
        self._open[uid] += 1
        try:
            await self._attend(peer, reader, writer)
        except (OSError, EOFError, TimeoutError):
            writer.transport.abort()
        finally:
            self._open[uid] -= 1
            if not self._open[uid]:
                del self._open[uid]
                self._working.pop(uid, None)

    async def _attend(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises OSError, EOFError, TimeoutError."""
        async with asyncio.timeout(QUESTION_S):
            length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
            content = await reader.readexactly(length) if length <= QUESTION_BYTES_MAX else b""
        # One at a time until it is taken: what an account has the service keep is one answer.
        async with self._working.setdefault(peer.uid, asyncio.Lock()):
            answer = await self._answered(peer, content)
            async with asyncio.timeout(TAKEN_S):
                writer.write(framed(answer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()

    async def _answered(self, peer: Peer, content: bytes) -> bytes:
        """Never raises."""
        try:
            question = msgspec.json.decode(content, type=Question)
        except (msgspec.MsgspecError, RecursionError):
            return fault(
                Kind.USAGE, f"that is no question; write one of at most {QUESTION_BYTES_MAX >> 10} KiB, as JSON"
            )
        if question.version != VERSION:
            return fault(
                Kind.USAGE, f"this service speaks version {VERSION}, not {question.version}: use the gate's own version"
            )
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, self._value, peer, question.call, bytes(question.args)
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                return await work
        except TimeoutError:
            return fault(Kind.BUSY, f"this took longer than {ANSWER_S:.0f} s; ask for less, with --since or --limit")

    def _value(self, peer: Peer, call: str, args: bytes) -> bytes:
        """In a thread. Never raises."""
        try:
            answer = msgspec.json.encode(Answer(msgspec.Raw(self._answers(peer, call, args))))
        except UsageError as said:
            return fault(Kind.USAGE, str(said))
        except SpendgateError as said:
            return fault(Kind.STATE if isinstance(said, StateError) else Kind.FAULT, str(said))
        except Exception as other:  # noqa: BLE001 - its text may hold what a call said, so that only its class is shown
            return fault(Kind.FAULT, f"{call[:40]} failed by a fault of Spendgate's own: {type(other).__name__}")
        if len(answer) > ANSWER_BYTES_MAX:
            return fault(
                Kind.STATE, f"that is more than {ANSWER_BYTES_MAX >> 20} MiB; ask for less, with --since or --limit"
            )
        return answer


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """In the place of whatever was left there. Raises OSError."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
