"""Receivers that alerts really reach: an HTTP endpoint that can be down or slow, and an SMTP server, both on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Endpoint:
    """A web hook. `status` is what it answers from now on."""

    port: int = 0
    status: int = 200
    sleeps_s: float = 0.0
    heard: list[dict[str, Any]] = field(default_factory=list)
    """What it has taken."""
    refused: int = 0
    location: str | None = None
    """Where it sends whoever asks."""
    endless: bool = False
    """Its answer does not end."""
    asked: int = 0
    """Requests that have come, answered or not."""

    @property
    def to(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook"


@contextmanager
def endpoint(port: int = 0) -> Iterator[Endpoint]:
    """It listens inside."""
    at = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            at.asked += 1
            time.sleep(at.sleeps_s)
            if at.status == 200:
                at.heard.append(json.loads(data))
            else:
                at.refused += 1
            try:
                self.send_response(at.status)
                if at.location:
                    self.send_header("Location", at.location)
                self.send_header("Content-Length", str(1 << 50 if at.endless else 0))
                self.end_headers()
                while at.endless:
                    self.wfile.write(bytes(1 << 20))
            except OSError:
                pass  # its sender was killed meanwhile

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    at.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield at
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """An SMTP server: who got what, as it was sent."""

    port: int = 0
    mails: list[tuple[list[str], str]] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    """The same mails' HTML, where they have some."""


@contextmanager
def mailbox(port: int = 0) -> Iterator[Mailbox]:
    """It listens inside."""
    from aiosmtpd.controller import Controller

    box = Mailbox(port)

    class Handler:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            mail = message_from_bytes(envelope.content)
            parts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/plain"]
            html = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "text/html"]
            box.html.append(b"".join(html).decode())
            box.mails.append((list(envelope.rcpt_tos), b"".join(parts).decode()))
            return "250 taken"

    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            box.port = free.getsockname()[1]  # the controller takes no 0
    said: list[Any] = []
    """A protocol for each connection."""

    class Keeping(Controller):
        def factory(self) -> Any:
            said.append(super().factory())
            return said[-1]

    async def hang_up() -> None:
        for listening in controller.server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await asyncio.sleep(0.05)  # what was accepted last has its protocol in a later turn of the loop
        for each in said:
            if each.transport is not None:
                each.transport.abort()
        await asyncio.sleep(0.01)  # and a transport closes its socket in one

    controller = Keeping(Handler(), hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        # asyncio closes no connection that it accepts while its server is closed: the garbage collector would find it, in the
        # middle of another test.
        asyncio.run_coroutine_threadsafe(hang_up(), controller.loop).result()
        controller.stop()


def until(true: Callable[[], object], patience_s: float = 60.0) -> None:
    """Wait for it; a busy machine has a minute."""
    ends = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.05)
