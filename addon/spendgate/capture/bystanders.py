"""Flows that are nobody's concern, and connections that fell silent. First in the chain of addons.

Plain `http://` through an explicit proxy is parsed, because that protocol names its host in each request. For a host that is
no provider, this addon sets both directions to stream and ends the event there: no addon behind it sees the flow at all.
Canary calls are answered here, and decrypted connections are watched for ends that no other hook reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mitmproxy import connection, exceptions, http, tcp, tls
from mitmproxy.proxy import mode_specs

from spendgate.capture.asked import ambiguous, asked_hosts
from spendgate.capture.coverage import CoverageEvent, Gap, OnCoverage, Watch
from spendgate.capture.pages import page_of
from spendgate.capture.responder import Responder
from spendgate.capture.scope import CANARY_HOST, Scope, host_of
from spendgate.capture.unreached import unreached


class Bystanders:
    """The addon. `clock` gives seconds and never goes back."""

    def __init__(
        self,
        scope: Callable[[], Scope],
        watch: Watch,
        on_coverage: OnCoverage,
        responder: Responder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scope = scope
        self._watch = watch
        self._on_coverage = on_coverage
        self._responder = responder
        self._clock = clock

    # Connections

    def tls_established_client(self, data: tls.TlsData) -> None:
        if data.conn.sni and data.conn.sni != CANARY_HOST:
            self._watch.opened(data.conn.id, data.conn.sni, self._clock())

    def tls_failed_client(self, data: tls.TlsData) -> None:
        if data.conn.sni and data.conn.sni != CANARY_HOST:
            gap = Gap.TRUST_REFUSED if data.ssl_conn is not None else Gap.NO_CERTIFICATE
            self._on_coverage(CoverageEvent(data.conn.id, data.conn.sni, gap))

    def client_disconnected(self, client: connection.Client) -> None:
        if event := self._watch.closed(client.id, self._clock()):
            self._on_coverage(event)

    def unreadable(self, client: connection.Client) -> None:
        """`connections.UnreadableHook`: its connection is about to end, and is then counted."""
        self._watch.garbled(client.id)

    # HTTP flows: `_stays` ends the event for whoever is not a provider's

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self._watch.asked(flow.client_conn.id)
        if flow.client_conn.sni == CANARY_HOST and page_of(flow.request) is not None:
            flow.kill()  # a page on the web must not learn that a gate is here
        elif flow.client_conn.sni == CANARY_HOST:
            flow.response = self._responder.answer()
        elif not self._metered(flow):
            flow.request.stream = True
            if self._scope().own_hosts and ambiguous(flow.request):
                flow.kill()  # for another reader it may go on as a second request, to a host of the policy
        elif flow.request.method == "PRI":
            flow.kill()  # HTTP/2 without ALPN: its preface reads as a request, what follows it as nothing
            host = flow.client_conn.sni or flow.request.host
            self._on_coverage(CoverageEvent(flow.client_conn.id, host, Gap.NO_ALPN))
        self._stays(flow)

    def request(self, flow: http.HTTPFlow) -> None:
        self._stays(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if not self._metered(flow):
            if flow.response and flow.client_conn.sni != CANARY_HOST:
                flow.response.stream = True
                if self._scope().own_hosts and _leaves_http(flow) and "h2c" in flow.response.headers["upgrade"].lower():
                    flow.kill()  # its later requests would name their hosts unseen
        elif _leaves_http(flow):
            flow.kill()
        self._stays(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        if not self._metered(flow):
            flow.websocket = None  # relayed as bytes; as a WebSocket its messages would be kept
        self._stays(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        host = flow.client_conn.sni or host_of(flow.request.host) or ""
        found = unreached(flow.error.msg, host, flow.server_conn.via) if self._metered(flow) and flow.error else None
        if found is not None and found.gap is not None:
            self._on_coverage(CoverageEvent(flow.client_conn.id, host, found.gap))
        self._stays(flow)

    # An upgraded connection of a bystander: mitmproxy keeps what it relays, we do not

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        raise exceptions.AddonHalt

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        flow.messages.clear()
        raise exceptions.AddonHalt

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        raise exceptions.AddonHalt

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        raise exceptions.AddonHalt

    def _stays(self, flow: http.HTTPFlow) -> None:
        if not self._metered(flow):
            raise exceptions.AddonHalt

    def _metered(self, flow: http.HTTPFlow) -> bool:
        """Whether the flow is a provider's: over a connection that we decrypted, through a reverse listener, or by its host."""
        name = flow.client_conn.sni
        if name is not None:
            return name != CANARY_HOST
        if isinstance(flow.client_conn.proxy_mode, mode_specs.ReverseMode):
            return True
        return any(self._scope().names(name) for name in asked_hosts(flow.request))


def _leaves_http(flow: http.HTTPFlow) -> bool:
    """A switch to a protocol that no meter reads (`h2c` is one): the connection would go on as raw bytes."""
    response = flow.response
    return (
        response is not None
        and response.status_code == 101
        and response.headers.get("upgrade", "").lower() != "websocket"
    )
