"""A real gate on loopback: what is tunnelled, what is metered whatever its first bytes, how it starts and how it ends."""

import asyncio
import errno
import hashlib
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from mitmproxy.proxy import layers
from mitmproxy.proxy import server as proxy_server

from capture.proxies import NOW, OTHER, PROVIDER, gate, origin, until
from load.client import Target, ask, run
from spendgate.capture import launcher
from spendgate.capture.ca import create
from spendgate.capture.coverage import Gap
from spendgate.capture.health import call_canary
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.scope import CANARY_HOST, INSTANCE_HEADER, Scope
from spendgate.capture.server import ITSELF
from spendgate.errors import StateError, UsageError

SECRET = b"canary-secret-in-a-prompt"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # what a gate may be told to listen on, and may be called by


def fingerprint(writer: asyncio.StreamWriter) -> str:
    return hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()


# What is not a provider's


@pytest.mark.parametrize("name", [pytest.param(OTHER, id="a bystander's name"), pytest.param(None, id="no name")])
async def test_a_bystander_sees_the_servers_own_certificate(tmp_path, name):
    """Tunnelled: certificate, key and bytes are the server's, and no addon hears of the connection."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(name, "http/1.1", ca=server.identity.ca, via=OTHER)
        assert fingerprint(writer) == server.identity.fingerprint
        assert SECRET not in await ask(reader, writer, OTHER, "/small", SECRET)
        writer.close()
        assert here.seen.hooks == []
        assert here.gaps == []


async def test_plain_http_of_a_bystander_passes_with_only_its_host_looked_at(tmp_path):
    """Through the explicit proxy: both directions stream, no addon behind sees flow, head or body."""
    async with origin(tmp_path, tls=False) as server, gate(tmp_path, server) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        body = SECRET * 50_000
        for _ in range(2):  # also the second request of a kept connection
            head = f"POST http://{OTHER}:{server.port}/echo HTTP/1.1\r\nHost: {OTHER}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            assert hashlib.sha256(body).hexdigest().encode() in await reader.readexactly(length)
        writer.close()
        assert here.seen.hooks == []


async def test_a_plain_connection_that_goes_through_connect_is_relayed_as_bytes(tmp_path):
    """CONNECT to port 80 of a bystander: not parsed at all, so that odd bytes arrive as they were sent."""
    async with origin(tmp_path, tls=False) as server, gate(tmp_path, server) as here:
        reader, writer = await here.tunnel(OTHER, server.port)
        writer.write(b"\r\nGET  /small  HTTP/1.1\r\nHost: bank.example\r\n\r\n".replace(b"  ", b" "))
        await reader.readuntil(b"\r\n\r\n")
        assert server.seen[0].startswith(b"\r\nGET /small HTTP/1.1\r\n")
        writer.close()
        assert here.seen.hooks == []


async def test_a_server_that_speaks_first_is_heard(tmp_path):
    """Mail, SSH and databases wait for no client: relayed at once."""
    async with origin(tmp_path, tls=False, greeting=b"220 hello\r\n") as server, gate(tmp_path, server) as here:
        reader, writer = await here.tunnel(OTHER, server.port)
        assert await asyncio.wait_for(reader.readline(), 20) == b"220 hello\r\n"
        writer.close()


async def test_an_upgraded_plain_connection_keeps_nothing(tmp_path):
    """A bystander's WebSocket through the explicit proxy: bytes flow, no message hook sees them."""

    async def upgrade(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        writer.write((await reader.readexactly(4))[::-1])
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_server(upgrade, "127.0.0.1", 0) as server,
        origin(tmp_path) as unused,
        gate(tmp_path, unused) as here,
    ):
        reader, writer = await asyncio.open_connection(*here.address)
        port = server.sockets[0].getsockname()[1]
        head = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nupgrade: websocket\r\n"
        writer.write((head + "connection: upgrade\r\nsec-websocket-version: 13\r\n\r\n").encode())
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ping")
        assert await asyncio.wait_for(reader.readexactly(4), 20) == b"gnip"
        writer.close()
        assert here.seen.hooks == []


# What is a provider's


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_a_provider_is_decrypted_with_a_leaf_of_ours(tmp_path, protocol):
    """The client trusts our CA alone, sees a certificate for exactly its name, and each call shows all hooks."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        target = Target(PROVIDER, (PROVIDER, 443), here.address, str(here.ca), http2=protocol == "h2")
        await run(target, "/small", 4, 2)
        assert server.requests == 4
        assert here.seen.hosts == [PROVIDER] * 4
        assert sorted(set(here.seen.hooks)) == ["request", "requestheaders", "response", "responseheaders"]


@pytest.mark.parametrize(
    ("pieces", "alpn"),
    [
        pytest.param([b"\r\n", b"POST /small HTTP/1.1\r\n"], ("http/1.1",), id="a leading CRLF"),
        pytest.param([b"P", b"OST /small HTTP/1.1\r\n"], ("http/1.1",), id="one letter in a packet of its own"),
        pytest.param([b"POST /small HTTP/1.1\r\n"], (), id="no ALPN"),
        pytest.param([b"post /small HTTP/1.1\r\n"], (), id="a method in lower case"),
    ],
)
async def test_odd_first_bytes_of_a_provider_connection_are_metered(tmp_path, pieces, alpn):
    """Whatever the first bytes are, the request shows in the hooks before the origin sees it."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(PROVIDER, *alpn)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(b"Host: api.anthropic.com\r\ncontent-length: 0\r\n\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert answer.startswith(b"HTTP/1.1 200")
        assert here.seen.hosts == [PROVIDER]
        assert server.requests == 1
        writer.close()


async def test_a_hello_in_packets_of_one_byte_is_still_read(tmp_path):
    """A hello is waited for as long as it may still name a provider."""
    async with origin(tmp_path, "http/1.1") as server, gate(tmp_path, server) as here:
        reader, writer = await here.tunnel(PROVIDER, 443)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        link = here.client_context("http/1.1").wrap_bio(incoming, outgoing, server_hostname=PROVIDER)
        done = False
        while not done:
            try:
                link.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            for byte in outgoing.read():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            if not done:
                incoming.write(await asyncio.wait_for(reader.read(65_536), 20))
        link.write(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write(outgoing.read())
        await until(lambda: "response" in here.seen.hooks)
        writer.close()
        assert here.seen.hosts == [PROVIDER]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x00\x01\x02\x03 not http\r\n\r\n", id="binary"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="ssh"),
    ],
)
async def test_what_is_not_http_on_a_provider_connection_is_closed_and_counted(tmp_path, sent):
    """No byte of it reaches the provider."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(PROVIDER)
        writer.write(sent)
        await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await until(lambda: here.gaps)
        assert [(gap.host, gap.gap) for gap in here.gaps] == [(PROVIDER, Gap.NOT_HTTP)]
        assert server.seen == []


@pytest.mark.parametrize("layer", [layers.HttpLayer, MeteredHttpLayer], ids=["stock", "metered"])
async def test_http2_without_alpn_goes_nowhere_and_is_counted(tmp_path, layer):
    """Its preface parses as a request named PRI: a failed exchange, never sent, and one gap that says why."""
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=layer) as here:
        reader, writer = await here.secure(PROVIDER)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert here.seen.hooks == ["requestheaders", "error"]
        assert server.seen == []
    assert [(gap.host, gap.gap) for gap in here.gaps] == [(PROVIDER, Gap.NO_ALPN)]


async def test_a_switch_to_a_protocol_without_a_meter_is_cut(tmp_path):
    """`101` to anything but a WebSocket on a provider connection ends it: what follows would pass as raw bytes."""

    async def upgrade(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
        await reader.read()
        writer.close()

    async with origin(tmp_path) as unused:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(unused.identity.chain)
        async with await asyncio.start_server(upgrade, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            detour = (f"connect_to={PROVIDER}=127.0.0.1:{port}",)
            async with gate(tmp_path, unused, sets=detour) as here:
                reader, writer = await here.secure(PROVIDER, "http/1.1")
                writer.write(b"GET /v1 HTTP/1.1\r\nHost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
                assert b"101" not in await asyncio.wait_for(reader.read(), 20)
                writer.close()
                assert "error" in here.seen.hooks


async def test_a_provider_named_by_connect_is_metered_in_plain_http_too(tmp_path):
    """`http://` inside CONNECT to a provider's name is readable already, so it is metered."""
    async with origin(tmp_path, tls=False) as server, gate(tmp_path, server) as here:
        reader, writer = await here.tunnel(PROVIDER, 80)
        await ask(reader, writer, PROVIDER, "/small")
        writer.close()
        assert "request" in here.seen.hooks


@pytest.mark.parametrize(
    ("name", "via", "gap"),
    [
        pytest.param(None, PROVIDER, Gap.NO_SNI, id="no name"),
        pytest.param(OTHER, PROVIDER, Gap.OTHER_NAME, id="another name"),
        pytest.param("late.acme.example", None, Gap.OUTSIDE_CA, id="added after the CA was made"),
    ],
)
async def test_a_provider_connection_that_cannot_be_read_is_counted(tmp_path, name, via, gap):
    """It is tunnelled with the server's own certificate, and said why."""
    scope = Scope(frozenset({PROVIDER, "late.acme.example"}), covers=lambda host: host == PROVIDER)
    async with origin(tmp_path) as server, gate(tmp_path, server, scope=scope) as here:
        _, writer = await here.secure(name, ca=server.identity.ca, via=via)
        assert fingerprint(writer) == server.identity.fingerprint
        writer.close()
        assert [event.gap for event in here.gaps] == [gap]


async def test_a_client_that_refuses_our_certificate_is_counted(tmp_path):
    """The alert is the only thing that tells an admin which tool lacks the CA."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        with pytest.raises(ssl.SSLError):
            await here.secure(PROVIDER, ca=server.identity.ca)
        await until(lambda: here.gaps)
        assert here.gaps[0].gap is Gap.TRUST_REFUSED


async def test_a_client_that_leaves_after_the_handshake_is_counted(tmp_path):
    """Bun finishes the handshake before it judges the certificate."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        _, writer = await here.secure(PROVIDER, "http/1.1")
        writer.close()
        await until(lambda: here.gaps)
        assert here.gaps[0].gap is Gap.TRUST_SUSPECTED


async def test_an_upstream_that_is_not_the_provider_gets_nothing(tmp_path):
    """A server without a trusted certificate for the name sees no request; the client gets an error."""
    async with origin(tmp_path / "impostor") as impostor, origin(tmp_path) as server:
        away = (f"connect_to={PROVIDER}=127.0.0.1:{impostor.port}",)
        async with gate(tmp_path, server, sets=away) as here:
            reader, writer = await here.secure(PROVIDER, "http/1.1")
            writer.write(b"GET /small HTTP/1.1\r\nHost: x\r\nauthorization: " + SECRET + b"\r\n\r\n")
            assert b" 502 " in await asyncio.wait_for(reader.readline(), 20)
            writer.close()
            assert impostor.seen == []


# The gate is no destination


@pytest.mark.parametrize(
    ("listening", "named"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", id="as it listens"),
        pytest.param("127.0.0.1", EVERYWHERE, id="the wildcard"),
        pytest.param("127.0.0.1", "127.1", id="short"),
        pytest.param("127.0.0.1", "2130706433", id="one number"),
        pytest.param("127.0.0.1", "[::ffff:127.0.0.1]", id="IPv4 in IPv6"),
        pytest.param("127.0.0.1", "localhost", id="a name"),
        pytest.param(EVERYWHERE, "127.0.0.1", id="listens everywhere"),
        pytest.param(EVERYWHERE, socket.gethostname(), id="the machine's own name"),
    ],
)
async def test_the_gate_does_not_connect_to_itself(tmp_path, listening, named):
    """By whatever name: a tunnel and a plain request get an error, and only the asking connection was ever accepted."""
    async with origin(tmp_path) as server, gate(tmp_path, server, host=listening) as here:
        port = here.address[1]
        for asked in (f"CONNECT {named}:{port}", f"GET http://{named}:{port}/"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{asked} HTTP/1.1\r\nHost: {named}:{port}\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(2_000), 20)
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert ITSELF.encode() in answer
            writer.close()


async def test_another_address_with_the_gates_port_is_no_loop(tmp_path):
    """Many programs listen on 8080: only this one's own address is refused."""

    async def greet(reader, writer):
        writer.write(b"hi")
        await reader.read()
        writer.close()

    async with origin(tmp_path) as unused, gate(tmp_path, unused) as here:
        try:
            other = await asyncio.start_server(greet, "127.0.0.2", here.address[1])
        except OSError:
            pytest.skip("only Linux has all of 127.0.0.0/8")
        async with other:
            reader, writer = await here.tunnel("127.0.0.2", here.address[1])
            assert await asyncio.wait_for(reader.readexactly(2), 20) == b"hi"
            writer.close()


@pytest.mark.parametrize(
    "host", ["127.1:{}", "localhost:{}", "api.anthropic.com", ""], ids=["us", "by name", "a provider", "none"]
)
async def test_a_request_for_an_origin_is_not_followed(tmp_path, host):
    """Only a path and a Host, as web pages send it: 400, no addon sees it, and the answer names no software."""
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        writer.write(f"GET / HTTP/1.1\r\nHost: {host.format(here.address[1])}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"HTTPS_PROXY" in answer
        assert b"mitmproxy" not in answer
        assert here.seen.hooks == []


# Modes, listeners, ends


async def test_several_modes_listen_at_once(tmp_path):
    """regular, socks5 and reverse in one gate, each with a free port, all metered."""
    async with origin(tmp_path, "http/1.1") as server:
        modes = ("regular", "socks5", f"reverse:https://{PROVIDER}")
        async with gate(tmp_path, server, modes=modes) as here:
            ports = [listener.addresses[0][1] for listener in here.listening.listeners]
            assert len(set(ports)) == 3
            reader, writer = await here.secure(PROVIDER, "http/1.1")
            await ask(reader, writer, PROVIDER, "/small")
            writer.close()

            reader, writer = await asyncio.open_connection("127.0.0.1", ports[1])
            writer.write(
                b"\x05\x01\x00" + b"\x05\x01\x00\x03" + bytes([len(PROVIDER)]) + PROVIDER.encode() + b"\x01\xbb"
            )
            await reader.readexactly(2 + 10)
            await writer.start_tls(here.client_context("http/1.1"), server_hostname=PROVIDER)
            await ask(reader, writer, PROVIDER, "/small")
            writer.close()

            reader, writer = await asyncio.open_connection("127.0.0.1", ports[2])
            await ask(reader, writer, "localhost", "/small")
            writer.close()
            assert here.seen.hooks.count("request") == 3
            assert server.requests == 3


@pytest.mark.parametrize(
    "mode", ["wireguard", "dns", "tun", "nonsense", "reverse:https://bank.example", "reverse:tcp://api.anthropic.com:1"]
)
async def test_a_mode_that_would_not_be_metered_is_wrong_usage(mode):
    """Refused before anything listens."""
    settings = launcher.Settings(create([PROVIDER], NOW), lambda: Scope(frozenset({PROVIDER})), modes=(mode,))
    with pytest.raises(UsageError, match=mode.split(":", maxsplit=1)[0]):
        async with launcher.running(settings, []):
            pass


@pytest.mark.parametrize(
    "mode", ["upstream", "upstream:", "upstream:http://", "upstream:@8081", "reverse:", "reverse:https://"]
)
async def test_a_mode_without_its_host_names_what_to_write(mode):
    """The message has the form that is wanted, not the parser's word for the one that is not."""
    settings = launcher.Settings(create([PROVIDER], NOW), lambda: Scope(frozenset({PROVIDER})), modes=(mode,))
    with pytest.raises(UsageError, match=rf"^--mode {mode}: names no host; write --mode {mode[:7]}.*HOST"):
        async with launcher.running(settings, []):
            pass


@pytest.mark.parametrize(
    ("mode", "remedy"),
    [
        pytest.param("regular", "--port", id="--port"),
        pytest.param("regular@{}", "--mode regular@PORT", id="the mode's own"),
        pytest.param("transparent@127.0.0.1:{}", "--port", id="transparent, whose port is the rules', too"),
    ],
)
async def test_a_taken_port_is_said_in_one_sentence(mode, remedy, caplog):
    """mitmproxy only logs it and goes on; here it is an error with one cause and one remedy, and nothing is logged."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        modes = (mode.format(port),)
        settings = launcher.Settings(create([PROVIDER], NOW), lambda: Scope(frozenset()), modes=modes, port=port)
        with pytest.raises(StateError) as caught:
            async with launcher.running(settings, []):
                pass
    cause = os.strerror(errno.EADDRINUSE)
    assert str(caught.value) == f"port {port} of 127.0.0.1 cannot be listened on: {cause}; choose another with {remedy}"
    assert caplog.text == ""


async def test_the_gate_listens_on_loopback_with_a_long_queue(tmp_path):
    """No other machine can reach it; a burst of connections waits instead of being refused."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        assert here.address[0] == "127.0.0.1"
        listing = subprocess.run(
            ["ss", "-ltnH", f"sport = :{here.address[1]}"], capture_output=True, text=True, check=False
        )
        if listing.returncode == 0 and listing.stdout:
            assert int(listing.stdout.split()[2]) == min(4096, int(Path("/proc/sys/net/core/somaxconn").read_text()))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft >= min(hard, launcher.FILES)


async def test_a_quiet_connection_is_given_a_day(tmp_path, monkeypatch):
    """mitmproxy cuts after ten minutes by default; here its clock is moved by fifteen, and the connection still answers."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(PROVIDER, "http/1.1")
        await ask(reader, writer, PROVIDER, "/small")
        handlers = [h for h in asyncio.all_tasks() if "timeout watchdog" in h.get_name()]
        assert handlers
        real = proxy_server.time.time
        monkeypatch.setattr(proxy_server.time, "time", lambda: real() + 900)
        await ask(reader, writer, PROVIDER, "/small")
        assert all(not task.done() for task in handlers)
        writer.close()


async def test_a_timeout_that_is_asked_for_holds(tmp_path):
    """The counter-proof: with one second the same connection is cut."""
    async with origin(tmp_path) as server, gate(tmp_path, server, sets=("tcp_timeout=1",)) as here:
        reader, writer = await here.secure(PROVIDER, "http/1.1")
        await ask(reader, writer, PROVIDER, "/small")
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()


async def test_two_hundred_connections_at_once(tmp_path):
    """All are answered, none is dropped."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        target = Target(PROVIDER, (PROVIDER, 443), here.address, str(here.ca))
        result = await run(target, "/small", 200, 200)
        assert len(result.latencies) == 200
        assert server.requests == 200


async def test_the_canary_is_answered_by_this_gate(tmp_path):
    """Health is a call that went the whole way: listener, leaf, HTTP. It shows in no hook and leaves no gap."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(CANARY_HOST, "http/1.1")
        writer.write(f"GET / HTTP/1.1\r\nHost: {CANARY_HOST}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert f"{INSTANCE_HEADER}: {here.listening.instance}".encode() in answer.lower()
        writer.close()
        assert (here.seen.hooks, here.gaps, server.requests) == ([], [], 0)


async def test_health_is_asked_of_each_listener(tmp_path):
    """Each way that captures answers with this gate's instance; a listener of somebody else's answers nothing."""
    async with origin(tmp_path) as server, gate(tmp_path, server, modes=("regular", "socks5")) as here:
        root = here.authority.pem.decode()
        for listener in here.listening.listeners:
            assert await call_canary(listener.mode, listener.addresses[0], root) == here.listening.instance
        stranger = create([PROVIDER], NOW).pem.decode()
        assert await call_canary("regular", here.address, stranger) is None
        assert await call_canary("regular", ("127.0.0.1", server.port), root, timeout_s=2) is None
        with pytest.raises(ValueError, match="reverse"):
            await call_canary("reverse:https://x", here.address, root)


async def test_detours_are_said_aloud(tmp_path):
    """Who starts a gate that sends a provider's traffic elsewhere is told so."""
    async with (
        origin(tmp_path) as server,
        gate(tmp_path, server, sets=("ssl_insecure=upstreams-are-not-verified",)) as here,
    ):
        assert f"connect_to: {PROVIDER} goes to 127.0.0.1:{server.port}" in here.listening.notices
        assert any("not verified" in notice for notice in here.listening.notices)


async def test_a_stop_ends_open_calls_with_their_error_hook(tmp_path):
    """A stream that is under way when the gate stops is settled, since its `error` hook comes."""
    async with origin(tmp_path) as server:
        async with gate(tmp_path, server) as here:
            reader, writer = await here.secure(PROVIDER, "http/1.1")
            writer.write(b"GET /events/1000/50 HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"\n\n"), 20)
        assert here.seen.hooks[-1] == "error"
        writer.close()


PROGRAM = """
import asyncio, datetime, sys
from spendgate.capture import ca, launcher
from spendgate.capture.scope import Scope
authority = ca.create(["api.anthropic.com"], datetime.datetime.now(datetime.UTC))
settings = launcher.Settings(authority, lambda: Scope(frozenset({"api.anthropic.com"})), port=0)
asyncio.run(launcher.serve(settings, [], lambda listening: print("ready", listening.address[1], flush=True)))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_gate_in_order(tmp_path, number):
    """Exit 0 with an open connection, nothing on stderr, no file left, and no TLS secrets logged."""
    keylog = tmp_path / "keys.log"
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths, "SSLKEYLOGFILE": str(keylog), "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline().split()[1])
        with socket.create_connection(("127.0.0.1", port)):
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "ended\n", "")
    assert list(tmp_path.iterdir()) == []
