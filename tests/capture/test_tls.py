"""The contexts behind the handshakes: leaves that are renewed, protocols that are mirrored, sessions that are resumed."""

import asyncio
import os
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from capture.proxies import NOW, PROVIDER, gate, origin, until
from load.client import ask
from spendgate.capture import tls, trust
from spendgate.capture.ca import Leaf, create
from spendgate.capture.coverage import Gap
from spendgate.capture.launcher import Gatehouse, Settings
from spendgate.capture.scope import Scope
from spendgate.errors import StateError


@pytest.mark.parametrize(
    ("server", "http2", "offered", "chosen"),
    [
        pytest.param(b"h2", True, [b"h2", b"http/1.1"], b"h2", id="mirrored"),
        pytest.param(b"http/1.1", True, [b"h2", b"http/1.1"], b"http/1.1", id="the upstream has no HTTP/2"),
        pytest.param(b"", True, [b"h2", b"http/1.1"], None, id="the upstream chose none"),
        pytest.param(b"h2", True, [b"http/1.1"], None, id="not offered"),
        pytest.param(None, True, [b"spdy", b"http/1.1", b"h2"], b"http/1.1", id="no upstream: the client's order"),
        pytest.param(None, False, [b"h2", b"http/1.1"], b"http/1.1", id="HTTP/2 turned off"),
        pytest.param(None, True, [b"acme-tls/1"], None, id="nothing that is HTTP"),
    ],
)
def test_the_clients_protocol_is_the_upstreams(server, http2, offered, chosen):
    """A client never speaks a protocol that the provider does not."""
    assert tls.Alpn(server, http2).choose(offered) == chosen


class Counting:
    """A minter that counts."""

    def __init__(self) -> None:
        self.authority, self.made = create([PROVIDER, "*.ai.acme.example"], NOW), 0

    def covers(self, host: str) -> bool:
        return self.authority.covers(host)

    def why_not(self, host: str) -> Gap:
        return self.authority.why_not(host)

    def still_good(self, leaf, now) -> bool:
        return self.authority.still_good(leaf, now)

    def leaf(self, host, now) -> Leaf:
        self.made += 1
        return self.authority.leaf(host, now)


@pytest.fixture
async def addon():
    """The TLS addon with a clock that the test moves."""
    minter, clock = Counting(), [NOW]
    Gatehouse(Settings(minter, lambda: Scope(frozenset())))  # sets mitmproxy's options
    made = tls.GateTls(minter, lambda: clock[0])
    yield made, minter, clock


async def test_a_leaf_is_minted_once_and_anew_at_half_of_its_life(addon):
    """The same context until then; also anew when the clock was set back before the leaf's birth."""
    made, minter, clock = addon
    settings = made._now_set()
    first = made._context(PROVIDER, settings)
    clock[0] = NOW + timedelta(days=12)
    assert made._context(PROVIDER, settings) is first
    clock[0] = NOW + timedelta(days=14)
    assert made._context(PROVIDER, settings) is not first
    clock[0] = NOW - timedelta(days=3)
    made._context(PROVIDER, settings)
    assert minter.made == 3


async def test_the_leaves_kept_are_bounded(addon, monkeypatch):
    """A wildcard's names cannot fill the memory; the name in use stays."""
    made, minter, _ = addon
    monkeypatch.setattr(tls, "LEAVES_MAX", 4)
    settings = made._now_set()
    for number in range(8):
        made._context(f"n{number}.ai.acme.example", settings)
        made._context(PROVIDER, settings)
    assert len(made._leaves) == 4
    assert minter.made == 9


@pytest.mark.parametrize("name", [None, "bank.example"])
async def test_there_is_no_context_for_a_name_that_is_not_covered(addon, name):
    """Without one mitmproxy ends the connection: a certificate that clients must refuse is never made."""
    made, minter, _ = addon

    class Data:
        ssl_conn, is_dtls = None, False

        class conn:  # noqa: N801  # the shape of mitmproxy's own
            sni = name

    made.tls_start_client(Data)
    assert Data.ssl_conn is None
    assert minter.made == 0


@pytest.mark.parametrize("name", ["API.Anthropic.com", "API.ANTHROPIC.COM", "api.anthropic.com."])
async def test_a_host_is_the_same_however_its_name_is_written(tmp_path, name):
    """In any case, and with the root's dot, though no hello may have it: the same leaf, a verified provider, no gap."""
    async with origin(tmp_path, "http/1.1") as server, gate(tmp_path, server) as here:
        reader, writer = await here.tunnel(name, 443)
        context = here.client_context("http/1.1")
        context.check_hostname = not name.endswith(".")  # the dot is the client's to take off, and Python leaves it
        await writer.start_tls(context, server_hostname=name)
        assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", PROVIDER),)
        await ask(reader, writer, name, "/small")
        writer.close()
        assert (server.requests, here.seen.hosts, here.gaps) == (1, [PROVIDER], [])


async def test_a_name_without_a_certificate_is_said_so(tmp_path):
    """Where there is no leaf the connection ends, and the client is not said to have refused one."""
    async with (
        origin(tmp_path) as server,
        gate(tmp_path, server, scope=Scope(frozenset({"late.acme.example"}))) as here,
    ):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await here.secure("late.acme.example")
        await until(lambda: here.gaps)
        assert [(event.host, event.gap) for event in here.gaps] == [("late.acme.example", Gap.NO_CERTIFICATE)]


async def test_a_second_connection_resumes_the_upstreams_session(tmp_path):
    """One full handshake with the provider; the next offers its ticket, and is verified as the first was."""
    async with origin(tmp_path, "http/1.1") as server, gate(tmp_path, server) as here:
        resumed = []
        for _ in range(3):
            reader, writer = await here.secure(PROVIDER, "http/1.1")
            await ask(reader, writer, PROVIDER, "/small")
            writer.close()
            resumed.append(server.resumed)
        assert resumed[0] == 0
        assert resumed[-1] >= 1


async def test_a_client_resumes_our_session(tmp_path):
    """Tickets of ours work, so a tool's second connection needs no signature."""
    async with origin(tmp_path, "http/1.1") as server, gate(tmp_path, server) as here:
        context = here.client_context("http/1.1")

        def call(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
            with socket.create_connection(here.address) as raw:
                raw.sendall(f"CONNECT {PROVIDER}:443 HTTP/1.1\r\nHost: {PROVIDER}\r\n\r\n".encode())
                raw.recv(4096)
                with context.wrap_socket(raw, server_hostname=PROVIDER, session=session) as link:
                    link.sendall(f"GET /small HTTP/1.1\r\nHost: {PROVIDER}\r\n\r\n".encode())
                    link.recv(4096)  # TLS 1.3 sends its tickets with the first answer
                    return link.session, bool(link.session_reused)

        session, reused = await asyncio.to_thread(call, None)
        assert not reused
        assert (await asyncio.to_thread(call, session))[1]


def test_the_environment_names_the_trust_store():
    """As for every OpenSSL program."""
    assert trust.os_trust({"SSL_CERT_FILE": "/x.pem"}) == trust.Trust(file="/x.pem")
    assert trust.os_trust({"SSL_CERT_DIR": "/x"}) == trust.Trust(directory="/x")


def test_the_systems_own_store_is_found(monkeypatch):
    """OpenSSL's own or a known one; not certifi's, which knows nothing of the company's own inspection."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if os.name != "posix" or not any(Path(bundle).exists() for bundle in trust.BUNDLES):
        pytest.skip("no bundle on this system")
    found = trust.os_trust({})
    assert found.file is not None
    assert found.file in (ssl.get_default_verify_paths().openssl_cafile, *trust.BUNDLES)


def test_a_system_without_trust_is_said_so(monkeypatch):
    """Nothing upstream could be verified: an error with the remedy, never unverified connections."""
    if os.name != "posix":
        pytest.skip("asks the system itself")
    monkeypatch.setattr(trust, "BUNDLES", ())
    monkeypatch.setattr(trust.sys, "platform", "linux")
    nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")
    monkeypatch.setattr(trust.ssl, "get_default_verify_paths", lambda: nowhere)
    with pytest.raises(StateError, match="ca-certificates"):
        trust.os_trust({})
