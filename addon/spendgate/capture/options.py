"""mitmproxy's options as the gate sets them: what is fixed, what may pass through, and what is refused with its reason.

Every option that mitmproxy defines is in one of the three tables, so that none does nothing or quietly breaks a promise; a
test compares them with mitmproxy's own list. What an addon of ours defines passes through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mitmproxy import exceptions, optmanager
from mitmproxy import options as stock

from spendgate.errors import UsageError

FIXED: dict[str, Any] = {
    "connection_strategy": "eager",
    "upstream_cert": False,
    "http3": False,
    "rawtcp": True,
    "websocket": True,
    "validate_inbound_headers": True,
    "tcp_timeout": 86_400,
}
"""`eager`: a lazy proxy gave clients HTTP/2 against HTTP/1 servers, five at a time. `rawtcp` is needed by upgraded plain
connections of bystanders. `tcp_timeout` in seconds: mitmproxy's 600 cuts every quiet connection, tunnelled ones too."""

PASSES = frozenset(
    {
        "http2",
        "http2_ping_keepalive",
        "tcp_timeout",
        "keep_host_header",
        "http_connect_send_host_header",
        "connect_addr",
        "client_certs",
        "upstream_auth",
        "strip_ech",
        "ssl_verify_upstream_trusted_ca",
        "ssl_verify_upstream_trusted_confdir",
        "tls_version_client_min",
        "tls_version_client_max",
        "tls_version_server_min",
        "tls_version_server_max",
        "tls_ecdh_curve_client",
        "tls_ecdh_curve_server",
        "ciphers_client",
        "ciphers_server",
    }
)

_LISTEN = "use --mode and --port"
_SCOPE = "what is decrypted is decided by the policy's `capture` alone"
_BODIES = "would keep people's prompts and answers"
_OWN_CA = "the gate makes its own certificates; see `spendgate ca`"
_FIXED = "the gate needs it as it is"
_NOTHING = "has no effect in the gate"
REFUSED: dict[str, str] = {
    "mode": _LISTEN,
    "listen_host": _LISTEN,
    "listen_port": _LISTEN,
    "server": _LISTEN,
    "ignore_hosts": _SCOPE,
    "allow_hosts": _SCOPE,
    "tcp_hosts": _SCOPE,
    "udp_hosts": _SCOPE,
    "show_ignored_hosts": _BODIES,
    "store_streamed_bodies": _BODIES,
    "proxy_debug": "would log people's prompts and answers",
    "stream_large_bodies": "a streamed request leaves before its cost is held",
    "body_size_limit": "would break answers; requests are bounded by the meter",
    "certs": _OWN_CA,
    "confdir": _OWN_CA,
    "cert_passphrase": _OWN_CA,
    "key_size": _OWN_CA,
    "add_upstream_certs_to_client_chain": _OWN_CA,
    "upstream_cert": "names of the upstream's certificate would leave the CA's constraints",
    "request_client_cert": _NOTHING,
    "connection_strategy": _FIXED,
    "http3": "QUIC is not metered; clients fall back to TCP",
    "rawtcp": _FIXED,
    "websocket": "WebSocket calls would pass unmetered",
    "validate_inbound_headers": "malformed requests could pass the meter unseen",
    "normalize_outbound_headers": _FIXED,
    "showhost": _NOTHING,
    "content_view_lines_cutoff": _NOTHING,
    "protobuf_definitions": _NOTHING,
    "ssl_insecure": "providers would not be verified; if that is what you mean, say ssl_insecure=upstreams-are-not-verified",
    "client_replay": "replayed calls would be spent twice",
    "scripts": _NOTHING,
    "save_stream_file": _BODIES,
    "hardump": _BODIES,
    "proxyauth": _NOTHING,
    "block_global": "the gate listens on loopback; use --mode MODE@HOST:PORT to say otherwise",
}
INSECURE = "ssl_insecure=upstreams-are-not-verified"


class Options(stock.Options):
    """mitmproxy's options, readable without a deep copy: the proxy core reads about ten for each request.

    Values stand as plain attributes and are renewed by each change; sequences are copied once, when they are set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changed.connect(self._expose)
        self._expose(self.keys())  # type: ignore[no-untyped-call]  # mitmproxy's

    def add_option(
        self,
        name: str,
        typespec: object,
        default: object,
        help: str,  # noqa: A002  # mitmproxy's own name for it
        choices: Sequence[str] | None = None,
    ) -> None:
        super().add_option(name, typespec, default, help, choices)
        self.__dict__[name] = self._options[name].current()

    def _expose(self, updated: set[str]) -> None:
        for name in updated:
            self.__dict__[name] = self._options[name].current()


def apply(target: optmanager.OptManager, sets: Sequence[str]) -> None:
    """Sets `K=V` options once all addons are loaded. Raises UsageError: refused, defined by nobody, or of a wrong value."""
    for text in sets:
        name = text.partition("=")[0]
        if text == INSECURE:
            target.update(ssl_insecure=True)
        elif name in REFUSED:
            raise UsageError(f"--set {name}: {REFUSED[name]}")
        elif name not in target:
            raise UsageError(f"--set {name}: nobody defines such an option; write NAME=VALUE, of mitmproxy's options")
    passed = [text for text in sets if text != INSECURE]
    try:
        target.set(*passed)
    except (exceptions.OptionsError, ValueError, TypeError) as fault:
        raise UsageError(f"--set: {fault}") from fault
