"""A real gate on loopback, an origin behind it, and what the tests say to them."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy import http

from load.origin import Identity, Origin
from spendgate.capture import launcher
from spendgate.capture.ca import Authority, create
from spendgate.capture.coverage import CoverageEvent
from spendgate.capture.scope import Scope

NOW = datetime.datetime.now(datetime.UTC)
PROVIDER, OTHER = "api.anthropic.com", "bank.example"


@dataclass
class Recorder:
    """An addon that sees what an addon can see. The meter's place."""

    hooks: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self.hooks.append("requestheaders")
        self.hosts.append(flow.client_conn.sni or flow.request.host)

    def request(self, flow: http.HTTPFlow) -> None:
        self.hooks.append("request")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        self.hooks.append("responseheaders")
        if flow.response:
            flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        self.hooks.append("response")

    def error(self, flow: http.HTTPFlow) -> None:
        self.hooks.append("error")
        self.errors.append(flow.error.msg if flow.error else "")

    def tcp_message(self, flow: object) -> None:
        self.hooks.append("tcp_message")

    def websocket_message(self, flow: object) -> None:
        self.hooks.append("websocket_message")


@dataclass
class Gate:
    """A running gate and what is around it."""

    listening: launcher.Listening
    authority: Authority
    ca: Path
    origin: Origin
    seen: Recorder
    gaps: list[CoverageEvent]

    @property
    def address(self) -> tuple[str, int]:
        return self.listening.address

    def client_context(self, *alpn: str, ca: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=ca or self.ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    async def tunnel(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A CONNECT through the first listener."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise ConnectionError(head.decode())
        return reader, writer

    async def secure(self, name: str | None, *alpn: str, ca: Path | None = None, via: str | None = None):
        """A TLS connection for `name` through CONNECT to `via`."""
        reader, writer = await self.tunnel(via or name or "127.0.0.1", 443)
        context = self.client_context(*alpn, ca=ca)
        if name is None:
            context.check_hostname = False
        await writer.start_tls(context, server_hostname=name)
        return reader, writer


@asynccontextmanager
async def gate(tmp_path: Path, origin: Origin, *, scope: Scope | None = None, **changes) -> AsyncIterator[Gate]:
    """A gate whose way to PROVIDER and OTHER leads to the origin."""
    authority = create([PROVIDER, "api.openai.com"], NOW)
    ca = tmp_path / "gate-ca.pem"
    ca.write_bytes(authority.pem)
    seen, gaps = Recorder(), []
    wanted = scope or Scope(frozenset({PROVIDER}), covers=authority.covers)
    trusted = (f"ssl_verify_upstream_trusted_ca={origin.identity.ca}",) if origin.identity else ()
    detours = tuple(f"connect_to={host}=127.0.0.1:{origin.port}" for host in (PROVIDER, OTHER, "late.acme.example"))
    settings = launcher.Settings(
        changes.pop("minter", authority),
        lambda: wanted,
        **{"port": 0, "on_coverage": gaps.append, **changes, "sets": (*detours, *trusted, *changes.get("sets", ()))},
    )
    async with launcher.running(settings, [seen]) as listening:
        yield Gate(listening, authority, ca, origin, seen, gaps)


@asynccontextmanager
async def origin(tmp_path: Path, *protocols: str, greeting: bytes = b"", tls: bool = True) -> AsyncIterator[Origin]:
    """An origin for PROVIDER and OTHER."""
    identity = Identity.make(tmp_path / "origin", PROVIDER, OTHER, "late.acme.example", "127.0.0.1") if tls else None
    async with Origin(identity, protocols or ("h2", "http/1.1"), greeting=greeting) as server:
        yield server


async def until(condition, seconds: float = 20.0) -> None:
    """Waits until something is so; fails loudly when it never becomes so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
