"""The two ends of a client connection, as the system that is asked about it knows them, and who ends it.

What mitmproxy's redirector brings (`local` mode) comes with the process that opened it, and on macOS with no address of the
client's own (mitmproxy_rs, `Stream.get_extra_info`): mitmproxy's own `Client` leaves that out, so it is asked for at the stream.
"""

from __future__ import annotations

from mitmproxy import connection, ctx
from mitmproxy.proxy.mode_specs import LocalMode

from spendgate.identity.interface import Endpoints


def ends_of(client: connection.Client) -> Endpoints:
    """Of a connection that runs. In transparent mode mitmproxy's `sockname` is the original destination."""
    # IPv6 addresses come with flow and scope.
    local, remote = client.peername[:2], client.sockname[:2]
    return Endpoints(local, remote, _opener(client) if isinstance(client.proxy_mode, LocalMode) else None)


def leaver() -> str:
    """Who ends what a client's connection carries when that is gone: the client, or the gate where it stops."""
    server = ctx.master.addons.lookup.get("proxyserver") if hasattr(ctx, "master") else None
    return "gate" if getattr(server, "closing", False) else "client"


def _opener(client: connection.Client) -> int | None:
    """The process that the redirector names; None where it names none."""
    server = ctx.master.addons.lookup.get("proxyserver")
    handler = server.connections.get(client.id) if server is not None else None
    if handler is None or client not in handler.transports:
        return None
    pid = handler.transports[client].writer.get_extra_info("pid", None)
    return pid if isinstance(pid, int) and pid > 0 else None
