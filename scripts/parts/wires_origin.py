"""The provider of the dialects' benchmark, a long answer on each dialect's own host and path; and one call to it by a proxy.

`bench-bytes` in a request's query says how many bytes to answer, `bench-first` from where to number results. Run as a program,
with a folder and host names, it prints its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

from load import origin
from load.wires import WIRES, Wire

_SIZE, _FIRST = "bench-bytes", "bench-first"


def answer(path: str, body: bytes) -> tuple[str, AsyncIterator[bytes]]:
    """Content type and chunks of a dialect's answer."""
    where, _, query = path.partition("?")
    said = parse_qs(query)
    size, first = int(said.pop(_SIZE)[0]), int(said.pop(_FIRST)[0])
    wire = next(each for each in WIRES if each.path == where and parse_qs(each.query) == said)
    return wire.answers, _written(wire, size, first)


async def _written(wire: Wire, size: int, first: int) -> AsyncIterator[bytes]:
    for piece in wire.answer(size=size, first=first):
        yield piece


@contextlib.contextmanager
def asked_for(
    wire: Wire, proxy: tuple[str, int], address: tuple[str, int], context: ssl.SSLContext
) -> Iterator[Callable[[int, int], int]]:
    """An open connection through a proxy; what is given asks for an answer of so many bytes, its results numbered from so many
    on, and returns how many bytes came."""
    with socket.create_connection(proxy, 30) as plain:
        authority = f"{address[0]}:{address[1]}"
        plain.sendall(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode())
        while b"\r\n\r\n" not in plain.recv(65_536):
            pass
        with context.wrap_socket(plain, server_hostname=wire.host) as wrapped:
            yield lambda size, first: _ask(wire, wrapped, size, first)


def _ask(wire: Wire, wrapped: ssl.SSLSocket, size: int, first: int) -> int:
    target = f"{wire.target}{'&' if wire.query else '?'}{_SIZE}={size}&{_FIRST}={first}"
    body = wire.body("hi") if wire.method == "POST" else b""
    head = f"{wire.method} {target} HTTP/1.1\r\nhost: {wire.host}\r\ncontent-type: {wire.asks}\r\n"
    wrapped.sendall(f"{head}authorization: Bearer sk-bench\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    with wrapped.makefile("rb") as answer:
        if b" 200 " not in (status := answer.readline()):
            raise SystemExit(f"{wire.dialect}: {status.decode(errors='replace')}")
        length = None
        while (line := answer.readline().lower().strip()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if length is not None:
            return len(answer.read(length))
        came = 0
        while left := int(answer.readline(), 16):
            came += len(answer.read(left + 2)) - 2
        return came


async def main(folder: Path, *hosts: str) -> None:
    """Serve until killed."""
    origin.answer = answer
    running = await origin.Origin(origin.Identity.make(folder, *hosts)).start()
    sys.stdout.write(f"{running.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
