"""The answer to a WebSocket handshake: let it go to the provider, refuse it, or accept it here to say why in a frame.

A client that throws the body of a refused handshake away (Codex does, addon/README.md) hears a refusal only inside the
protocol. So for such a tool the gate accepts the handshake itself, nothing goes to the provider, and each `response.create`
is answered with the dialect's error frame. Of a realtime session, whose turns need no create, the first message is the error
event, and the last: its clients (openai's, by `websockets`) show of a refused handshake nothing but its status.
"""

from __future__ import annotations

from typing import Protocol, cast

from mitmproxy import http
from mitmproxy.proxy import events
from msgspec.structs import replace
from wsproto.utilities import generate_accept_token

from spendgate.capture import refusal
from spendgate.capture.call import Call
from spendgate.capture.flow import MeteredFlow
from spendgate.capture.overhearing import Overhearing, Turned
from spendgate.capture.passage import Passage
from spendgate.capture.socket import Talk
from spendgate.capture.socket_layer import Deliver, Push
from spendgate.exchange import State
from spendgate.gate.interface import GatePort, Refused
from spendgate.providers.ask import Ask
from spendgate.providers.cased import CasedSocket
from spendgate.providers.headers import asks_websocket
from spendgate.providers.interface import Kind
from spendgate.providers.socket_interface import OverheardDialect, SocketDialect

HEARS_FRAMES_ONLY = frozenset({"codex"})
"""Tools that show the text of an error frame, and lose that of a refused handshake."""


class Host(Protocol):
    """What a conversation needs of the meter that it belongs to."""

    def create(self, passage: Passage, ask: Ask, request_bytes: int) -> Call:
        """An attributed call of its own for one `response.create`."""
        ...

    def inject(self, event: events.MessageInjected[tuple[Push, ...]]) -> None:
        """Into the running connection of the event's flow."""
        ...


def answer(flow: MeteredFlow, passage: Passage, refused: Refused | None, gate: GatePort, host: Host) -> None:
    """Prepare the flow for what follows the handshake. `refused`: every call on it would be, with the reason."""
    call = passage.call
    dialect = cast(SocketDialect, passage.dialect)
    flow.request.headers["upgrade"] = "websocket"  # whatever else was offered: of no other protocol is anything read
    if refused is not None and turns(passage, strict=refused.strict):
        call.written_off(State.REFUSED)
        flow.response = _accepted(flow.request)
        spoken = cast(OverheardDialect, passage.dialect)
        frame = spoken.refusal_frame(refusal.notice(refused), call.attribution.tool)
        passage.visitor.open[call.call_id] = flow.conversation = Turned(passage, frame)
        return
    by_frame = refused is not None and hears_frames_only(passage)
    if refused is None or by_frame:
        # The handshake itself costs nothing and has a row of its own; its creates are the calls.
        call.route = replace(call.route, kind=Kind.FREE)
    if by_frame:
        flow.response = _accepted(flow.request)
        call.answered_here(flow.response.status_code)
    elif refused is not None:
        call.written_off(State.REFUSED)
        flow.response = passage.refused(refused)
    if refused is None and isinstance(passage.dialect, OverheardDialect):
        session = Overhearing(
            passage,
            passage.dialect,
            gate,
            open_call=lambda ask, size: host.create(passage, ask, size),
            deliver=lambda pushes: host.inject(Deliver(flow, pushes)),
        )
        passage.visitor.open[call.call_id] = flow.conversation = session
    elif refused is None or by_frame:
        talk = _talk(flow, passage, dialect, gate, host, upstream=refused is None)
        passage.visitor.open[call.call_id] = flow.conversation = talk


def hears_frames_only(passage: Passage) -> bool:
    """Whether this client reads a refusal in the protocol alone, and the protocol has a message to be refused."""
    return passage.call.attribution.tool in HEARS_FRAMES_ONLY and not isinstance(passage.dialect, OverheardDialect)


def turns(passage: Passage, *, strict: bool) -> bool:
    """Whether a refusal of this handshake is told in its protocol at once. Under `refusals: strict` it is a 429 as all are."""
    return not strict and isinstance(passage.dialect, OverheardDialect)


class Counted:
    """The conversation of a socket that no dialect reads: every message passes, its bytes are counted, its row ends with it."""

    upstream = True
    first: tuple[Push, ...] = ()

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    def from_client(self, content: bytes, text: bool) -> None:
        """None: it passes as it is."""
        self._passage.upload(content)

    def from_server(self, content: bytes) -> None:
        self._passage.download(content)

    def ended(self, by_client: bool) -> None:
        self._passage.finish(complete=True, error=None)


def switched(flow: MeteredFlow, passage: Passage) -> bool:
    """Whether what follows a 101 can be let through: a read conversation, or a WebSocket on a path that no table knows.

    A switch that nobody asked for by that name, or on a path that is none of the two, would go past the meter.
    """
    route = passage.call.route
    if flow.conversation is not None or route.websocket:
        return True
    if route.kind is not Kind.UNRECOGNIZED or not asks_websocket(passage.head.headers.get("upgrade")):
        return False
    flow.conversation = Counted(passage)
    return True


def _talk(
    flow: MeteredFlow, passage: Passage, dialect: SocketDialect, gate: GatePort, host: Host, *, upstream: bool
) -> Talk:
    reader = dialect.socket(passage.head)
    return Talk(
        gate,
        dialect,
        CasedSocket(reader) if passage.call.route.own else reader,
        open_call=lambda ask, size: host.create(passage, ask, size),
        deliver=lambda pushes: host.inject(Deliver(flow, pushes)),
        ended=lambda: passage.finish(complete=True, error=None),
        upstream=upstream,
    )


def _accepted(request: http.Request) -> http.Response:
    """A 101 of our own, without extensions."""
    token = generate_accept_token(request.headers.get("sec-websocket-key", "").encode())
    headers = http.Headers([(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", token)])
    response = http.Response.make(101, b"", headers)
    del response.headers["content-length"]
    return response
