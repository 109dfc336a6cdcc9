"""TLS layers that send what one event brings forth in one piece: mitmproxy makes a TLS record and a system call of each part.

A head with its body, or the events of a stream that came in one packet, are then one record and one write, not two or fifty;
writing was a fifth of the time of a small call and more of a stream's. Nothing waits: what is joined was made by one run of the
layers on bytes that had all come, and it leaves before any other command of that run (a hook may take time) and at its end.
"""

from __future__ import annotations

from logging import WARNING

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer, layers, tunnel
from OpenSSL import SSL

from spendgate.capture import openssl

PIECE_BYTES = 128 * 1024
"""So much is encrypted before it leaves: whoever is to read a longer body begins while the rest is still encrypted."""


class Joining(tunnel.TunnelLayer):
    """Joins consecutive sends into the tunnel."""

    beside = False
    """Whether its handshake runs while the layers inside go on."""

    def event_to_child(self, event: events.Event) -> layer.CommandGenerator[None]:
        waits = self.tunnel_state is tunnel.TunnelState.ESTABLISHING and not self.beside
        if waits and not self.command_to_reply_to:
            yield from super().event_to_child(event)
            return
        parts: list[bytes] = []
        conn = self.conn
        try:
            for command in self.child_layer.handle_event(event):
                ours = isinstance(command, commands.ConnectionCommand) and (
                    command.connection is conn or command.connection == conn
                )
                if ours and isinstance(command, commands.SendData):
                    parts.append(command.data)
                    continue
                if parts:
                    data, parts = b"".join(parts), []
                    yield from self._send(data)
                if ours:
                    yield from self._handle_command(command)
                else:
                    yield command
        except Exception:
            if parts:  # a fault in what follows must not keep them back
                yield from self._send(b"".join(parts))
            raise
        if parts:
            yield from self._send(b"".join(parts))

    def _send(self, data: bytes) -> layer.CommandGenerator[None]:
        if len(data) <= PIECE_BYTES:
            yield from self.send_data(data)
            return
        for at in range(0, len(data), PIECE_BYTES):
            yield from self.send_data(data[at : at + PIECE_BYTES])


class JoiningTls(layers.tls.TLSLayer, Joining):
    """TLS that asks OpenSSL what there is to read and to send: finding nothing is an exception, which costs more than reading."""

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """A layer that stands open waits for no answer of its own, and what waits further in has been marked there: its events
        need not pass what looks for either."""
        if self.tunnel_state is not tunnel.TunnelState.OPEN or self._paused or self.debug is not None:
            return super().handle_event(event)
        if type(event) is events.DataReceived:
            if event.connection == self.tunnel_connection:
                return self.receive_data(event.data)
            return self.event_to_child(event)
        return self._handle_event(event)

    def receive_data(self, data: bytes) -> layer.CommandGenerator[None]:
        """Decrypt what came, for the layer inside; one event of all of it, as stock."""
        openssl.receive(self.tls, data)
        parts: list[bytes] = []
        closed = False
        try:
            parts.append(openssl.read(self.tls))
            while openssl.unread(self.tls):
                parts.append(openssl.read(self.tls))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            closed = True
        except SSL.Error as error:  # an alert of a peer that does not trust us may come as late as this
            yield commands.Log(f"TLS Error: {error}", WARNING)
        yield from self.tls_interact()  # after the reading, which may have brought something to say
        if parts:
            yield from self.event_to_child(events.DataReceived(self.conn, b"".join(parts)))
        if closed:
            self.conn.state &= ~ConnectionState.CAN_READ
            yield from self.event_to_child(events.ConnectionClosed(self.conn))

    def tls_interact(self) -> layer.CommandGenerator[None]:
        if data := openssl.sent(self.tls):
            yield commands.SendData(self.conn, data)

    def send_data(self, data: bytes) -> layer.CommandGenerator[None]:
        try:
            openssl.write(self.tls, data)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            pass  # the peer takes no more; it may still be saying something
        yield from self.tls_interact()
