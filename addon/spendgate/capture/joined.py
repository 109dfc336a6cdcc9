"""TLS layers that send what one event brings forth in one piece: mitmproxy makes a TLS record and a system call of each part.

A head with its body, or the events of a stream that came in one packet, are then one record and one write, not two or fifty;
writing was a fifth of the time of a small call and more of a stream's. Nothing waits: what is joined was made by one run of the
layers on bytes that had all come, and it leaves before any other command of that run (a hook may take time) and at its end.
"""

from __future__ import annotations

from mitmproxy.proxy import commands, events, layer, layers, tunnel
from OpenSSL import SSL

PIECE_BYTES = 128 * 1024
"""So much is encrypted before it leaves: whoever is to read a longer body begins while the rest is still encrypted."""
READ_MOST = 65_535
"""Bytes of one piece of what OpenSSL has to send. A shorter piece was all of it."""


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
    """TLS that takes what OpenSSL has to send at once: an empty hand is an exception, which costs more than the reading."""

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

    def tls_interact(self) -> layer.CommandGenerator[None]:
        size = READ_MOST
        while size == READ_MOST:
            try:
                data = self.tls.bio_read(READ_MOST)
            except SSL.WantReadError:
                return
            yield commands.SendData(self.conn, data)
            size = len(data)
