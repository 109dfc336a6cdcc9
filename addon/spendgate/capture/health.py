"""Asks a listener whether it captures: a canary call, answered by the gate with its instance id. No mitmproxy.

The call trusts nothing but the gate's CA, so an answer also proves that a tool which trusts that CA would be served. A
reverse listener has one upstream and cannot be asked; its callers see for themselves.
"""

from __future__ import annotations

import asyncio
import ssl

from spendgate.capture.scope import CANARY_HOST, INSTANCE_HEADER

CANARY_PORT = 443
CANARY_ADDRESS = "192.0.2.1"
CANARY_ADDRESS6 = "2001:db8:ca::1"
"""Where a transparent canary connects to. Documentation prefixes (RFC 5737, RFC 3849): no server ever has them."""
ANSWER_MAX = 4_096
SOCKS_GREETING = b"\x05\x01\x00"
SOCKS_CONNECT = b"\x05\x01\x00\x03" + bytes([len(CANARY_HOST)]) + CANARY_HOST.encode() + CANARY_PORT.to_bytes(2)


async def call_canary(mode: str, address: tuple[str, int] | None, ca_pem: str, timeout_s: float = 10.0) -> str | None:
    """The instance that answers a canary call sent the way that `mode` captures; None: nobody does.

    `address` is the listener's, for the modes that clients are pointed at; transparent and local capture take none, or
    CANARY_ADDRESS6.
    Raises ValueError for a reverse mode.
    """
    kind = mode.partition("@")[0].partition(":")[0]
    if kind == "reverse":
        raise ValueError("a reverse listener answers no canary")
    try:
        async with asyncio.timeout(timeout_s):
            return await _call(kind, address or (CANARY_ADDRESS, CANARY_PORT), ca_pem)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None  # refused, silent, untrusted, or not ours: each means that this way captures nothing


async def _call(kind: str, address: tuple[str, int], ca_pem: str) -> str | None:
    reader, writer = await asyncio.open_connection(*address, limit=ANSWER_MAX)
    try:
        if kind in ("regular", "upstream"):
            writer.write(f"CONNECT {CANARY_HOST}:{CANARY_PORT} HTTP/1.1\r\nHost: {CANARY_HOST}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
        elif kind == "socks5":
            writer.write(SOCKS_GREETING + SOCKS_CONNECT)
            await reader.readexactly(2 + 10)
        await writer.start_tls(ssl.create_default_context(cadata=ca_pem), server_hostname=CANARY_HOST)
        writer.write(f"GET / HTTP/1.1\r\nHost: {CANARY_HOST}\r\nconnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        return next((line.partition(": ")[2] for line in head.split("\r\n") if line.startswith(INSTANCE_HEADER)), None)
    finally:
        writer.transport.abort()  # a close would wait for the other side, and the answer is here
