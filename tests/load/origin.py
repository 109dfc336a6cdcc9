"""A small real origin server for tests and benchmarks: TLS or plain, HTTP/1.1 and HTTP/2, asyncio, one process.

Paths: `/small` answers 300 bytes of JSON; `/events/N/MS` a stream of N server-sent events, MS milliseconds apart (0: at once);
`/echo` the SHA-256 and the length of the request's body; `/bytes/N` N bytes. Run as a program it prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SMALL = (
    b'{"id":"msg_1","type":"message","content":[{"type":"text","text":"'
    + b"x" * 200
    + b'"}],"usage":{"input_tokens":9}}'
)


KEY_USAGES = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)


@dataclass(frozen=True)
class Identity:
    """A throwaway CA, and a server certificate of its own for some names. PEM, in files."""

    ca: Path
    chain: Path
    fingerprint: str

    @classmethod
    def make(cls, directory: Path, *names: str) -> Identity:
        now = datetime.datetime.now(datetime.UTC)
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "origin test CA")])

        identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())

        def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(ca_name)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=30))
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
                )
            )

        ca = build(ca_name, ca_key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(*(name == "keyCertSign" for name in KEY_USAGES))
        root = ca.add_extension(usage, critical=True).sign(ca_key, SHA256())
        alternatives = [_general_name(name) for name in names]
        leaf = (
            build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key())
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(ca_key, SHA256())
        )
        directory.mkdir(parents=True, exist_ok=True)
        ca_file, chain_file = directory / "origin-ca.pem", directory / "origin.pem"
        ca_file.write_bytes(root.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain_file.write_bytes(secret + leaf.public_bytes(Encoding.PEM))
        return cls(ca_file, chain_file, leaf.fingerprint(SHA256()).hex())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Origin:
    """A running server. `requests` counts what was asked; `seen` keeps the first bytes of each connection."""

    identity: Identity | None
    protocols: tuple[str, ...] = ("h2", "http/1.1")
    greeting: bytes = b""
    """Sent before the client says anything."""
    requests: int = 0
    resumed: int = 0
    seen: list[bytes] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, port: int = 0) -> Origin:
        context = None
        if self.identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.identity.chain)
            if self.protocols:
                context.set_alpn_protocols(list(self.protocols))
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def __aenter__(self) -> Origin:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.greeting:
                writer.write(self.greeting)
            secured = writer.get_extra_info("ssl_object")
            self.resumed += bool(secured is not None and secured.session_reused)
            if secured is not None and secured.selected_alpn_protocol() == "h2":
                await _Http2(self, reader, writer).run()
            else:
                await self._http1(reader, writer)
        except (OSError, asyncio.IncompleteReadError, h2.exceptions.ProtocolError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _http1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as rest:
                if rest.partial:
                    self.seen.append(rest.partial)
                return
            self.seen.append(head)
            self.requests += 1
            method, path, _ = head.lstrip(b"\r\n").split(b"\r\n", 1)[0].split(b" ", 2)
            body = b""
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    body = await reader.readexactly(int(line.split(b":")[1]))
            kind, chunks = answer(path.decode(), body)
            if kind == "application/json":
                content = b"".join([chunk async for chunk in chunks])
                length = b"content-length: %d\r\n\r\n" % len(content)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + length + content * (method != b"HEAD")
                )
            else:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                async for chunk in chunks:
                    writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            await writer.drain()


class _Http2:
    def __init__(self, origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.origin, self.reader, self.writer = origin, reader, writer
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.asked: dict[int, tuple[str, bytearray]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.room = asyncio.Event()

    async def run(self) -> None:
        self.conn.initiate_connection()
        self.writer.write(self.conn.data_to_send())
        while data := await self.reader.read(65_536):
            for event in self.conn.receive_data(data):
                self._on(event)
            self.writer.write(self.conn.data_to_send())
            await self.writer.drain()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.asked[event.stream_id] = (dict(event.headers)[":path"], bytearray())
        elif isinstance(event, h2.events.DataReceived):
            self.asked[event.stream_id][1].extend(event.data)
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated):
            self.room.set()
        elif isinstance(event, h2.events.StreamEnded):
            path, body = self.asked.pop(event.stream_id)
            self.origin.requests += 1
            task = asyncio.ensure_future(self._answer(event.stream_id, path, bytes(body)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer(self, stream: int, path: str, body: bytes) -> None:
        kind, chunks = answer(path, body)
        self.conn.send_headers(stream, [(":status", "200"), ("content-type", kind)])
        async for chunk in chunks:
            rest = chunk
            while rest:
                size = min(len(rest), self.conn.local_flow_control_window(stream), self.conn.max_outbound_frame_size)
                if size == 0:
                    self.room.clear()
                    self.writer.write(self.conn.data_to_send())
                    await self.room.wait()
                    continue
                self.conn.send_data(stream, rest[:size])
                rest = rest[size:]
            self.writer.write(self.conn.data_to_send())
            await self.writer.drain()
        self.conn.end_stream(stream)
        self.writer.write(self.conn.data_to_send())


def answer(path: str, body: bytes) -> tuple[str, AsyncIterator[bytes]]:
    """The content type and the chunks of a path's answer."""
    words = path.split("/")
    if words[1] == "events":
        return "text/event-stream", _events(int(words[2]), int(words[3]) / 1000)
    if words[1] == "bytes":
        return "application/json", _once(b"b" * int(words[2]))
    if words[1] == "echo":
        return "application/json", _once(
            b'{"sha256":"%s","length":%d}' % (hashlib.sha256(body).hexdigest().encode(), len(body))
        )
    return "application/json", _once(SMALL)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _events(count: int, pause_s: float) -> AsyncIterator[bytes]:
    for number in range(count):
        if pause_s:
            await asyncio.sleep(pause_s)
        text = "word " * 8
        yield f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{number},"text":"{text}"}}\n\n'.encode()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "origin")
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--http1", action="store_true")
    wanted = parser.parse_args()
    identity = Identity.make(wanted.directory, *(wanted.name or ["api.anthropic.com"]))
    origin = await Origin(identity, ("http/1.1",) if wanted.http1 else ("h2", "http/1.1")).start(wanted.port)
    print(origin.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
