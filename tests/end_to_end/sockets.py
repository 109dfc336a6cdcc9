"""A WebSocket client through the gate that keeps each message as it came."""

from __future__ import annotations

import hashlib
import json
import ssl
from typing import Any

import wsproto
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

from end_to_end.raw import trust, tunnel
from end_to_end.world import PATIENCE_S, Way

HOST = "api.openai.com"


class Socket:
    """One connection, as Codex opens it to `/v1/responses`."""

    def __init__(
        self, gate: Way, *, deflate: bool = True, target: str = "/v1/responses", organization: str = ""
    ) -> None:
        self._wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._socket: ssl.SSLSocket = trust(gate).wrap_socket(tunnel(gate, HOST), server_hostname=HOST)
        self._socket.settimeout(PATIENCE_S)
        headers = [
            (b"authorization", b"Bearer sk-made-up"),
            (b"session-id", b"0199aaaa-1111"),
            (b"originator", b"codex_exec"),
        ]
        if organization:
            headers.append((b"openai-organization", organization.encode()))
        extensions = [PerMessageDeflate()] if deflate else []
        self._send(Request(host=HOST, target=target, extensions=extensions, extra_headers=headers))
        self.accepted = isinstance(self._next(), AcceptConnection)

    def ask(self, **fields: Any) -> list[str]:
        """Send `response.create`; every message up to the end of its answer."""
        asked = {"type": "response.create", "model": "gpt-5.1", "input": [{"role": "user", "content": "hi"}], **fields}
        self._send(TextMessage(data=json.dumps(asked)))
        messages: list[str] = []
        while not messages or json.loads(messages[-1])["type"] not in (
            "response.completed",
            "response.failed",
            "error",
        ):
            messages.append(self._message())
        return messages

    def say(self, kind: str, until: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a message of this type; every answer up to one of the type `until`, or to the end of the connection."""
        self.send(kind, **fields)
        return self.hear(until)

    def send(self, kind: str, **fields: Any) -> None:
        """Send a message of this type."""
        self.raw(json.dumps({"type": kind, **fields}))

    def raw(self, text: str) -> None:
        """Send this message."""
        self._send(TextMessage(data=text))

    def hear(self, until: str) -> list[dict[str, Any]]:
        """What comes, up to a message of the type `until`, or to the end of the connection."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["type"] != until:
            event = self._next()
            if isinstance(event, CloseConnection):
                return [*found, {"type": "closed", "code": event.code}]
            found.append(json.loads(event.data))
        return found

    def close(self) -> None:
        """Close as a client does."""
        if self.accepted:
            self._send(CloseConnection(code=1000))
        self._socket.close()

    def _send(self, event: Any) -> None:
        self._socket.sendall(self._wire.send(event))

    def _message(self) -> str:
        parts: list[str] = []
        while True:
            event = self._next()
            assert isinstance(event, TextMessage), event
            parts.append(event.data)
            if event.message_finished:
                return "".join(parts)

    def _next(self) -> Any:
        while True:
            for event in self._wire.events():
                if isinstance(event, AcceptConnection | RejectConnection | TextMessage | CloseConnection):
                    return event
            self._wire.receive_data(self._socket.recv(65536) or None)


def digest(messages: list[str]) -> str:
    """As the stand-in hashes what it sent."""
    return hashlib.sha256("".join(messages).encode()).hexdigest()
