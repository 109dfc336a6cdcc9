"""The meter: mitmproxy's hooks, translated. Every exchange on a provider's connection passes here and gets its one row.

    client_connected   whose connection is this                     Visitor
    requestheaders     which provider, dialect, path                registry.route
    first_message      as `request`, of one that stays open         Spoken
    request            what does it ask; may it leave               Deciding: dialect.ask, attribute, gate.hold
    responseheaders    a tap beside the response                    dialect.reader, Tap
    response | error   how it ended, once                           Call.end

mitmproxy logs a hook's exception and lets the request pass. So nothing here raises: a fault before the hold is the policy's
`on_failure` to decide, a fault after it is a flag on the row, and the log gets the fault's class, never its text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from functools import partial

from mitmproxy import connection, http
from msgspec.structs import replace

from spendgate.attribution import NOBODY, Peer
from spendgate.capture import asked, handshake, parting, refusal
from spendgate.capture.boundary import safely
from spendgate.capture.call import Call, Clock
from spendgate.capture.dates import Dates, tell
from spendgate.capture.deciding import Attribute, Deciding
from spendgate.capture.ends import leaver
from spendgate.capture.first_message import FirstMessage
from spendgate.capture.flow import Cut, MeteredFlow, kill
from spendgate.capture.next_layer import nobodys
from spendgate.capture.pages import of_a_page
from spendgate.capture.passage import Passage
from spendgate.capture.scope import folded
from spendgate.capture.socket_calls import SocketCalls
from spendgate.capture.tally import Tally
from spendgate.capture.turns import Turns
from spendgate.capture.visitor import Visitor
from spendgate.gate.interface import GatePort
from spendgate.identity.interface import Lookup
from spendgate.providers.ask import Ask
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Kind, Route
from spendgate.providers.reading import Reading

logger = logging.getLogger(__name__)


class Meter:
    """The addon. Give it to the launcher beside `MeteredHttpLayer`; without that layer's flows nothing is metered or passes."""

    def __init__(
        self,
        gate: GatePort,
        registry: asked.Registry,
        lookup: Lookup,
        attribute: Attribute,
        *,
        machine: str,
        clock: Clock | None = None,
    ) -> None:
        """`attribute` says who a call is of, by the policy that is in force when it is called."""
        self._gate = gate
        self._registry = registry
        self._lookup = lookup
        self._attribute = attribute
        self._machine = machine
        self._clock = clock or Clock()
        self._dates = Dates()
        self._visitors: dict[str, Visitor] = {}
        self._sockets = SocketCalls(gate, self._clock, machine, attribute)
        self._deciding = Deciding(gate, self._clock, attribute, self._sockets)
        self.visited = False
        """Whether any connection has come."""
        self._turns = Turns()

    def policy_changed(self, registry: asked.Registry) -> None:
        """Another policy is in force: its providers hold for the next request, and no refusal is repeated from memory.

        On a WebSocket no request will come: one to a host that is captured no longer is told to end.
        """
        self._registry = registry
        self._deciding.forget()
        for socket in [visitor.socket for visitor in self._visitors.values() if visitor.socket is not None]:
            passage = _passage_of(socket)
            if passage is not None and asked.left_behind(socket, registry):
                safely(partial(handshake.left_behind, socket, passage, self._sockets))

    def peer_of(self, connection_id: str) -> Peer:
        """Whose connection this is, as far as is known by now."""
        visitor = self._visitors.get(connection_id)
        return visitor.peer if visitor else NOBODY

    def whose(self, connection_id: str) -> Awaitable[Peer]:
        """As `peer_of`, with the process, where it is found in time: also when the connection has ended meanwhile."""
        visitor = self._visitors.get(connection_id)
        return visitor.known() if visitor else nobodys(connection_id)

    def tally(self, connection_id: str, host: str) -> Tally | None:
        """What counts a connection to a provider that is not decrypted; None where it is none of ours. Never raises."""
        visitor = self._visitors.get(connection_id)
        if visitor is None or self._registry.host(host) is None:
            return None
        try:
            route = self._registry.route(Head("CONNECT", host, "/", "", CaseInsensitive({})))
            route = replace(route, kind=Kind.UNRECOGNIZED, path="*", websocket=False)
            call = Call(self._gate, self._clock, host, route, self._machine)
            call.attribution = self._attribute(visitor.peer, call.ask)
        except Exception as fault:  # noqa: BLE001 - the connection passes all the same
            logger.error("a connection could not be counted: %s", type(fault).__name__)
            return None
        tally = visitor.open[call.call_id] = Tally(call)
        return tally

    # connections

    def client_connected(self, client: connection.Client) -> None:
        if not client.error:  # else it is turned away, and asks for nothing
            self.visited = True
            self._visitors[client.id] = Visitor(client, self._lookup, self._turns)

    def client_disconnected(self, client: connection.Client) -> None:
        visitor = self._visitors.pop(client.id, None)
        if visitor is not None:
            safely(lambda: visitor.leave(leaver()))

    def done(self) -> None:
        """The gate stops: what still runs ends here, at what is known of it."""
        for visitor in self._visitors.values():
            visitor.leave("gate")
        self._turns.shutdown()

    # requests

    def http_connect(self, flow: http.HTTPFlow) -> None:
        if isinstance(flow, MeteredFlow):
            flow.captured = self._registry.host(folded(flow.request.host)) is not None

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if not flow.live:
            return
        if asked.left_behind(flow, self._registry):
            call = Call(self._gate, self._clock, folded(flow.client_conn.sni or ""), parting.ROUTE, self._machine)
            parting.part(flow, call, self._visitors.get(flow.client_conn.id), self._attribute)
            return
        head = asked.head_of(flow, self._registry)
        if head is None:
            flow.request.stream = True
        elif not isinstance(flow, MeteredFlow):
            logger.error("a provider's exchange came without a metered stream; it is not let through")
            kill(flow)
        else:
            passage = flow.watch = self._passage(flow, head)
            if asked.misdirected(flow, head, self._registry):
                flow.response = passage.goes_nowhere(refusal.misdirected(), "names two providers")
                self._claims(passage)
            elif of_a_page(flow):
                flow.response = passage.goes_nowhere(refusal.of_a_page(), "asked by a web page")
                self._claims(passage)
            elif asked.ambiguous(flow.request):
                flow.response = passage.goes_nowhere(refusal.ambiguous(), "a field with a line break")
                self._claims(passage)
            elif passage.call.route.kind is not Kind.BILLABLE:
                self._claims(passage)
                flow.request.stream = passage.upload
            elif passage.spoken is not None and passage.spoken.streamed:
                flow.request.stream = passage.upload_open
                flow.first = FirstMessage(passage.spoken.begun, passage.spoken.first_bytes_max)

    async def first_message(self, flow: MeteredFlow) -> None:
        """The beginning of a request that stays open is here."""
        passage = _passage_of(flow)
        if passage is None or not passage.undecided or flow.first is None:
            return
        passage.begun(len(flow.first.body))
        await self._deciding.decide(flow, passage, flow.first.body)

    async def request(self, flow: http.HTTPFlow) -> None:
        passage = _passage_of(flow)
        if passage is None or not passage.undecided or not isinstance(flow, MeteredFlow):
            return
        call = passage.call
        call.request_bytes = len(flow.request.raw_content or b"")
        flow.response = passage.oversized(call.request_bytes)
        if flow.response is None:
            await self._deciding.decide(flow, passage)

    def _passage(self, flow: MeteredFlow, head: Head) -> Passage:
        try:
            route = self._registry.route(head)
            head = replace(head, keys=route.keys)
            dialect = self._registry.dialect(route.dialect) if route.kind in (Kind.BILLABLE, Kind.RESULT) else None
            fault = None
        except Exception as raised:  # noqa: BLE001 - a request that cannot be routed is decided by `on_failure`, not passed
            fault = raised
            route, dialect = Route(provider="unknown", dialect="unknown", kind=Kind.BILLABLE, path="*"), None
        call = Call(self._gate, self._clock, head.host, route, self._machine)
        visitor = self._visitors.get(flow.client_conn.id)
        if visitor is None:
            visitor = self._visitors[flow.client_conn.id] = Visitor(flow.client_conn, self._lookup, self._turns)
        return Passage(call, head, dialect, visitor, fault)

    def _claims(self, passage: Passage) -> None:
        """Whose exchange it is, where the body is not read. Nobody waits for its process, so its end asks once more."""
        call = passage.call
        passage.claims = partial(self._claims, passage) if passage.visitor.looking else None
        try:
            call.ask = asked.claimed(passage.head, Ask())
            call.attribution = self._attribute(passage.visitor.peer, call.ask)
        except Exception as fault:  # noqa: BLE001 - it costs nothing, and has its row
            logger.error("an exchange could not be attributed: %s", type(fault).__name__)

    async def sent(self, flow: http.HTTPFlow) -> None:
        """The ledger was busy when a head was about to leave: it leaves once the ledger has it."""
        passage = _passage_of(flow)
        try:
            if passage is not None:
                await passage.call.noted()
        except Exception as fault:  # noqa: BLE001 - it was admitted, and a fault of ours must not keep it back
            logger.error("an exchange leaves before the ledger says so: %s", type(fault).__name__)

    # responses

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if not flow.live or flow.response is None:
            return
        passage = _passage_of(flow)
        if passage is None:
            flow.response.stream = True
        elif not passage.call.ended and isinstance(flow, MeteredFlow):
            passage.call.replied(flow.response.status_code)
            tell(self._dates, self._gate, self._clock, flow, passage.call.host)
            if flow.response.status_code == 101:
                if not handshake.switched(flow, passage):
                    kill(flow)
                elif asked.left_behind(flow, self._registry):  # the policy has changed since it was asked for
                    passage.call.flags += (asked.LEFT_BEHIND,)
                    kill(flow)
                else:
                    passage.visitor.socket = flow
            else:
                flow.response.stream = passage.tapped(flow.response, lambda reading: self._cue(flow, passage, reading))

    def response(self, flow: http.HTTPFlow) -> None:
        passage = _passage_of(flow)
        if passage is not None and flow.websocket is None and isinstance(flow, MeteredFlow):
            safely(lambda: passage.end(flow))

    def error(self, flow: http.HTTPFlow) -> None:
        passage = _passage_of(flow)
        if passage is not None and isinstance(flow, MeteredFlow):
            safely(lambda: passage.end(flow))

    def _cue(self, flow: MeteredFlow, passage: Passage, reading: Reading) -> None:
        asyncio.get_running_loop().call_soon(self._progress, flow, passage, reading)

    def _progress(self, flow: MeteredFlow, passage: Passage, reading: Reading) -> None:
        """Correct the hold; end the stream where its budget can no longer carry it."""
        call, tap = passage.call, passage.tap
        if call.ended or tap is None or passage.dialect is None or tap.cut is not None:
            return
        said = self._gate.progress(call.call_id, reading)
        if said is not None and call.cut:
            tap.cut = passage.dialect.cut(said)
            self._sockets.inject(Cut(flow, None))


def _passage_of(flow: http.HTTPFlow) -> Passage | None:
    """None for whatever is not metered: replayed and loaded flows, and hosts that are no provider's."""
    watch = flow.watch if isinstance(flow, MeteredFlow) else None
    return watch if isinstance(watch, Passage) else None
