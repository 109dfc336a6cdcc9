"""The TLS layers of a decrypted connection: the client's side, and below it the provider's.

Of the provider's handshake the client's needs one thing, the protocol that the provider chooses. Where that is known from before
(`tls.GateTls`), both run at the same time. What the client then says first waits here for the provider's end, so that:

    nothing leaves too early    the layers inside see no byte before the provider is verified, or has failed
    nothing waits without end   beyond `BEHIND_BYTES_MAX` the client is not read; after `PATIENCE_S` the provider has failed
    a failure is the same       its text is the server connection's error, for which the call is answered 502
    the client leaves           what it said is read, and has its row, but the provider has failed: nothing goes there
    another protocol is chosen  it is spoken to the provider, and mitmproxy translates; the next client has the new one

mitmproxy keeps what comes before a handshake in a list without end; that is bounded here in either order.
"""

from __future__ import annotations

from typing import Final

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, layer, layers, tunnel

from spendgate.capture.connections import Waiting, WaitingHook
from spendgate.capture.joined import Joining, JoiningTls

BEHIND_BYTES_MAX = 256 * 1024
"""Bytes of a client that wait for its provider's handshake before no more are read. One more reading may be on its way."""
PATIENCE_S = 10.0
"""How long a client that has said something waits for its provider's handshake. One after the other its own patience with
handshakes would have ended about then (Go and Node have ten seconds, httpx has five); with answers it has ten minutes."""
TOO_LONG: Final = "the TLS handshake took too long"
LEFT: Final = "the client left before the provider's TLS handshake ended"


class _Begin(commands.ConnectionCommand):
    """Begin the provider's handshake. It is not waited for: `_Ended` comes."""


class _GiveUp(commands.ConnectionCommand):
    """The provider's handshake has failed, unless it is over."""

    def __init__(self, connection: Connection, why: str) -> None:
        super().__init__(connection)
        self.why = why


class _Ended(events.ConnectionEvent):
    """The provider's handshake, begun by `_Begin`, is over, well or not."""


class ClientTls(layers.ClientTLSLayer, JoiningTls):
    """The client's side."""

    _held: list[events.Event] | None = None
    """What waits for the provider's handshake; None: nothing has to."""
    _behind = 0
    """Bytes of the client that wait."""
    _timer: commands.RequestWakeup | None = None
    _keeps_tickets = False
    """What OpenSSL has to send can wait for what is sent next."""

    def start_server_tls(self) -> layer.CommandGenerator[str | None]:
        server, below = self.context.server, self.context.layers[self.context.layers.index(self) - 1]
        if server.alpn is not None and server.connected and isinstance(below, ServerTls) and below.wait_for_clienthello:
            self._held = []
            yield _Begin(server)
            return None
        server.alpn = None
        self.handle_event = self._counted  # type: ignore[method-assign]  # for so long alone: every event passes here
        err = yield from super().start_server_tls()
        del self.handle_event
        yield from self._caught_up()
        return err

    def receive_data(self, data: bytes) -> layer.CommandGenerator[None]:
        # Called without data when the handshake has just ended. In TLS 1.3 a server has then nothing to say but its session
        # tickets: they go with what it says first, and cost no write and no waking of the client of their own.
        self._keeps_tickets = not data and self.conn.tls_version == "TLSv1.3"
        return super().receive_data(data)

    def tls_interact(self) -> layer.CommandGenerator[None]:
        if self._keeps_tickets:
            self._keeps_tickets = False
            return iter(())  # type: ignore[return-value]  # a generator of nothing
        return super().tls_interact()

    def _counted(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from self._waits(event)
        yield from super().handle_event(event)

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, _Ended):
            return self._goes_on()
        if isinstance(event, events.Wakeup) and event.command is self._timer:
            return self._waited_enough()
        return super()._handle_event(event)

    def _goes_on(self) -> layer.CommandGenerator[None]:
        held, self._held = self._held or (), None
        yield from self._caught_up()
        for each in held:
            yield from self.event_to_child(each)

    def _waited_enough(self) -> layer.CommandGenerator[None]:
        if self._held is not None:
            yield _GiveUp(self.context.server, TOO_LONG)

    def event_to_child(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self._held is None or self.tunnel_state is tunnel.TunnelState.ESTABLISHING:
            return super().event_to_child(event)
        return self._hold(self._held, event)

    def _hold(self, held: list[events.Event], event: events.Event) -> layer.CommandGenerator[None]:
        held.append(event)
        if isinstance(event, events.ConnectionClosed) and event.connection == self.context.client:
            yield _GiveUp(self.context.server, LEFT)
        yield from self._waits(event)
        if self._timer is None and self._behind:
            self._timer = commands.RequestWakeup(PATIENCE_S)
            yield self._timer

    def _waits(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived) and event.connection == self.context.client:
            before, self._behind = self._behind, self._behind + len(event.data)
            if before <= BEHIND_BYTES_MAX < self._behind:
                yield WaitingHook(Waiting(self.context.client, self.context.server, too_much=True))

    def _caught_up(self) -> layer.CommandGenerator[None]:
        behind, self._behind = self._behind, 0
        if behind > BEHIND_BYTES_MAX:
            yield WaitingHook(Waiting(self.context.client, self.context.server, too_much=False))


class ServerTls(layers.ServerTLSLayer, JoiningTls):
    """The provider's side.

    It may be lost before the client's hello has come (no network, a middlebox that resets what it has accepted). mitmproxy 12
    then begins a handshake on it whose end nobody will tell, and the client waits until its own patience ends. Here the client
    gets its handshake, and its request another connection or a 502.
    """

    _lost = False
    """The connection ended while it waited for the client's hello, and nobody has asked for it since."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        ended = isinstance(event, events.ConnectionClosed) and event.connection == self.tunnel_connection
        return self._lose() if ended and self.wait_for_clienthello else super()._handle_event(event)

    def _lose(self) -> layer.CommandGenerator[None]:
        self.wait_for_clienthello, self._lost = False, True
        yield commands.CloseConnection(self.tunnel_connection)

    def _handle_command(self, command: commands.Command) -> layer.CommandGenerator[None]:
        if isinstance(command, _Begin):
            self.wait_for_clienthello, self.beside = False, True
            self.tunnel_state = tunnel.TunnelState.ESTABLISHING
            yield from self.start_tls()
            if self.tls:
                yield from self.receive_handshake_data(b"")
        elif isinstance(command, _GiveUp):
            if self.beside:
                yield from self._gives_up(command.why)
        elif self._lost and isinstance(command, commands.OpenConnection) and command.connection == self.conn:
            self._lost = False
            yield from self.event_to_child(events.OpenConnectionCompleted(command, "the connection was lost"))
        else:
            yield from super()._handle_command(command)

    def _gives_up(self, why: str) -> layer.CommandGenerator[None]:
        if why is LEFT:  # no fault of the provider's
            self.conn.error = why
            yield commands.CloseConnection(self.tunnel_connection)
        else:
            yield from self.on_handshake_error(why)
        yield from self._handshake_finished(why)

    def _handshake_finished(self, err: str | None) -> layer.CommandGenerator[None]:
        beside, self.beside = self.beside, False
        yield from super()._handshake_finished(err)
        if beside:
            yield from self.event_to_child(_Ended(self.conn))

    def event_to_child(self, event: events.Event) -> layer.CommandGenerator[None]:
        # mitmproxy looks at each command for one that comes before the handshake alone.
        return super().event_to_child(event) if self.wait_for_clienthello else Joining.event_to_child(self, event)
