"""Whether a web page asked for a request, rather than a tool. Pure but for mitmproxy's request.

A page may send requests to every port of the loopback, and, by a name of its own that it lets lead there, read the answers
(DNS rebinding). A browser says so in fields that no page can change: `Origin` with whatever is not a plain GET, `Sec-Fetch-Site`
with everything to a host that counts as secure, as https is (Fetch standard; Fetch Metadata). A name of the page's own over plain
http does not: a GET from it says neither, but has that name as its host. So a reverse listener answers to the names of this
machine alone; an address needs none, since a page that has it for its origin came from there.
"""

from __future__ import annotations

import ipaddress
import socket

from mitmproxy import http
from mitmproxy.proxy import mode_specs

from spendgate.capture.flow import MeteredFlow
from spendgate.capture.scope import folded, host_of

_OPENED = "none"
"""`Sec-Fetch-Site` of what a person opens: an address typed, a bookmark."""
_FROM_CONTAINERS = frozenset({"host.docker.internal", "gateway.docker.internal", "host.containers.internal"})
"""This machine's names in containers (Docker, Podman). No website has one: `internal` is kept out of the public DNS."""


def page_of(request: http.Request) -> str | None:
    """The page's origin, or what else says that it is a page's; None: it is no page's."""
    site = request.headers.get("sec-fetch-site")
    return request.headers.get("origin") or (site if site and site != _OPENED else None)


def of_a_page(flow: MeteredFlow) -> bool:
    """Whether a reverse listener is asked by a page of elsewhere, or by a name that a page may have made its own.

    Elsewhere in the gate a page's requests are its browser's own way to the provider, which the provider's own rules for pages
    are about.
    """
    mode = flow.client_conn.proxy_mode
    if not isinstance(mode, mode_specs.ReverseMode):
        return False
    return from_elsewhere(flow.request) or not names_this(flow.asked_as, (mode.address[0], mode.custom_listen_host))


def names_this(authority: str | None, own: tuple[str | None, ...]) -> bool:
    """Whether a client's `Host` names this machine, or what is named in `own`: the upstream, which no page of elsewhere can be,
    and the host that the listener was given. A client that names none is no browser."""
    host = host_of(authority or "")
    if not host or host in own or _is_here(host) or host in _FROM_CONTAINERS:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        machine = folded(socket.gethostname())
        return host in (machine, machine.partition(".")[0], f"{machine.partition('.')[0]}.local")
    return True


def from_elsewhere(request: http.Request) -> bool:
    """Whether the page is of another machine, or hides where it is from. Pages of this machine's own programs are not, nor what
    an editor shows in a window of its own (`vscode-webview://`)."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") == "cross-site"
    scheme, _, rest = origin.partition("://")
    if not rest:
        return True  # `null`: of a file, or of a frame that a page has shut in
    return scheme in ("http", "https") and not _is_here(host_of(rest))


def _is_here(host: str) -> bool:
    """Whether a name or address is the loopback's, without asking: a page chooses where its own name leads."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
