"""mitmproxy's HTTP layer with metered streams, and with connections that do what a client and a provider expect of each other."""

from __future__ import annotations

from mitmproxy.proxy import context, events, layer, mode_specs
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode

from spendgate.capture.http1 import ClientHttp1
from spendgate.capture.http2 import ClientHttp2, ProviderHttp2
from spendgate.capture.queueing import QueueingHttpLayer
from spendgate.capture.routing import forked
from spendgate.capture.stream import MeteredHttpStream


class MeteredHttpLayer(QueueingHttpLayer):
    """mitmproxy's HTTP layer with metered streams, and with injected events that find their stream over HTTP/2 too."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._over:
            self.forget_streams()
        if isinstance(event, events.MessageInjected):
            return self._injected(event)
        if isinstance(event, events.Start):
            return self._begin(event)
        if (
            isinstance(event, events.DataReceived)
            and event.connection not in self.connections
            and self.context.server.alpn == b"h2"
        ):
            return self._settings(event)
        return super()._handle_event(event)

    def _injected(self, event: events.MessageInjected[object]) -> layer.CommandGenerator[None]:
        yield from self._inject(event)
        yield from self.next_in_turn()

    def _settings(self, event: events.DataReceived) -> layer.CommandGenerator[None]:
        """A provider's, which come before any request."""
        early = self.connections[event.connection] = ProviderHttp2(self.context.fork())
        yield from self.event_to_child(early, events.Start())
        yield from super()._handle_event(event)

    def _begin(self, event: events.Start) -> layer.CommandGenerator[None]:
        """As mitmproxy, which makes connections of its own first and would drop them here."""
        client = self.context.client
        made = ClientHttp2 if client.alpn == b"h2" else ClientHttp1
        ours = self.connections[client] = made(self.context.fork())
        yield from self.event_to_child(ours, event)
        if self.mode is HTTPMode.upstream and isinstance(client.proxy_mode, mode_specs.UpstreamMode):
            self.context.server.via = (client.proxy_mode.scheme, client.proxy_mode.address)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = MeteredHttpStream(forked(self.context), stream_id, self)
        yield from self.event_to_child(self.streams[stream_id], events.Start())

    def _inject(self, event: events.MessageInjected[object]) -> layer.CommandGenerator[None]:
        """To the stream of the event's flow; else through the CONNECT tunnel, in which another layer knows it."""
        tunnel = None
        for stream in self.streams.values():
            if getattr(stream, "flow", None) is event.flow:
                yield from self.event_to_child(stream, event)
                return
            if stream.child_layer is not None:
                tunnel = stream
        if tunnel is not None:
            yield from self.event_to_child(tunnel, event)


def metered(context: context.Context, http_layer: HttpLayer) -> MeteredHttpLayer:
    """The metered layer in place of a stock one that was just made and has seen no event."""
    context.layers.remove(http_layer)
    return MeteredHttpLayer(context, http_layer.mode)
