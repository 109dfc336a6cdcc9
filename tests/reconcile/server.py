"""A billing API on loopback that pages, refuses for haste, breaks off and times out: real HTTP for the driver of API sources."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Said:
    """What the server answers once."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection ends in the middle of the body."""


@dataclass
class Api:
    """What was asked, in its order, and where."""

    origin: str
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def api(answer: Callable[[str, int], Said]) -> Iterator[Api]:
    """Serve what `answer(path, number of the request from 1)` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            found.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            said = answer(self.path, len(found.asked))
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body) + (1000 if said.cut else 0)))
            self.end_headers()
            self.wfile.write(said.body)
            if said.cut:
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 - its library's name

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Api(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
