"""Whether a web page asked for a request, rather than a tool. Pure but for mitmproxy's request.

A page may send requests to every port of the loopback, and, by a name of its own that it lets lead there, read the answers
(DNS rebinding). A browser says so in fields that no page can change: `Origin` with whatever is not a plain GET, `Sec-Fetch-Site`
with everything to a host that counts as secure, as https is (Fetch standard; Fetch Metadata).
"""

from __future__ import annotations

import ipaddress

from mitmproxy import http
from mitmproxy.proxy import mode_specs

from spendgate.capture.scope import host_of

_OPENED = "none"
"""`Sec-Fetch-Site` of what a person opens: an address typed, a bookmark."""


def page_of(request: http.Request) -> str | None:
    """The page's origin, or what else says that it is a page's; None: it is no page's."""
    site = request.headers.get("sec-fetch-site")
    return request.headers.get("origin") or (site if site and site != _OPENED else None)


def of_a_page(flow: http.HTTPFlow) -> bool:
    """Whether a reverse listener is asked by a page of elsewhere. Elsewhere in the gate a page's requests are its browser's own
    way to the provider, which the provider's own rules for pages are about."""
    return isinstance(flow.client_conn.proxy_mode, mode_specs.ReverseMode) and from_elsewhere(flow.request)


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
