"""UDP, as local capture sees it: QUIC to a provider is ended so that the client uses TCP; the rest passes."""

import asyncio

import pytest
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, layers, mode_specs
from mitmproxy.tls import ClientHello

from spendgate.attribution import BROWSER, NOBODY, Peer
from spendgate.capture import next_layer
from spendgate.capture.coverage import Gap, Watch
from spendgate.capture.options import Options
from spendgate.capture.scope import Hello, Scope

SCOPE = Scope(frozenset({"api.anthropic.com"}), frozenset({"bridge.claudeusercontent.com"}))


def datagrams(port: int, transport: str = "udp") -> context.Context:
    client = connection.Client(peername=("127.0.0.1", 5000), sockname=("192.0.2.9", port), timestamp_start=0)
    client.transport_protocol, client.proxy_mode = transport, mode_specs.ProxyMode.parse("local")
    made = context.Context(client, Options())
    made.server.address = ("192.0.2.9", port)
    made.layers.append(layers.modes.TransparentProxy.__new__(layers.modes.TransparentProxy))
    return made


@pytest.mark.parametrize(
    ("port", "name", "kind", "gaps"),
    [
        pytest.param(443, "api.anthropic.com", next_layer.Closed, [Gap.QUIC], id="QUIC to a provider"),
        pytest.param(443, "API.Anthropic.com.", next_layer.Closed, [Gap.QUIC], id="however it is written"),
        pytest.param(443, "bank.example", layers.UDPLayer, [], id="QUIC to a bystander"),
        pytest.param(443, None, layers.UDPLayer, [], id="not QUIC"),
        pytest.param(53, None, layers.DNSLayer, [], id="DNS"),
    ],
)
def test_only_a_providers_quic_is_ended(monkeypatch, port, name, kind, gaps):
    """By the name in its hello; it is counted, and nothing of a bystander is parsed further."""

    def parse(sent: list[bytes]) -> ClientHello | None:
        if name is None:
            raise ValueError
        hello = ClientHello.__new__(ClientHello)
        monkeypatch.setattr(ClientHello, "sni", property(lambda self: name))
        return hello

    monkeypatch.setattr(next_layer, "quic_parse_client_hello_from_datagrams", parse)
    counted = []
    addon = next_layer.NextLayer(lambda: SCOPE, Watch(), counted.append, layers.HttpLayer)
    chosen = addon._choose(datagrams(port), b"\xc0" + b"\0" * 40, b"")
    assert isinstance(chosen, kind)
    assert [event.gap for event in counted] == gaps


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("bank.example", [("192.0.2.9", True)]),
        ("API.Anthropic.com.", []),
        ("bridge.claudeusercontent.com", []),
        (None, [("192.0.2.9", False)]),
    ],
)
def test_addresses_of_other_hosts_are_noted(monkeypatch, name, noted):
    """What is named there is no provider's: nothing there is held while the gate is gone. A hello without a name says nothing."""
    monkeypatch.setattr(next_layer, "starts_like_tls_record", lambda _: True)
    monkeypatch.setattr(next_layer, "_read_hello", lambda _: Hello(name))
    seen = []
    addon = next_layer.NextLayer(
        lambda: SCOPE, Watch(), [].append, layers.HttpLayer, others=lambda *told: seen.append(told)
    )
    addon._choose(datagrams(443, "tcp"), b"\x16\x03\x01", b"")
    assert seen == noted


@pytest.mark.parametrize(
    ("name", "peer", "gaps"),
    [
        pytest.param("bank.example", NOBODY, [Gap.AT_ADDRESS], id="another name"),
        pytest.param(None, NOBODY, [Gap.NO_SNI], id="no name"),
        pytest.param("bank.example", Peer(uid=1, browser=BROWSER), [], id="a browser opens another site of the CDN"),
    ],
)
async def test_another_name_at_a_providers_address_is_counted(monkeypatch, name, peer, gaps):
    """Under the provider's host, once the process is known, for which the connection does not wait; with whose it was when it
    opened, since it may have ended."""
    monkeypatch.setattr(next_layer, "starts_like_tls_record", lambda _: True)
    monkeypatch.setattr(next_layer, "_read_hello", lambda _: Hello(name))
    found, counted = asyncio.Event(), []

    async def whose(connection_id: str) -> Peer:
        await found.wait()
        return peer

    addon = next_layer.NextLayer(
        lambda: SCOPE, Watch(), counted.append, layers.HttpLayer, whose=whose, others=lambda *_: "api.anthropic.com"
    )
    chosen = addon._choose(datagrams(443, "tcp"), b"\x16\x03\x01", b"")
    assert isinstance(chosen, layers.TCPLayer)
    assert counted == []
    found.set()
    await asyncio.gather(*addon._counting)
    told = [(event.host, event.gap, event.peer) for event in counted]
    assert told == [("api.anthropic.com", gap, peer) for gap in gaps]


def test_a_closed_layer_ends_the_connection():
    """At once, and it says nothing more."""
    closed = next_layer.Closed(datagrams(443))
    assert [type(command) for command in closed.handle_event(events.Start())] == [commands.CloseConnection]
    assert list(closed.handle_event(events.DataReceived(closed.context.client, b"x"))) == []
