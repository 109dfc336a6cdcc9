"""Our way of handing commands on does what mitmproxy's does, for every command there is and for any order of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import connection, options
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    HttpLayer,
    HTTPMode,
    ReceiveHttp,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import RequestData, RequestHeaders, ResponseData

from spendgate.capture.routing import RoutingHttpLayer, forked

HERE = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0.0)
THERE = connection.Server(address=("api.anthropic.com", 443))


class Said(layer.Layer):
    """A child that answers every event with the same commands, once."""

    def __init__(self, parent: context.Context, *said: commands.Command) -> None:
        super().__init__(parent)
        self.said, self.heard = said, []  # type: ignore[var-annotated]

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        self.heard.append(repr(event))
        said, self.said = self.said, ()
        yield from said


class Recording:
    """What a layer does besides yielding commands."""

    done: list[str]

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.done.append(f"stream {stream_id}")
        self.streams[stream_id] = Said(self.context, commands.Log(f"stream {stream_id}"))  # type: ignore[attr-defined]
        yield from ()

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> layer.CommandGenerator[None]:
        self.done.append("get")
        yield commands.Log("got")

    def register_connection(self, command: RegisterHttpConnection) -> layer.CommandGenerator[None]:
        self.done.append("register")
        yield commands.Log("registered")


class Theirs(Recording, HttpLayer):
    pass


class Ours(Recording, RoutingHttpLayer):
    pass


def parent() -> context.Context:
    made = context.Context(HERE, options.Options())
    made.server = THERE
    return made


def every() -> list[Any]:
    """One of each command that a child of the layer can give."""
    return [
        lambda: SendHttp(ResponseData(1, b"x"), HERE),
        lambda: SendHttp(RequestData(1, b"x"), THERE),
        lambda: ReceiveHttp(RequestHeaders(5, object(), end_stream=True)),  # type: ignore[arg-type]
        lambda: ReceiveHttp(RequestData(1, b"y")),
        lambda: ReceiveHttp(ResponseData(7, b"of a stream that is over")),
        lambda: DropStream(1),
        lambda: DropStream(9),
        lambda: GetHttpConnection(("api.anthropic.com", 443), True, None, "tcp"),
        lambda: RegisterHttpConnection(THERE, None),
        lambda: commands.OpenConnection(connection.Server(address=("a.example", 1), id="new")),
        lambda: commands.CloseConnection(HERE),
        lambda: commands.SendData(HERE, b"z"),
        lambda: commands.RequestWakeup(1.0),
        lambda: commands.Log("said"),
    ]


def run(kind: type[Any], said: list[commands.Command]) -> tuple[Any, ...]:
    """What the layer yields and does when a child says this, and what it remembers afterwards."""
    made = kind(parent(), HTTPMode.transparent)
    made.done = []
    client, server, stream = Said(made.context), Said(made.context, commands.Log("server")), Said(made.context)
    made.connections, made.streams = {HERE: client, THERE: server}, {1: stream}
    child = Said(made.context, *said)
    yielded = [repr(command) for command in made.event_to_child(child, events.Start())]
    sources = [(repr(command), source is child) for command, source in made.command_sources.items()]
    opened = [(at.address, at_layer is child) for at, at_layer in made.connections.items() if at not in (HERE, THERE)]
    heard = client.heard, server.heard, stream.heard, child.heard
    return yielded, made.done, sources, opened, sorted(made.streams), heard


@pytest.mark.parametrize("make", every(), ids=lambda make: type(make()).__name__)
def test_each_command_is_handed_on_as_mitmproxy_does(make: Any) -> None:
    """Yielded, kept, or done, and its completion goes to whoever gave it."""
    command = make()
    assert run(Ours, [command]) == run(Theirs, [make()])


@given(st.lists(st.integers(0, len(every()) - 1), max_size=8))
def test_any_order_of_them_is_handed_on_as_mitmproxy_does(order: list[int]) -> None:
    """The blocking ones stop the child that gave them, as ever."""
    makes = every()
    assert run(Ours, [makes[at]() for at in order]) == run(Theirs, [makes[at]() for at in order])


def test_no_command_of_mitmproxys_is_unknown_here() -> None:
    """A new one that its layer handles by name would be missed."""
    source = inspect.getsource(HttpLayer.event_to_child)
    asked = {part.partition(")")[0] for part in source.split("isinstance(command, ")[1:]}
    assert asked == {
        "commands.Command", "commands.RequestWakeup", "ReceiveHttp", "SendHttp", "DropStream", "GetHttpConnection",
        "RegisterHttpConnection", "commands.OpenConnection",
    }  # fmt: skip


def test_a_fork_has_what_mitmproxys_has() -> None:
    """The same client, server and options, and layers of its own."""
    made = parent()
    made.layers = [Said(made)]
    ours, theirs = forked(made), made.fork()
    assert vars(ours) == vars(theirs)
    assert ours.layers is not made.layers
