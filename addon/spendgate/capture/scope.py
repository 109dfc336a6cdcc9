"""What is decrypted: decided on the first bytes of a connection, before any certificate is made. Pure; no mitmproxy.

A connection is decrypted when its TLS hello names a host of the policy, the CA may sign for that host, and the policy does
not say `never`. Everything else is tunnelled with the server's own certificate. A hello without a name, or with a hidden
one, is tunnelled too: what it hides cannot be guessed, and is counted where the way there (CONNECT, SOCKS) named a provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from spendgate import name_constraints
from spendgate.capture.coverage import Gap
from spendgate.providers.below import within

CANARY_HOST = name_constraints.CANARY_HOST
"""Answered by the gate itself. RFC 6761 promises that no name under `invalid` ever resolves."""
INSTANCE_HEADER = "x-spendgate-instance"

HELLO_MAX = 65_536
"""A TLS hello is one handshake message, 16 MB by its length field; real ones are below 4 KB, with post-quantum keys too."""
HEAD_MAX = 16_384
"""How much of a plain connection's start is waited for to find its Host header."""

ENCRYPTED_CLIENT_HELLO = 0xFE0D
"""RFC 9849. Browsers also send it filled with noise, beside the true name: it means something only where the name is not ours."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The parts of a TLS ClientHello that decide."""

    server_name: str | None
    hides_name: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The hosts that are decrypted. `hosts` and `never` are lower case, exact, or `*.domain` for all below a domain."""

    hosts: frozenset[str]
    never: frozenset[str] = frozenset()
    covers: Callable[[str], bool] = lambda host: True
    why_not: Callable[[str], Gap] = lambda host: Gap.OUTSIDE_CA
    """For a host that is not covered."""
    sites: frozenset[str] = frozenset()
    """Of all hosts those that people also open in a browser (`browsing`): also all below a domain, where intranets are."""
    private: frozenset[str] = frozenset()
    """Of these the ones where only what is known to be no browser is decrypted."""
    counts_browsers: bool = False
    """Whether what is not decrypted for a browser's sake is counted (`capture.browsers: count`)."""
    own_hosts: bool = False
    """Whether the policy names hosts of its own (`capture.hosts`): those may be reached by plain HTTP, too."""
    one_command: bool = False
    """Whether one command alone comes through here, started for that (`exec`): then a process that is not found is no browser."""

    def names(self, host: str | None) -> bool:
        """Whether this is a provider's host, `never` or not."""
        if host is None or host == CANARY_HOST:
            return host is not None
        return within(host, self.hosts) is not None or within(host, self.never) is not None

    def gap(self, host: str) -> Gap | None:
        """Why a provider's host is not decrypted; None: it is."""
        if within(host, self.never):
            return Gap.NEVER
        return None if self.covers(host) else self.why_not(host)


@dataclass(frozen=True, slots=True)
class Decrypt:
    """Make a certificate for this host, and meter what comes."""

    host: str


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Pass every byte on. With a gap it is a provider's connection, and is counted."""

    host: str | None = None
    gap: Gap | None = None
    counted: bool = False
    """Its bytes and times get a row."""


def folded(name: str) -> str:
    """A host's name as all that decide compare it: lower case, without the root's dot. Hosts are named in any case (RFC 4343)."""
    return name.lower().rstrip(".")


def judge(scope: Scope, hello: Hello, destination: str | None) -> Decrypt | Tunnel:
    """What becomes of a TLS connection. `destination` is the host that CONNECT or SOCKS named; None: only an address is known."""
    name = folded(hello.server_name) if hello.server_name else None
    if name is not None and scope.names(name):
        gap = scope.gap(name)
        if gap is None:
            return Decrypt(name)
        return Tunnel(
            name, gap if name != CANARY_HOST else None
        )  # nobody's call: `status` says that it came back unanswered
    target = folded(destination) if destination else None
    if target is None or not scope.names(target):
        return Tunnel()
    if name is None:
        return Tunnel(target, Gap.NO_SNI)
    return Tunnel(target, Gap.HIDDEN_NAME if hello.hides_name else Gap.OTHER_NAME)


_METHOD_START = re.compile(rb"[A-Z]{1,20}\Z")
_REQUEST_START = re.compile(rb"[A-Z]{1,20} [^\r\n]*(?:\Z|\r?\n)")
_HOST = re.compile(rb"\r?\n(?:[Hh][Oo][Ss][Tt]:[ \t]*([^\r\n]*?)[ \t]*)?\r?\n")


@dataclass(frozen=True, slots=True)
class Plain:
    """What the first bytes of a connection without TLS say. `host` has no port."""

    is_http: bool
    host: str | None = None


def read_plain(data: bytes) -> Plain | None:
    """Whether these bytes begin an HTTP/1 request, and for which host. None: more bytes are needed to tell.

    Blank lines before the request line are skipped (RFC 9112, 2.2).
    """
    start = data.lstrip(b"\r\n")
    if not start:
        return None if len(data) < HEAD_MAX else Plain(is_http=False)
    if _METHOD_START.match(start):
        return None
    if not _REQUEST_START.match(start):
        return Plain(is_http=False)
    found = _HOST.search(start)
    if found is None:
        return None if len(data) < HEAD_MAX else Plain(is_http=True)
    return Plain(is_http=True, host=host_of(found.group(1).decode("ascii", "replace")) if found.group(1) else None)


def host_of(authority: str) -> str:
    """The lower-case host of `host:port`, `[v6]:port` or a bare host."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return folded(authority.partition(":")[0])
