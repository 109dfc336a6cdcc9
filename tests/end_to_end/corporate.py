"""A company's network, as a program: its forward proxy, which wants a user and password, and its TLS inspector.

The proxy tunnels CONNECT and forwards plain `http://`, answers 407 without the right credentials, and writes a line of JSON for
each request: method, target, status. As an inspector it ends the TLS of what it tunnels with a certificate of its own authority
and speaks to the true server itself; `--silent` is one that nobody is pointed at: it takes TLS from the first byte.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

READ_BYTES = 65_536
BASIC = base64.b64encode


@dataclass
class Network:
    """What one program does."""

    credentials: str
    log: Path
    leads: dict[str, tuple[str, int]]
    """Where names lead; others lead to themselves."""
    inspector: ssl.SSLContext | None
    beyond: ssl.SSLContext | None
    silent: bool

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        try:
            if self.silent:
                await self._inspected(reader, writer, next(iter(self.leads)), 443)
                return
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            wanted = f"\r\nproxy-authorization: basic {BASIC(self.credentials.encode()).decode()}\r\n".lower()
            status = 200 if not self.credentials or wanted in head.decode().lower() else 407
            with self.log.open("a") as file:
                file.write(json.dumps({"method": method, "target": target, "status": status}) + "\n")
            if status == 407:
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=acme\r\n"
                    b"content-length: 0\r\nconnection: close\r\n\r\n"
                )
                await writer.drain()
            elif method == "CONNECT":
                host, _, port = target.rpartition(":")
                await self._tunnelled(reader, writer, host.strip("[]"), int(port))
            else:
                await self._forwarded(reader, writer, head, target)
        except (OSError, asyncio.IncompleteReadError):
            return  # who leaves is everyday
        finally:
            writer.close()

    async def _tunnelled(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        if self.inspector is not None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await self._inspected(reader, writer, host, port)
            return
        there = await asyncio.open_connection(*self.leads.get(host, (host, port)))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await _joined(reader, writer, *there)

    async def _inspected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
    ) -> None:
        assert self.inspector is not None
        await writer.start_tls(self.inspector)
        address = self.leads.get(host, (host, port))
        there = await asyncio.open_connection(*address, ssl=self.beyond, server_hostname=host)
        await _joined(reader, writer, *there)

    async def _forwarded(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, target: str
    ) -> None:
        url = urlsplit(target)
        there = await asyncio.open_connection(*self.leads.get(url.hostname or "", (url.hostname, url.port or 80)))
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"proxy-authorization:")]
        there[1].write(b"\r\n".join([lines[0].replace(target.encode(), url.path.encode()), *lines[1:]]))
        await _joined(reader, writer, *there)


async def _joined(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamReader, out: asyncio.StreamWriter
) -> None:
    await asyncio.gather(_pipe(reader, out), _pipe(back, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@dataclass(frozen=True)
class Running:
    """Where it listens, and what it has been asked."""

    host: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def asked(self) -> list[tuple[str, str, int]]:
        """Method, target and the status that it answered, of each request."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(row["method"], row["target"], row["status"]) for row in map(json.loads, lines)]


@contextlib.contextmanager
def company(log: Path, *words: str, host: str = "127.0.0.1", before: tuple[str, ...] = ()) -> Iterator[Running]:
    """It runs, with these options; `before` are words that start it somewhere else."""
    command = [*before, sys.executable, __file__, "--host", host, "--log", str(log), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ""}) as program:
        assert program.stdout is not None
        try:
            yield Running(host, int(program.stdout.readline()), log)
        finally:
            program.terminate()


def _lead(text: str) -> tuple[str, tuple[str, int]]:
    name, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    return name, (host, int(port))


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--credentials", default="", help="USER:PASSWORD")
    parser.add_argument("--lead", type=_lead, action="append", default=[], help="NAME=ADDRESS:PORT")
    parser.add_argument("--chain", help="the inspector's certificate and key")
    parser.add_argument("--trusts", help="whom the inspector trusts")
    parser.add_argument("--tls", help="its own certificate and key, for clients that speak TLS to it")
    parser.add_argument("--silent", action="store_true")
    said = parser.parse_args()
    inspector = beyond = None
    if said.chain:
        inspector = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inspector.load_cert_chain(said.chain)
        beyond = ssl.create_default_context(cafile=said.trusts)
    network = Network(said.credentials, said.log, dict(said.lead), inspector, beyond, said.silent)
    outer = None
    if said.tls:
        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.load_cert_chain(said.tls)
    server = await asyncio.start_server(network.serve, said.host, said.port, ssl=outer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
