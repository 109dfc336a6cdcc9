"""mitmproxy's TLS options, read once into values: each reading of an option there copies it, and a connection needs twelve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mitmproxy import ctx, exceptions
from mitmproxy.net import tls as net_tls
from OpenSSL import SSL

from spendgate.capture.trust import Trust, os_trust

CLIENT_SIDE_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
"""For TLS 1.2; our leaves are ECDSA, so no other suite could be chosen."""
UPSTREAM_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:RSA+AESGCM:RSA+AES:!aNULL"
"""For TLS 1.2: forward secrecy first; suites that HTTP/2 forbids come last."""

UPDATES = frozenset(
    {
        "http2",
        "connection_strategy",
        "ssl_insecure",
        "ssl_verify_upstream_trusted_ca",
        "ssl_verify_upstream_trusted_confdir",
        "client_certs",
        *(f"tls_version_{side}_{end}" for side in ("client", "server") for end in ("min", "max")),
        *(f"{what}_{side}" for what in ("ciphers", "tls_ecdh_curve") for side in ("client", "server")),
    }
)


@dataclass(frozen=True, slots=True)
class Side:
    """What one side negotiates. Versions are OpenSSL's numbers, 0 for no bound."""

    versions: tuple[int, int]
    ciphers: str
    curve: str | None

    def context(self, method: int) -> SSL.Context:
        context = SSL.Context(method)
        context.set_min_proto_version(self.versions[0])
        context.set_max_proto_version(self.versions[1])
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION)
        context.set_cipher_list(self.ciphers.encode())
        if curve := net_tls.get_curve(self.curve):
            context.set_tmp_ecdh(curve)
        return context


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """All that a handshake needs to know of the options."""

    http2: bool
    eager: bool
    verify: bool
    client: Side
    server: Side
    trust: Trust
    client_certs: str | None


def read_options() -> TlsSettings:
    """Raises OptionsError for a version, cipher, curve or bundle that does not exist, StateError without a trust store."""
    options = ctx.options
    file, directory = options.ssl_verify_upstream_trusted_ca, options.ssl_verify_upstream_trusted_confdir
    for place in (file, directory):
        if place and not Path(place).exists():
            raise exceptions.OptionsError(f"{place} does not exist")
    return TlsSettings(
        http2=options.http2,
        eager=options.connection_strategy == "eager",
        verify=not options.ssl_insecure,
        client=_read_side("client", CLIENT_SIDE_CIPHERS),
        server=_read_side("server", UPSTREAM_CIPHERS),
        trust=Trust(file, directory) if file or directory else os_trust(),
        client_certs=options.client_certs,
    )


def _read_side(side: str, ciphers: str) -> Side:
    options = ctx.options
    curve = getattr(options, f"tls_ecdh_curve_{side}")
    if curve is not None and curve not in net_tls.EC_CURVES:
        raise exceptions.OptionsError(f"tls_ecdh_curve_{side}: {curve!r} is none of {', '.join(net_tls.EC_CURVES)}")
    versions = tuple(_version(getattr(options, f"tls_version_{side}_{end}")) for end in ("min", "max"))
    chosen = Side((versions[0], versions[1]), getattr(options, f"ciphers_{side}") or ciphers, curve)
    try:
        chosen.context(SSL.TLS_METHOD)
    except SSL.Error as fault:
        raise exceptions.OptionsError(f"ciphers_{side}: OpenSSL takes none of {chosen.ciphers!r}") from fault
    return chosen


def _version(name: str) -> int:
    if name not in net_tls.Version.__members__:
        raise exceptions.OptionsError(f"{name} is none of {', '.join(net_tls.Version.__members__)}")
    return net_tls.Version[name].value
