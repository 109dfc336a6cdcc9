"""TLS on both sides of the gate. Replaces mitmproxy's TlsConfig, whose certificate store writes an unconstrained CA key to
disk even when unused, lends the CA's key to every leaf and puts the upstream's names into ours.

Towards the client: a leaf for exactly the name asked for, with a key of its own, and one OpenSSL context for each leaf, so that
a new connection costs neither a key nor a certificate to parse. Towards the provider: verified against the operating system's
trust store, one context for all, and the session of the last connection to the same host offered again.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import addonmanager, connection, ctx, tls
from mitmproxy.addons import tlsconfig as stock
from mitmproxy.proxy.layers import tls as proxy_tls
from OpenSSL import SSL, crypto

from spendgate.capture.ca import Leaf, Minter
from spendgate.capture.scope import folded
from spendgate.capture.tls_options import UPDATES, TlsSettings, read_options
from spendgate.capture.trust import Trust

LEAVES_MAX = 256
"""Names with a leaf at once; a policy with wildcards can meet more, and the one not used for longest goes."""
SESSIONS_MAX = 256
"""Providers' names whose last session, and choices of a protocol, are kept."""
Question = tuple[str, tuple[bytes, ...]]
"""What a provider is asked in a handshake: its name, and the protocols that it is offered."""


@dataclass(frozen=True, slots=True)
class Alpn:
    """How a client connection's protocol is chosen. `server`: what the upstream chose, b"" for nothing, None: not asked."""

    server: bytes | None
    http2: bool

    def choose(self, offered: list[bytes]) -> bytes | None:
        """The upstream's choice mirrored; without an upstream the client's first that is HTTP. None: no protocol."""
        if self.server is not None:
            return self.server if self.server in offered else None
        known = proxy_tls.HTTP1_ALPNS if not self.http2 else (proxy_tls.HTTP2_ALPN, *proxy_tls.HTTP1_ALPNS)
        return next((protocol for protocol in offered if protocol in known), None)


class GateTls:
    """The addon. `now` gives the wall clock, which certificates live by."""

    def __init__(self, minter: Minter, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._minter = minter
        self._now = now
        self._leaves: OrderedDict[str, tuple[Leaf, SSL.Context]] = OrderedDict()
        self._sessions: OrderedDict[str, SSL.Connection] = OrderedDict()
        self._chosen: OrderedDict[Question, bytes] = OrderedDict()
        """The protocol that a provider chose last; none where its last handshake failed."""
        self._upstream: dict[str | None, SSL.Context] = {}
        self._settings: TlsSettings | None = None

    def load(self, loader: addonmanager.Loader) -> None:
        stock.TlsConfig().load(loader)

    def configure(self, updated: set[str]) -> None:
        """mitmproxy's hook: reads the options anew. Raises OptionsError for a curve or bundle that does not exist."""
        if self._settings is None or updated & UPDATES:
            if "tls_version_client_min" not in ctx.options:
                return  # called for each option that is added while loading; ours are not all there yet
            self._settings = read_options()
            self._leaves.clear()
            self._sessions.clear()
            self._chosen.clear()
            self._upstream.clear()

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """mitmproxy's hook, first of a handshake's. The name is folded here, as `scope.judge` did: all that comes reads it.

        What the provider will probably choose is said in advance: both handshakes then run at once (`both_sides`).
        """
        client, server = data.context.client, data.context.server
        if client.sni:
            client.sni = folded(client.sni)
        # One that could not be reached a moment ago is tried again by the request, which can be answered.
        data.establish_server_tls_first = server.tls and self._now_set().eager and not server.error
        if data.establish_server_tls_first and not server.tls_established:
            server.alpn = self._chosen.get(self._question(server, client))

    def tls_start_client(self, data: tls.TlsData) -> None:
        """mitmproxy's hook: our side of the client's handshake. Without a name that the CA covers there is none."""
        settings, name = self._now_set(), data.conn.sni
        if data.ssl_conn is not None or data.is_dtls or name is None or not self._minter.covers(name):
            return
        data.ssl_conn = SSL.Connection(self._context(name, settings))
        data.ssl_conn.set_app_data(Alpn(data.context.server.alpn, settings.http2))
        data.ssl_conn.set_accept_state()

    def tls_start_server(self, data: tls.TlsData) -> None:
        """mitmproxy's hook: the upstream handshake, verified for the name that the client asked for."""
        if data.ssl_conn is not None or data.is_dtls or not isinstance(data.conn, connection.Server):
            return
        settings, server, client = self._now_set(), data.conn, data.context.client
        server.sni, server.alpn_offers = self._question(server, client)
        data.ssl_conn = SSL.Connection(self._upstream_context(server.sni, settings))
        _expect_name(data.ssl_conn, server.sni)
        if server.alpn_offers:
            data.ssl_conn.set_alpn_protos(list(server.alpn_offers))
        if last := self._sessions.get(server.sni):
            session = last.get_session()
            if session is not None:
                data.ssl_conn.set_session(session)
        data.ssl_conn.set_connect_state()

    def tls_established_server(self, data: tls.TlsData) -> None:
        """mitmproxy's hook. The connection is kept, not its session: tickets come after the handshake in TLS 1.3."""
        if data.ssl_conn is not None and data.conn.sni:
            _keep(self._sessions, data.conn.sni, data.ssl_conn, SESSIONS_MAX)
            _keep(self._chosen, (data.conn.sni, tuple(data.conn.alpn_offers)), data.conn.alpn or b"", SESSIONS_MAX)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """mitmproxy's hook. The next client of this provider waits for it, as for one that was never met."""
        if data.conn.sni:
            self._chosen.pop((data.conn.sni, tuple(data.conn.alpn_offers)), None)

    def _question(self, server: connection.Server, client: connection.Client) -> Question:
        known = proxy_tls.HTTP_ALPNS if self._now_set().http2 else proxy_tls.HTTP1_ALPNS
        name = folded(server.sni or client.sni or (server.address[0] if server.address else ""))
        return name, tuple(server.alpn_offers) or tuple(offer for offer in client.alpn_offers if offer in known)

    def _context(self, host: str, settings: TlsSettings) -> SSL.Context:
        """The context of this host's leaf, made anew where the minter has another one to show."""
        now = self._now()
        found = self._leaves.get(host)
        if found is not None and self._minter.still_good(found[0], now):
            self._leaves.move_to_end(host)
            return found[1]
        leaf = self._minter.leaf(host, now)
        context = settings.client.context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(leaf.certificate)
        context.use_privatekey(leaf.key)
        for issuer in leaf.chain:
            context.add_extra_chain_cert(issuer)
        context.set_alpn_select_callback(_select)
        _keep(self._leaves, host, (leaf, context), LEAVES_MAX)
        return context

    def _upstream_context(self, host: str, settings: TlsSettings) -> SSL.Context:
        certificate = _client_certificate(settings.client_certs, host)
        if certificate not in self._upstream:
            context = settings.server.context(SSL.TLS_CLIENT_METHOD)
            context.set_verify(SSL.VERIFY_PEER if settings.verify else SSL.VERIFY_NONE)
            _load_trust(context, settings.trust)
            if certificate:
                context.use_privatekey_file(certificate)
                context.use_certificate_chain_file(certificate)
            self._upstream[certificate] = context
        return self._upstream[certificate]

    def _now_set(self) -> TlsSettings:
        if self._settings is None:
            self._settings = read_options()
        return self._settings


def _select(ssl_conn: SSL.Connection, offered: list[bytes]) -> bytes | SSL._NoOverlappingProtocols:
    choice: Alpn = ssl_conn.get_app_data()
    return choice.choose(offered) or SSL.NO_OVERLAPPING_PROTOCOLS


def _keep[K, V](table: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > most:
        table.popitem(last=False)


def _expect_name(ssl_conn: SSL.Connection, name: str) -> None:
    """Names the server in the hello, and has OpenSSL check that its certificate is for this name or address."""
    lib: Any = SSL._lib  # type: ignore[attr-defined]  # pyOpenSSL has no public call for the host that is verified
    parameters = lib.SSL_get0_param(ssl_conn._ssl)
    lib.X509_VERIFY_PARAM_set_hostflags(parameters, stock.DEFAULT_HOSTFLAGS)
    try:
        packed = ipaddress.ip_address(name).packed
    except ValueError:
        host = name.encode("idna")
        ssl_conn.set_tlsext_host_name(host)
        done = lib.X509_VERIFY_PARAM_set1_host(parameters, host, len(host))
    else:
        done = lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
    if done != 1:
        raise ValueError("OpenSSL did not take the name to verify")


def _load_trust(context: SSL.Context, trust: Trust) -> None:
    if trust.pem is None:
        context.load_verify_locations(trust.file, trust.directory)
        return
    for certificate in trust.certificates():
        if store := context.get_cert_store():
            store.add_cert(crypto.X509.from_cryptography(certificate))


def _client_certificate(option: str | None, host: str) -> str | None:
    """mitmproxy's `client_certs`: one file for all, or a directory of `HOST.pem`."""
    if option is None:
        return None
    path = Path(option).expanduser()
    if path.is_file():
        return str(path)
    own = path / f"{host}.pem"
    return str(own) if own.is_file() else None
