"""Out through a company's proxy: whatever came in, and with the user and password that the proxy wants.

mitmproxy goes through a proxy for what comes by its `upstream` mode alone. Where there is such a mode, connections that were
redirected here (`transparent`, `local`) have no other way out either, and take the same one. They are connected once it is known
for whom they are, not before as elsewhere: a proxy is told a name, by which it decides and which it resolves.

Of the credentials nothing is ever logged or put into a message, and they are shown to the proxy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import WARNING
from typing import Final

from mitmproxy import addonmanager, exceptions, http
from mitmproxy.addons import upstream_auth
from mitmproxy.connection import Server
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy import commands, events, layer, mode_specs, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import _upstream_proxy

from spendgate.capture.scope import folded

OPTION: Final = "upstream_auth"
NOT_LET_IN: Final = " 407 "
"""In mitmproxy's words for a proxy that wants other credentials."""


def proxy_of(texts: Sequence[str]) -> ServerSpec | None:
    """The proxy that these modes lead through, the first where there are several. Raises ValueError."""
    parsed = (mode_specs.ProxyMode.parse(text) for text in texts)
    return next(((mode.scheme, mode.address) for mode in parsed if isinstance(mode, mode_specs.UpstreamMode)), None)


class Credentials(upstream_auth.UpstreamAuth):
    """The addon, in place of mitmproxy's, which gives the proxy's password to the provider of a reverse listener as its key.

    It stands before whatever ends an event of those who are no provider: they go through the proxy, too.
    """

    name = "upstreamauth"

    def load(self, loader: addonmanager.Loader) -> None:
        loader.add_option(OPTION, str | None, None, "USER:PASSWORD for the upstream proxy.")  # type: ignore[arg-type]  # it takes one

    def configure(self, updated: set[str]) -> None:
        """mitmproxy's hook. Raises OptionsError, which does not quote what is wrong."""
        try:
            super().configure(updated)  # type: ignore[no-untyped-call]  # mitmproxy's
        except exceptions.OptionsError:
            raise exceptions.OptionsError(
                "the upstream proxy's credentials are not of the form USER:PASSWORD"
            ) from None

    def requestheaders(self, f: http.HTTPFlow) -> None:
        """mitmproxy's hook: a plain `http://` request is the proxy's own to answer."""
        if self.auth and isinstance(f.client_conn.proxy_mode, mode_specs.UpstreamMode) and f.request.scheme == "http":
            f.request.headers["Proxy-Authorization"] = self.auth.decode("latin-1")


class Redirected(modes.TransparentProxy):
    """The lowest layer of a redirected connection that goes out through a proxy. It connects to nothing by itself."""

    _proxy: ServerSpec

    @classmethod
    def put_in_place_of(cls, lowest: layer.Layer, proxy: ServerSpec) -> None:
        """mitmproxy makes its own where none can be put in its place; this one has handled nothing yet."""
        if type(lowest) is modes.TransparentProxy:
            lowest.__class__ = cls
            lowest._proxy = proxy  # type: ignore[attr-defined]  # it is one of these now

    def finish_start(self) -> layer.CommandGenerator[str | None]:
        self.context.server.via = self._proxy
        self._handle_event = self.child_layer.handle_event
        yield from self.child_layer.handle_event(events.Start())
        return None


class ThroughProxy(_upstream_proxy.HttpUpstreamProxy):
    """The tunnel through the proxy."""

    conn: Server

    def on_handshake_error(self, err: str) -> layer.CommandGenerator[None]:
        yield commands.Log(err, WARNING)
        if NOT_LET_IN in err:
            # Asked for again with the same password, a proxy may lock the account out.
            self.conn.error = err
        yield from super().on_handshake_error(err)


def by_name(context: Context, name: str | None) -> None:
    """A redirected connection is for this name: until now only its address was known."""
    if name is not None and context.server.address is not None and _redirected(context):
        context.server.address = (folded(name), context.server.address[1])


def stack(context: Context) -> tunnel.LayerStack:
    """What is below all other layers towards the server: the tunnel through the proxy, for one that was redirected."""
    return ThroughProxy.make(context, send_connect=True) if _redirected(context) else tunnel.LayerStack()


def _redirected(context: Context) -> bool:
    return any(isinstance(each, Redirected) for each in context.layers[:2])
