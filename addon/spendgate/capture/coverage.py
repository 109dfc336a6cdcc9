"""Provider connections that could not be read: who could not, and why. Values only; what counts them lives elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from spendgate.attribution import Peer


class Gap(StrEnum):
    """Why a connection to a provider was not metered. The values are words that `status` prints."""

    NO_SNI = "no server name"
    OTHER_NAME = "asked for under another name"
    AT_ADDRESS = "another name at a provider's address"
    HIDDEN_NAME = "encrypted server name"
    QUIC = "QUIC"
    OUTSIDE_CA = "outside the CA's constraints"
    NO_LEAF = "the organization issued no certificate for it"
    EXPIRED_LEAF = "its certificate has expired"
    NEVER = "policy says never"
    NAMED_BROWSER = "named like a browser; not an installed one"
    NO_PROCESS = "the process is not known, and may be a browser"
    NO_CERTIFICATE = "no certificate of ours for the name; closed"
    TRUST_REFUSED = "the tool refused our certificate"
    TRUST_SUSPECTED = "closed right after the handshake, without a request"
    NOT_HTTP = "not HTTP; closed"
    BEHIND_ANOTHER = "plain HTTP on a connection to another host; closed"
    NO_ALPN = "HTTP/2 without ALPN; closed"
    PROXY_CREDENTIALS = "the proxy did not accept the gate's user and password"
    PROXY_REFUSED = "the proxy did not let the gate through"
    PROXY_FAILED = "the proxy was not reached, or did not reach the provider"
    UPSTREAM_UNTRUSTED = "a certificate of an authority that this machine does not trust"
    UPSTREAM_INVALID = "a certificate that is not valid for the provider"


FAILED = frozenset(
    {Gap.PROXY_CREDENTIALS, Gap.PROXY_REFUSED, Gap.PROXY_FAILED, Gap.UPSTREAM_UNTRUSTED, Gap.UPSTREAM_INVALID}
)
"""Read, and with a row of their own: they got no further. Counted all the same, since many at once have one cause."""


@dataclass(frozen=True, slots=True)
class CoverageEvent:
    """One connection to a provider that was tunnelled, refused by the client, or closed unread."""

    connection: str
    """mitmproxy's id of the client connection, the key under which its peer was looked up."""
    host: str
    """The provider's host, folded, as the client named it: in the hello, in CONNECT, or in SOCKS."""
    gap: Gap
    peer: Peer | None = None
    """Whose it is, where that was waited for: the connection may have ended meanwhile, and its peer with it. None: look it up."""


OnCoverage = Callable[[CoverageEvent], None]


def ignore_coverage(event: CoverageEvent) -> None:
    """For whoever does not count gaps."""


QUICK_S = 2.0
"""A client that refuses a certificate after its own Finished (Bun does) closes within a round trip; a pool that warms a
connection up keeps it far longer."""


@dataclass(slots=True)
class _Watched:
    host: str
    since_s: float
    spoke: bool = False
    asked: bool = False


class Watch:
    """Decrypted connections, from handshake to end: finds those that ended without a request, which no hook reports.

    Bounded by the number of open connections. Times are seconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Watched] = {}

    def opened(self, connection: str, host: str, now_s: float) -> None:
        """The client has completed its handshake."""
        self._open[connection] = _Watched(host, now_s)

    def spoke(self, connection: str) -> None:
        """It sent its first bytes of content."""
        if connection in self._open:
            self._open[connection].spoke = True

    def asked(self, connection: str) -> None:
        """Its bytes became a request, which has a row of its own."""
        if connection in self._open:
            self._open[connection].asked = True

    def garbled(self, connection: str) -> None:
        """Bytes came, after requests or before any, that are none."""
        if connection in self._open:
            self._open[connection].spoke, self._open[connection].asked = True, False

    def closed(self, connection: str, now_s: float) -> CoverageEvent | None:
        """It has ended: the gap that this leaves, if any."""
        seen = self._open.pop(connection, None)
        if seen is None or seen.asked:
            return None
        if seen.spoke:
            return CoverageEvent(connection, seen.host, Gap.NOT_HTTP)
        if now_s - seen.since_s <= QUICK_S:
            return CoverageEvent(connection, seen.host, Gap.TRUST_SUSPECTED)
        return None
