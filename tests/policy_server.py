"""A real HTTPS server on the loopback that gives out a policy, and everything that such a server can do wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from spendgate.standin.certificates import made


@dataclass
class PolicyServer:
    """What it gives out, how it misbehaves (a word; empty: not at all), and what it was asked."""

    url: str
    ca: Path
    files: dict[str, bytes] = field(default_factory=dict)
    wrong: str = ""
    etag: str = ""
    """What it says in place of each file's own."""
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Each path and the status that it got."""

    def give(self, folder: Path) -> None:
        """The policy of a folder as it is now: all at once."""
        self.files = {f"/etc/{each.name}": each.read_bytes() for each in folder.iterdir() if each.is_file()}


@contextlib.contextmanager
def policy_server(folder: Path) -> Iterator[PolicyServer]:
    """Up inside; its authority's certificate lies in the folder."""
    chain, ca = made(("localhost",), dt.datetime.now(dt.UTC))
    (folder / "server.pem").write_bytes(chain)
    (folder / "server-ca.pem").write_bytes(ca)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, told)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that leaves is no fault."""

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    told = PolicyServer(f"https://localhost:{server.server_port}/etc/policy.yaml", folder / "server-ca.pem")
    threading.Thread(target=server.serve_forever, daemon=True, name="policy server").start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, told: PolicyServer) -> None:
    body = told.files.get(handler.path)
    status = {"error": 500, "redirect": 302, "partial": 206}.get(told.wrong, 200 if body is not None else 404)
    etag = f'"{hashlib.sha256(body or b"").hexdigest()}"'
    if status == 200 and handler.headers.get("if-none-match") == etag:
        status = 304
    told.asked.append((handler.path, status))
    if told.wrong == "hangs up":
        handler.close_connection = True
        return
    if told.wrong == "is slow":
        time.sleep(5)
    if told.wrong == "is huge":
        body = b"x" * 3_000_000
    handler.send_response(status)
    handler.send_header("etag", told.etag or etag)
    if told.wrong == "redirect":
        handler.send_header("location", f"http://localhost/{handler.path}")
    if told.wrong == "is packed":
        handler.send_header("content-encoding", "gzip")
    sent = b"" if status in (304, 302) or body is None else body
    handler.send_header("content-length", str(len(sent)))
    handler.end_headers()
    handler.wfile.write(sent)
