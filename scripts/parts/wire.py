"""A client that is nothing but the wire: one HTTPS request through a proxy's CONNECT, with raw bytes and times."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Got:
    """What came back. `status` 0: the connection broke off. Times in seconds since the request began."""

    status: int
    body: bytes
    first_byte_s: float
    total_s: float


def trusting(*pem_files: str) -> ssl.SSLContext:
    """A context that trusts these authorities alone."""
    context = ssl.create_default_context()
    for file in pem_files:
        context.load_verify_locations(file)
    return context


async def call(
    host: str, path: str, body: object, *, proxy: int, trust: ssl.SSLContext, headers: dict[str, str], connect: str
) -> Got:
    """POST `body` as JSON to https://host/path through the proxy on this port; a connection of its own.

    `connect` is the address that the proxy is asked for; the TLS hello names the host.
    """
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        writer.write(f"CONNECT {connect} HTTP/1.1\r\nhost: {connect}\r\n\r\n".encode())
        if b" 200 " not in await reader.readuntil(b"\r\n\r\n"):
            return Got(0, b"", 0.0, time.monotonic() - began)
        await writer.start_tls(trust, server_hostname=host)
        data = json.dumps(body).encode()
        fields = {"host": host, "content-type": "application/json", "connection": "close", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"POST {path} HTTP/1.1\r\n{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        answer = await reader.readuntil(b"\r\n\r\n")
        first = time.monotonic() - began
        rest = await reader.read()
        writer.close()
        return Got(int(answer.split(b" ", 2)[1]), rest, first, time.monotonic() - began)
    except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
        return Got(0, b"", 0.0, time.monotonic() - began)
