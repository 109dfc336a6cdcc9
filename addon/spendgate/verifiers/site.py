"""A TLS server on loopback that shows one leaf, to whoever connects and to whoever asks it as a proxy for a way to the name.

Each case has a port of its own, since a client that asks for an address sends no name in its hello. The leaf's key goes from
memory to OpenSSL.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from types import TracebackType

from OpenSSL import SSL

from spendgate.capture.ca import Leaf

PATIENCE_S = 10
PATIENCE = PATIENCE_S * 1000 if sys.platform == "win32" else struct.pack("ll", PATIENCE_S, 0)
"""As the kernel takes it: milliseconds on Windows, a `timeval` elsewhere."""
HEAD_MAX = 16_384
HANDSHAKE = 0x16
"""The first byte of a TLS record with a hello in it."""
CLIENTS_MAX = 32
PAGE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 15\r\nconnection: close\r\n\r\nspendgate says\n"
WORD = "spendgate says"
"""Whoever prints this took the certificate."""


class Site:
    """A leaf, a port, and whether a hello has come."""

    def __init__(self, leaf: Leaf) -> None:
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.use_certificate(leaf.certificate)
        for above in leaf.chain:
            self._context.add_extra_chain_cert(above)
        self._context.use_privatekey(leaf.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._slots = threading.BoundedSemaphore(CLIENTS_MAX)
        self.greeted = threading.Event()
        """Set from the first TLS hello on: without one, nothing was refused."""

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Site:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # ends `accept`, which closing does not
        except OSError:
            pass  # not connected, as some systems have it; closing ends it there
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._slots.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            else:
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                # The kernel's timeouts: OpenSSL reads the socket itself.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, PATIENCE)
                self._answer(client)
        except (OSError, SSL.Error):
            pass  # the client left, which is what refusing looks like from here
        finally:
            self._slots.release()

    def _answer(self, client: socket.socket) -> None:
        first = client.recv(1, socket.MSG_PEEK)
        if first and first[0] != HANDSHAKE:
            _head(client)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            first = client.recv(1, socket.MSG_PEEK)
        if not first or first[0] != HANDSHAKE:
            return
        self.greeted.set()
        link = SSL.Connection(self._context, client)
        link.set_accept_state()
        link.do_handshake()
        link.recv(HEAD_MAX)
        link.sendall(PAGE)
        link.shutdown()


def _head(client: socket.socket) -> None:
    """Reads a CONNECT to its end, and not a byte of what follows: a client waits for the answer."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_MAX:
        more = client.recv(HEAD_MAX - len(head))
        if not more:
            return
        head += more
