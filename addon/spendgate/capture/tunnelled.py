"""mitmproxy's HTTP layer with a short way through a CONNECT tunnel.

Once a client's CONNECT is answered, mitmproxy goes on to take each packet for a piece of a request's body, and each answer for
a piece of a response's: two layers and a stream, for every command of everything that is in the tunnel. Here the layers inside
are asked directly. What the two said on their way is kept: a close of the client's side happens once. But a half-close stays
one, where mitmproxy closes the tunnel whole and drops what is still on its way: some protocols answer only what has ended.
"""

from __future__ import annotations

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._http1 import Http1Server

from spendgate.capture.routing import RoutingHttpLayer


class TunnellingHttpLayer(RoutingHttpLayer):
    """An HTTP layer that steps aside when it has become a tunnel."""

    _inside: layer.Layer | None = None
    """What is in the tunnel; None: this is none, or not yet."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._inside is not None:
            return self._through(self._inside, event)
        if self.mode is HTTPMode.transparent:
            return super().handle_event(event)
        return self._opening(event)

    def _opening(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().handle_event(event)
        client = self.connections.get(self.context.client)
        if not isinstance(client, Http1Server) or client.state != client.passthrough:
            return
        stream = self.streams.get(client.stream_id)
        if (
            stream is not None
            and stream.flow.request.method == "CONNECT"
            and stream._handle_event == stream.passthrough
        ):
            self._inside = stream.child_layer

    def _through(self, inside: layer.Layer, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.CommandCompleted):
            self.command_sources.pop(event.command, None)  # asked before the tunnel stood
        for command in inside.handle_event(event):
            if not isinstance(command, commands.CloseConnection) or _half(command):
                yield command
            elif command.connection != self.context.client or command.connection.state & ConnectionState.CAN_WRITE:
                yield commands.CloseConnection(command.connection)


def _half(command: commands.CloseConnection) -> bool:
    return isinstance(command, commands.CloseTcpConnection) and command.half_close
