"""Processes of one or another account that hold connections to a server of the test's."""

from __future__ import annotations

import socket
import subprocess
import textwrap

from spendgate.identity.interface import Endpoints

CLIENT = """
    import os, socket, sys
    sockets = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
    if len(sys.argv) > 3:
        os._exit(0)
    sys.stdin.read()
"""


def client(
    server: socket.socket, count: int = 1, *more: str, uid: int | None = None, **options: object
) -> subprocess.Popen[bytes]:
    """A process that opens `count` connections, and holds them until its input closes."""
    command = ["/usr/bin/python3", "-c", textwrap.dedent(CLIENT), str(server.getsockname()[1]), str(count), *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, user=uid, **options)  # type: ignore[call-overload,no-any-return]


def accepted(server: socket.socket) -> tuple[socket.socket, Endpoints]:
    """The next connection and the client's view of its ends."""
    connection, peer = server.accept()
    return connection, Endpoints(peer, connection.getsockname())


def end(started: subprocess.Popen[bytes]) -> None:
    """Let a client finish."""
    started.communicate()
