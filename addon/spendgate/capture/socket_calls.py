"""What a conversation needs of the meter that it belongs to: calls of its own, and a way into its running connection."""

from __future__ import annotations

from mitmproxy import ctx
from mitmproxy.proxy import events
from msgspec.structs import replace

from spendgate.capture.call import Call, Clock
from spendgate.capture.deciding import Attribute
from spendgate.capture.flow import Cut
from spendgate.capture.passage import Passage
from spendgate.capture.socket_layer import Push
from spendgate.gate.interface import GatePort
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind


class SocketCalls:
    """`handshake.Host`, for every conversation of a gate."""

    def __init__(self, gate: GatePort, clock: Clock, machine: str, attribute: Attribute) -> None:
        """`attribute` as the meter has it."""
        self._gate = gate
        self._clock = clock
        self._machine = machine
        self._attribute = attribute

    def create(self, passage: Passage, ask: Ask, request_bytes: int) -> Call:
        """A call of its own for one `response.create` on this connection."""
        call = Call(self._gate, self._clock, passage.call.host, passage.call.route, self._machine)
        call.route = replace(call.route, kind=Kind.BILLABLE)
        call.ask, call.request_bytes = ask, request_bytes
        call.attribution = self._attribute(passage.visitor.peer, ask)
        return call

    def inject(self, event: events.MessageInjected[tuple[Push, ...]] | Cut) -> None:
        """Into the running connection of the event's flow; nothing where it has ended."""
        server = ctx.master.addons.lookup.get("proxyserver")
        if server is not None and event.flow.client_conn.id in server.connections:
            server.inject_event(event)
