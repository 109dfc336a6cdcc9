"""HTTP clients for the official SDKs that hash the bytes of each answer's body as they come, before any decoding."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from end_to_end.world import PATIENCE_S, Gate, Way


@dataclass(slots=True)
class Seen:
    """What came for the last request."""

    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0
    request_id: str = ""
    encoding: str = ""
    status: int = 0
    http: str = ""
    answers: int = 0
    """How many answers have come."""

    def head(self, response: httpx2.Response) -> None:
        """A new answer begins."""
        self.digest, self.size, self.status = hashlib.sha256(), 0, response.status_code
        self.answers += 1
        names = ("request-id", "x-request-id", "x-amzn-requestid")
        self.request_id = next((response.headers[name] for name in names if name in response.headers), "")
        self.encoding = response.headers.get("content-encoding", "")
        self.http = response.extensions["http_version"].decode()

    def part(self, data: bytes) -> bytes:
        """Bytes as they came."""
        self.digest.update(data)
        self.size += len(data)
        return data


def transports(http: Any) -> tuple[Any, Any]:
    """The transports of a client library, asynchronous and not: httpx2, or httpx, which some SDKs still take.

    They go through the gate, trust its certificate alone, and hash what comes.
    """

    class Async(http.AsyncByteStream):
        def __init__(self, inner: http.AsyncByteStream, seen: Seen) -> None:
            self._inner, self._seen = inner, seen

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in self._inner:
                yield self._seen.part(data)

        async def aclose(self) -> None:
            await self._inner.aclose()

    class Sync(http.SyncByteStream):
        def __init__(self, inner: http.SyncByteStream, seen: Seen) -> None:
            self._inner, self._seen = inner, seen

        def __iter__(self) -> Iterator[bytes]:
            for data in self._inner:
                yield self._seen.part(data)

        def close(self) -> None:
            self._inner.close()

    class AsyncHashing(http.AsyncHTTPTransport):
        def __init__(self, gate: Gate, seen: Seen, *, http2: bool) -> None:
            super().__init__(verify=trust(gate), http2=http2, proxy=http.Proxy(gate.proxy))
            self._seen = seen

        async def handle_async_request(self, request: http.Request) -> http.Response:
            response = await super().handle_async_request(request)
            self._seen.head(response)
            assert isinstance(response.stream, http.AsyncByteStream)
            response.stream = Async(response.stream, self._seen)
            return response

    class SyncHashing(http.HTTPTransport):
        def __init__(self, gate: Gate, seen: Seen, *, http2: bool) -> None:
            super().__init__(verify=trust(gate), http2=http2, proxy=http.Proxy(gate.proxy))
            self._seen = seen

        def handle_request(self, request: http.Request) -> http.Response:
            response = super().handle_request(request)
            self._seen.head(response)
            assert isinstance(response.stream, http.SyncByteStream)
            response.stream = Sync(response.stream, self._seen)
            return response

    return AsyncHashing, SyncHashing


AsyncHashing, SyncHashing = transports(httpx2)


def trust(gate: Way) -> ssl.SSLContext:
    """Trusts the gate's certificate and nothing else."""
    return ssl.create_default_context(cafile=str(gate.ca))


def tunnel(gate: Way, host: str, port: int = 443) -> socket.socket:
    """A CONNECT through the gate, answered."""
    plain = socket.create_connection(("127.0.0.1", gate.port), PATIENCE_S)
    plain.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += plain.recv(1)
    assert b" 200 " in head.split(b"\r\n")[0]
    return plain
