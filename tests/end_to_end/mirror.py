"""A provider of every wire that answers with a text of the test's own, well or badly: what a request asks for by `x-mode`.

`whole`, `cut` (the connection ends within the answer), `short` (the answer ends well, and lacks its end), `nonsense` (no format
under the right type), `error` (status 500), `odd` (ids and model in the answer are the text).
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from load.origin import Identity
from load.wires import Wire

MODES = ("whole", "cut", "short", "nonsense", "error", "odd")
_IDS = (
    b'"msg_1"',
    b'"chatcmpl-1"',
    b'"resp_1"',
    b'"r-1"',
    b'"c-1"',
    b'"claude-sonnet-4-6"',
    b'"gpt-5.1"',
    b'"gemini-2.5-pro"',
)


@contextlib.contextmanager
def running_mirror(folder: Path, wires: tuple[Wire, ...], text: str) -> Iterator[list[str]]:
    """The options that lead a gate to it in place of the providers."""
    hosts = sorted({wire.host for wire in wires})
    identity = Identity.make(folder / "mirror", *hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain)
    by_target = {(wire.host, wire.path): wire for wire in wires}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            mode = self.headers.get("x-mode", "whole")
            wire = by_target.get((self.headers["host"], self.path.partition("?")[0]))
            pieces = list(wire.answer(text, 2_000)) if wire else [json.dumps({"text": text}).encode()]
            body = b"".join([*pieces[:1], pieces[-1][:-7]] if mode == "short" else pieces)
            if mode == "odd":
                for name in _IDS:
                    body = body.replace(name, json.dumps(text).encode())
            body = text.encode() if mode in ("nonsense", "error") else body
            self.send_response(500 if mode == "error" else 200)
            self.send_header("content-type", wire.answers if wire else "application/json")
            self.send_header("content-length", str(len(body)))
            for name in ("request-id", "x-request-id", "anthropic-organization-id"):
                self.send_header(name, text.replace("\n", " ") if mode == "odd" else "id-1")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if mode == "cut" else body)
            self.close_connection = mode == "cut"

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    options = [f"connect_to={host}=127.0.0.1:{server.server_address[1]}" for host in hosts]
    options.append(f"ssl_verify_upstream_trusted_ca={identity.ca}")
    try:
        yield [word for option in options for word in ("--set", option)]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
