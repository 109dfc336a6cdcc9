"""mitmproxy's HTTP layer, which hands some thirty commands of each call on, with less work for each.

mitmproxy asks of every command whether it is one of nine kinds, the commonest last; here its class is looked up. And each
stream's context is made with the server that it will have, not first with one of its own that is thrown away.

A stream that is over refers to itself, by its context and by its own methods: it would stay, with its whole exchange, until the
garbage collector comes. Here it is emptied when the next event comes, so that all of it is gone at once.

`tests/capture/test_routing.py` holds both to mitmproxy's own.
"""

from __future__ import annotations

from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpLayer,
    HTTPMode,
    HttpStream,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestHeaders


class RoutingHttpLayer(HttpLayer):
    """An HTTP layer that knows its commands by their class."""

    def __init__(self, context: context.Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self._over: list[HttpStream] = []
        """Streams that were dropped; they may still have something to say in this event."""

    def forget_streams(self) -> None:
        """Empty the streams that are over. Between two events alone: no stream is then in the middle of one."""
        over, self._over = self._over, []
        for stream in over:
            if stream._paused is None:  # else it waits for an answer, whatever it was about
                stream.__dict__.clear()

    def event_to_child(self, child: layer.Layer | HttpStream, event: events.Event) -> layer.CommandGenerator[None]:
        for command in child.handle_event(event):
            if type(command) is SendHttp:
                yield from self.event_to_child(self.connections[command.connection], command.event)
            elif type(command) is ReceiveHttp:
                yield from self._received(command)
            elif type(command) is commands.SendData:
                yield command
            else:
                yield from self._rarer(child, command)

    def _received(self, command: ReceiveHttp) -> layer.CommandGenerator[None]:
        event = command.event
        if isinstance(event, RequestHeaders):
            yield from self.make_stream(event.stream_id)
        stream = self.streams.get(event.stream_id)
        if stream is not None:  # else it is over, and what still comes for it is for nobody
            yield from self.event_to_child(stream, event)

    def _rarer(self, child: layer.Layer | HttpStream, command: commands.Command) -> layer.CommandGenerator[None]:
        if command.blocking or isinstance(command, commands.RequestWakeup):
            self.command_sources[command] = child  # where its completion goes
        if isinstance(command, DropStream):
            stream = self.streams.pop(command.stream_id, None)
            if stream is not None:
                self._over.append(stream)
        elif isinstance(command, GetHttpConnection):
            yield from self.get_connection(command)
        elif isinstance(command, RegisterHttpConnection):
            yield from self.register_connection(command)
        else:
            if isinstance(command, commands.OpenConnection):
                self.connections[command.connection] = child
            yield command


def forked(parent: context.Context) -> context.Context:
    """As `Context.fork`, without a server that nobody will ask for."""
    made = context.Context.__new__(context.Context)
    made.client, made.options, made.server = parent.client, parent.options, parent.server
    made.layers = parent.layers.copy()
    return made
