"""What a TLS layer of ours makes of the network's bytes: held to mitmproxy's own, with a real handshake for each."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, layer, layers, tunnel
from OpenSSL import SSL

from load.origin import Identity
from spendgate.capture import openssl
from spendgate.capture.joined import JoiningTls
from spendgate.capture.options import Options


class Hears(layer.Layer):
    """Takes down what it is told."""

    def __init__(self, around: context.Context) -> None:
        super().__init__(around)
        self.heard: list[object] = []

    def _handle_event(self, event: events.Event) -> Iterator[commands.Command]:
        self.heard.append(event.data if isinstance(event, events.DataReceived) else type(event))
        yield from ()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's certificate with its key."""
    return Identity.make(tmp_path_factory.mktemp("identity"), "api.example").chain


def link(chain: Path) -> tuple[SSL.Connection, SSL.Connection]:
    """A client and a server that have shaken hands, and have nothing left to say."""
    serving = SSL.Context(SSL.TLS_METHOD)
    serving.use_certificate_chain_file(str(chain))
    serving.use_privatekey_file(str(chain))
    server, client = SSL.Connection(serving), SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                here.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65_535))
    with contextlib.suppress(SSL.WantReadError):
        client.recv(1)  # the tickets
    return client, server


def record(client: SSL.Connection, said: bytes) -> bytes:
    """What goes over the network for this."""
    client.sendall(said)
    return client.bio_read(1 << 20)


def goodbye(client: SSL.Connection) -> bytes:
    client.shutdown()
    return client.bio_read(1 << 20)


def spoiled(client: SSL.Connection) -> bytes:
    sent = record(client, b"spoiled")
    return sent[:-1] + bytes((sent[-1] ^ 1,))


SCRIPTS: dict[str, Callable[[SSL.Connection], list[bytes]]] = {
    "a record in a packet": lambda c: [record(c, b"one"), record(c, b"two")],
    "several in one packet": lambda c: [b"".join(record(c, each) for each in (b"one", b"two", b"three"))],
    "a long answer": lambda c: [record(c, bytes(range(256)) * 300)],
    "a byte at a time": lambda c: [bytes((each,)) for each in record(c, b"one") + record(c, b"two")],
    "one and a half": lambda c: [(both := record(c, b"one") + record(c, b"two"))[:-9], both[-9:] + record(c, b"three")],
    "a head without its body": lambda c: [(all_ := record(c, b"one") + record(c, b"two"))[:-26], all_[-26:]],
    "a goodbye": lambda c: [record(c, b"one"), goodbye(c)],
    "a goodbye behind the last": lambda c: [record(c, b"one") + goodbye(c)],
    "what is no record": lambda c: [record(c, b"one"), b"GET / HTTP/1.1\r\n\r\n"],
    "a spoiled record": lambda c: [record(c, b"one") + spoiled(c), record(c, b"two")],
    "nothing": lambda _: [b""],
}


def layer_of(kind: type[layers.tls.TLSLayer], server: SSL.Connection) -> layers.tls.TLSLayer:
    """The layer around an established link."""
    peer = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    tls = kind(context.Context(peer, Options()), peer)
    tls.tls, tls.tunnel_state = server, tunnel.TunnelState.OPEN
    return tls


def told(kind: type[layers.tls.TLSLayer], chain: Path, script: Callable[[SSL.Connection], list[bytes]]) -> list[object]:
    """What the layer inside hears, what the network is sent, and what is logged, packet by packet."""
    client, server = link(chain)
    tls = layer_of(kind, server)
    tls.child_layer = inside = Hears(tls.context)
    out: list[object] = []
    for packet in script(client):
        for command in tls.receive_data(packet):
            out.append(len(command.data) if isinstance(command, commands.SendData) else type(command))
        out.extend(inside.heard)
        out.append((tls.conn.state, len(packet)))
        inside.heard.clear()
    return out


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_the_same_as_mitmproxys(chain: Path, script: Callable[[SSL.Connection], list[bytes]]) -> None:
    """Each packet tells the layer inside what mitmproxy's own would, in one piece; alerts and faults included."""
    ours = told(JoiningTls, chain, script)
    assert ours == told(layers.tls.TLSLayer, chain, script)
    assert ours


def test_threads_do_not_read_into_one_another() -> None:
    """OpenSSL is left alone while it reads: another thread's reading goes elsewhere."""
    rooms = [openssl._ROOM.room]
    thread = threading.Thread(target=lambda: rooms.append(openssl._ROOM.room))
    thread.start()
    thread.join()
    assert rooms[0] != rooms[1]
    assert openssl._ROOM.room is rooms[0]


def test_what_is_put_down_is_all_there(chain: Path) -> None:
    """However long; the connection says how much of it is unread, and how much is unsent."""
    client, server = link(chain)
    sent = record(client, bytes(200_000))
    openssl.receive(server, b"")
    openssl.receive(server, sent)
    assert openssl.unread(server)
    got = b""
    while openssl.unread(server):
        got += openssl.read(server)
    assert got == bytes(200_000)
    with pytest.raises(SSL.WantReadError):
        openssl.read(server)
    assert openssl.sent(server) == b""


@pytest.mark.parametrize("kind", [JoiningTls, layers.tls.TLSLayer])
@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, openssl.ROOM_BYTES, 200_000])
def test_what_is_sent_arrives(chain: Path, kind: type[layers.tls.TLSLayer], size: int) -> None:
    """All of it, of any length, and from mitmproxy's own the same."""
    client, server = link(chain)
    said = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for command in layer_of(kind, server).send_data(said):
        assert isinstance(command, commands.SendData)
        openssl.receive(client, command.data)
    got = b""
    while openssl.unread(client):
        got += openssl.read(client)
    assert got == said


@pytest.mark.parametrize("kind", [JoiningTls, layers.tls.TLSLayer])
def test_nothing_is_sent_behind_a_goodbye(chain: Path, kind: type[layers.tls.TLSLayer]) -> None:
    """A side that has said goodbye says no more; what it was to say is a fault, as mitmproxy's own has it."""
    client, server = link(chain)
    server.shutdown()
    openssl.receive(client, server.bio_read(1 << 20))
    tls = layer_of(kind, server)
    with pytest.raises(SSL.Error, match="protocol is shutdown"):
        list(tls.send_data(b"late"))
