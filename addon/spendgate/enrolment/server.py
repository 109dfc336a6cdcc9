"""Who may connect to an enrolment office, for how long, and with how much. Everything that it signs is `office`'s to decide.

Bounds, since whoever reaches the port may try them: a connection lives `PATIENCE_S` in all, from its first byte of TLS to the
last of the answer; an address (of IPv6 a /64) has `CONNECTIONS_EACH` of `CONNECTIONS_MOST`; a head has 8 KiB and a body 8; the
one thread that signs has `WAITING_MOST` questions; an address that was refused `REFUSALS_A_MINUTE` times is not heard for the
rest of the minute.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from socket import socket
from typing import Final

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from spendgate.enrolment.books import Line
from spendgate.enrolment.credentials import Refuse
from spendgate.enrolment.messages import (
    ANSWER_TYPE,
    ASKED_TYPE,
    ENROLL,
    QUESTION_BYTES_MAX,
    REENROLL,
    Question,
    question,
)
from spendgate.enrolment.office import Issued, Office
from spendgate.errors import SpendgateError

PATIENCE_S: Final = 60.0
QUESTION_S: Final = 10.0
"""For TLS and the head together, and as long again for the body."""
CONNECTIONS_MOST, CONNECTIONS_EACH = 400, 40
WAITING_MOST: Final = 20
REFUSALS_A_MINUTE: Final = 120
AGAIN_S: Final = 15
_HEAD_BYTES_MAX: Final = 8_192
_ADDRESSES_MOST: Final = 10_000


@dataclass(slots=True)
class Door:
    """What the parts of a server share. `told`: where its lines go."""

    office: Office
    told: Callable[[str], None]
    now: Callable[[], datetime]
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "signs"))
    waiting: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    minute: int = 0

    def patient_with(self, address: str) -> bool:
        """Whether this address may still ask in this minute."""
        if self.minute != (minute := int(self.now().timestamp()) // 60) or len(self.refused) > _ADDRESSES_MOST:
            self.minute, self.refused = minute, Counter()
        return self.refused[address] < REFUSALS_A_MINUTE

    async def answer(self, enrols: bool, asked: Question, address: str) -> Issued | Refuse:
        """By the one thread that has the key. Raises as `Office` does."""
        if self.waiting >= WAITING_MOST:
            return Refuse(503, "others are being answered")
        self.waiting += 1
        try:
            work = self.office.enrol if enrols else self.office.renew
            return await asyncio.get_running_loop().run_in_executor(self.thread, work, asked, address, self.now())
        finally:
            self.waiting -= 1


class _Server(HTTPServer):
    """Bounds connections before their first byte."""

    def initialize(self, *args: object, **options: object) -> None:
        self._open: Counter[str] = Counter()
        self._last: dict[IOStream, tuple[str, asyncio.TimerHandle]] = {}
        super().initialize(*args, **options)  # type: ignore[arg-type]  # as tornado has them

    def handle_stream(self, stream: IOStream, address: tuple[str, int]) -> None:
        of = whose(address[0])
        if self._open.total() >= CONNECTIONS_MOST or self._open[of] >= CONNECTIONS_EACH:
            stream.close()
            return
        self._open[of] += 1
        self._last[stream] = (of, asyncio.get_running_loop().call_later(PATIENCE_S, stream.close))
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        assert isinstance(server_conn, HTTP1ServerConnection)  # noqa: S101 - tornado's only kind
        of, last = self._last.pop(server_conn.stream)
        last.cancel()
        self._open[of] -= 1
        if not self._open[of]:
            del self._open[of]


class _Quiet(RequestHandler):
    """Says no more of itself than it must."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")

    def write_error(self, status_code: int, **_: object) -> None:
        self.say(status_code, "there is nothing here")

    def say(self, status: int, why: str) -> None:
        """Refuse, in one line."""
        self.set_status(status)
        if status == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="spendgate enrolment"')
        if status in (429, 503):
            self.set_header("Retry-After", str(AGAIN_S))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{why}\n")

    def prepare(self) -> None:
        self.write_error(404)


class _Asked(_Quiet):
    """Both questions."""

    def initialize(self, door: Door, enrols: bool) -> None:
        self._door, self._enrols, self._device = door, enrols, ""

    def prepare(self) -> None:
        if self.request.method != "POST":
            self.say(405, "ask by POST")

    async def post(self) -> None:
        door, address = self._door, str(self.request.remote_ip)
        if not door.patient_with(whose(address)):
            self.say(429, "too many questions of this address were refused")
            return
        found = await self._found(address)
        if isinstance(found, Issued):
            line = found.line
            door.told(said(line))
            self.set_header("Content-Type", ANSWER_TYPE)
            self.set_header("Content-Transfer-Encoding", "base64")
            self.finish(found.body)
            return
        if found.status < 500:
            door.refused[whose(address)] += 1
            if found.status != 429:
                door.told(f"refused ({found.status}): {found.why}, for {self._device or 'nobody'} at {address}")
        self.say(found.status, found.why)

    async def _found(self, address: str) -> Issued | Refuse:
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != ASKED_TYPE:
            return Refuse(415, f"a question is {ASKED_TYPE}")
        try:
            asked = question(self.request.headers.get("Authorization", ""), self.request.body)
            self._device = asked.device  # of letters and digits, whoever says it
            return await self._door.answer(self._enrols, asked, address)
        except PermissionError as fault:
            return Refuse(401, str(fault))
        except ValueError as fault:
            return Refuse(400, str(fault))
        except SpendgateError as fault:
            self._door.told(f"failed: {fault}")
        except Exception as fault:  # noqa: BLE001 - whatever it is, the next question is answered
            self._door.told(f"failed: {type(fault).__name__}")
        return Refuse(503, "this cannot be answered now; whoever runs the office has been told")


def whose(address: str) -> str:
    """What counts as one address: of IPv6 the network, since whoever has one has 2^64 of them. Pure."""
    found = ip_address(address.partition("%")[0])
    return address if found.version == 4 else str(ip_network((found, 64), strict=False))


def said(line: Line) -> str:
    """A line of the trail, for the log."""
    until = f"{datetime.fromtimestamp((line.until_ms or 0) / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    by = f" by {line.credential}" if line.credential else ""
    return f"{line.what}: {line.device}, serial {line.serial}, until {until}{by}, for {line.address}"


def listening(address: str, port: int) -> list[socket]:
    """Bound, so that a port that is taken is told before a key is unlocked. Raises OSError."""
    return list(bind_sockets(port, address))


@asynccontextmanager
async def serving(
    door: Door, sockets: list[socket], tls: ssl.SSLContext
) -> AsyncIterator[Callable[[ssl.SSLContext], None]]:
    """Answering, inside. What it gives shows another certificate to whoever connects from then on."""
    for name in ("tornado.access", "tornado.general", "tornado.application"):
        logging.getLogger(name).addHandler(logging.NullHandler())  # each would repeat what strangers send
        logging.getLogger(name).propagate = False
    routes = [(ENROLL, _Asked, {"door": door, "enrols": True}), (REENROLL, _Asked, {"door": door, "enrols": False})]
    application = Application(routes, default_handler_class=_Quiet, log_function=_unlogged)
    server = _Server(
        application, ssl_options=tls, no_keep_alive=True, idle_connection_timeout=QUESTION_S, body_timeout=QUESTION_S,
        max_header_size=_HEAD_BYTES_MAX, max_body_size=QUESTION_BYTES_MAX, max_buffer_size=4 * QUESTION_BYTES_MAX,
    )  # fmt: skip
    server.add_sockets(sockets)

    def show(other: ssl.SSLContext) -> None:
        server.ssl_options = other

    try:
        yield show
    finally:
        server.stop()
        await server.close_all_connections()
        door.thread.shutdown()


def _unlogged(_: RequestHandler | HTTPServerRequest) -> None:
    """What matters of a question has a line of its own."""
