"""Which protocol layer a connection gets next: the place where `scope` becomes an act. Replaces mitmproxy's NextLayer.

On a decrypted connection the next layer is always HTTP, whatever its first bytes are and whoever speaks first: mitmproxy's
own heuristics would relay odd bytes as raw TCP, past the meter. Where the way is only an address and the bytes are no HTTP
for a provider, the relay is raw, so that nothing of it is parsed, kept or shown to any addon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, layers, mode_specs, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.quic import quic_parse_client_hello_from_datagrams
from mitmproxy.proxy.layers.tls import parse_client_hello

from spendgate.attribution import BROWSER, NOBODY, Peer
from spendgate.capture import way_out
from spendgate.capture.both_sides import ClientTls, ServerTls
from spendgate.capture.browsing import depends, for_whom
from spendgate.capture.coverage import CoverageEvent, Gap, OnCoverage, Watch
from spendgate.capture.plain_heads import Head, may_be, read_head
from spendgate.capture.plain_relay import PlainRelay
from spendgate.capture.scope import (
    CANARY_HOST,
    ENCRYPTED_CLIENT_HELLO,
    HELLO_MAX,
    Decrypt,
    Hello,
    Scope,
    Tunnel,
    folded,
    judge,
    read_plain,
)
from spendgate.capture.tally import TalliedLayer, Tallying
from spendgate.providers.below import within

WhoseConnection = Callable[[str], Awaitable[Peer]]


async def nobodys(connection_id: str) -> Peer:
    """Where nobody looks processes up."""
    return NOBODY


def uncounted(connection_id: str, host: str) -> None:
    """Where nobody counts what is not decrypted."""


def unnoted(address: str, named: bool) -> str | None:
    """Where nobody notes which addresses other hosts have, nor knows which are providers'."""


HttpLayerFactory = Callable[[Context, HTTPMode], layer.Layer]

DNS_PORTS = (53, 5353)
TLS_HANDSHAKE = 0x16


class NextLayer:
    """The addon. `scope` is asked for each connection, so a reloaded policy holds for the next one."""

    def __init__(
        self,
        scope: Callable[[], Scope],
        watch: Watch,
        on_coverage: OnCoverage,
        http_layer: HttpLayerFactory,
        *,
        whose: WhoseConnection = nobodys,
        tally: Tallying = uncounted,
        others: Callable[[str, bool], str | None] = unnoted,
    ) -> None:
        """`whose` is asked for the process behind a connection, by its id, where that decides; `tally` counts one that is
        not decrypted; `others` gets each address at which no provider's host was named, and whether another was; it gives the
        provider's host that the address is known to have."""
        self._whose = whose
        self._tally = tally
        self._others = others
        self._counting: set[asyncio.Task[None]] = set()
        self._scope = scope
        self._watch = watch
        self._on_coverage = on_coverage
        self._http_layer = http_layer

    async def next_layer(self, data: layer.NextLayer) -> None:
        """mitmproxy's hook. Leaving `data.layer` unset means: ask again when more bytes are there. What comes meanwhile waits."""
        if data.layer is not None:
            return
        chosen = self._choose(data.context, data.data_client(), data.data_server())
        if isinstance(chosen, Decrypt | Tunnel):
            peer = await self._whose(data.context.client.id)
            chosen = self._judged(data.context, for_whom(self._scope(), chosen, peer), peer)
        data.layer = chosen

    def _choose(self, context: Context, sent: bytes, received: bytes) -> layer.Layer | Decrypt | Tunnel | None:
        """The layer; a verdict, where the process at the other end is to be known first."""
        above = context.layers[-1]
        if isinstance(above, modes.HttpProxy):
            return self._http_layer(context, HTTPMode.regular)
        if isinstance(above, modes.HttpUpstreamProxy):
            return self._http_layer(context, HTTPMode.upstream)
        if isinstance(above, layers.ClientTLSLayer):
            if sent:
                self._watch.spoke(context.client.id)
            return self._http_layer(context, HTTPMode.transparent)
        if context.client.transport_protocol == "udp":
            return self._datagrams(context, sent)
        if received and not sent:
            return self._plain(context, b"\0")  # the server speaks first: no HTTP
        if sent[:1] == bytes([TLS_HANDSHAKE]):
            return self._tls(context, sent)
        return self._plain(context, sent)

    def _tls(self, context: Context, sent: bytes) -> layer.Layer | Decrypt | Tunnel | None:
        if len(sent) < 3:
            return None
        hello = _read_hello(sent) if starts_like_tls_record(sent) else Hello(None)
        if hello is None:
            return None
        scope = self._scope()
        verdict = judge(scope, hello, _destination(context))
        if context.server.address and not (hello.server_name and scope.names(folded(hello.server_name))):
            self._elsewhere(context.client.id, context.server.address[0], hello.server_name)
        way_out.by_name(context, hello.server_name)
        return verdict if depends(scope, verdict) else self._judged(context, verdict)

    def _elsewhere(self, connection: str, address: str, name: str | None) -> None:
        """Somebody names another host than a provider's, or none. At a provider's address, where only that is known of the way
        here, it may be its CDN's other customer or a false name; it is counted, under the provider's host, and not waited for."""
        if (host := self._others(address, bool(name))) is not None:
            # Asked here and not in the task: a client that ends at once has gone when that begins.
            whose = asyncio.ensure_future(self._whose(connection))
            task = asyncio.get_running_loop().create_task(self._count(connection, host, name, whose))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)

    async def _count(self, connection: str, host: str, name: str | None, whose: Awaitable[Peer]) -> None:
        """A browser's are not: it names what it opens."""
        peer = await whose
        if peer.browser != BROWSER:
            self._on_coverage(CoverageEvent(connection, host, Gap.AT_ADDRESS if name else Gap.NO_SNI, peer))

    def _judged(self, context: Context, verdict: Decrypt | Tunnel, peer: Peer | None = None) -> layer.Layer:
        if isinstance(verdict, Decrypt):
            return self._decrypted(context, verdict.host)
        return self._tunnelled(context, verdict, peer)

    def _decrypted(self, context: Context, host: str) -> layer.Layer:
        stack = tunnel.LayerStack()
        if host != CANARY_HOST and _reverse_scheme(context) != "http":
            stack = way_out.stack(context) / ServerTls(context)
        stack /= ClientTls(context)
        return stack[0]

    def _plain(self, context: Context, sent: bytes) -> layer.Layer | None:
        if isinstance(context.layers[-1], modes.ReverseProxy):
            stack = tunnel.LayerStack()
            if _reverse_scheme(context) == "https":
                stack /= ServerTls(context)
            stack /= self._http_layer(context, HTTPMode.transparent)
            return stack[0]
        scope, destination = self._scope(), _destination(context)
        if scope.names(destination):
            return self._http_layer(context, HTTPMode.transparent)
        if scope.own_hosts:
            return self._watched(context, sent, scope)
        plain = read_plain(sent)
        if plain is None:
            return None
        if plain.is_http and scope.names(plain.host):
            return self._http_layer(context, HTTPMode.transparent)
        return self._tunnelled(context, Tunnel())

    def _watched(self, context: Context, sent: bytes, scope: Scope) -> layer.Layer | None:
        """Metered, where its first request is a provider's that can be read; else followed from head to head."""
        head = read_head(sent)
        if head is None and may_be(sent):
            return None
        if isinstance(head, Head) and head.sure and any(scope.names(host) for host in head.hosts):
            return self._http_layer(context, HTTPMode.transparent)

        def closed(host: str, gap: Gap) -> None:
            self._on_coverage(CoverageEvent(context.client.id, host, gap))

        stack = way_out.stack(context)
        stack /= PlainRelay(context, lambda host: self._scope().names(host), closed)
        return stack[0]

    def _datagrams(self, context: Context, sent: bytes) -> layer.Layer | None:
        if context.server.address and context.server.address[1] in DNS_PORTS:
            return layers.DNSLayer(context)
        if isinstance(context.layers[-1], modes.ReverseProxy):
            return Closed(context)  # mitmproxy also opens UDP for `reverse:https:`; what goes there is the provider's
        try:
            hello = quic_parse_client_hello_from_datagrams([sent])
        except ValueError:
            hello = None
        scope = self._scope()
        name = folded(hello.sni) if hello and hello.sni else None
        if name is not None and scope.names(name) and scope.gap(name) is None:
            if (
                within(name, scope.sites) is None
            ):  # it may be a browser's, and what comes over TCP in its place is decided there
                self._on_coverage(CoverageEvent(context.client.id, name, Gap.QUIC))
            return Closed(context)
        return layers.UDPLayer(context, ignore=True)

    def _tunnelled(self, context: Context, verdict: Tunnel, peer: Peer | None = None) -> layer.Layer:
        if verdict.gap is not None and verdict.host is not None:
            self._on_coverage(CoverageEvent(context.client.id, verdict.host, verdict.gap, peer))
        tally = self._tally(context.client.id, verdict.host) if verdict.counted and verdict.host else None
        stack = way_out.stack(context)
        stack /= TalliedLayer(context, tally) if tally is not None else layers.TCPLayer(context, ignore=True)
        return stack[0]


class Closed(layer.Layer):
    """Ends the connection: a client that offers QUIC to a provider then uses TCP."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)


def _read_hello(sent: bytes) -> Hello | None:
    """The hello of these TLS records; None: it goes on. What does not parse has no name."""
    try:
        parsed = parse_client_hello(sent)
    except ValueError:
        return Hello(None)
    if parsed is None:
        return None if len(sent) < HELLO_MAX else Hello(None)
    hidden = any(kind == ENCRYPTED_CLIENT_HELLO for kind, _ in parsed.extensions)
    return Hello(parsed.sni, hidden)


def _destination(context: Context) -> str | None:
    """The host that the client named on its way here. In transparent modes only an address is known, which names nobody."""
    return folded(context.server.address[0]) if context.server.address else None


def _reverse_scheme(context: Context) -> str:
    spec = context.client.proxy_mode
    return spec.scheme if isinstance(spec, mode_specs.ReverseMode) else "https"
