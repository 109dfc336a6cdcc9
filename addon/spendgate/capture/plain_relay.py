"""A connection without TLS that is not a provider's, where the policy names hosts that plain HTTP may reach.

Its bytes pass both ways as they are, and nothing of them is kept, parsed or shown to an addon, but what a client sends is
followed from one request's head to the next. A provider is reached by its address as well as by its name, on a connection that
began with another host's request: a head that names one ends the connection before the head's end has left, so that the server
has no request. So does one whose length or end servers take differently, since nobody could tell where the next one begins.
What begins no request where one could begin (a WebSocket's frames, TLS behind a CONNECT, another protocol) is followed no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer, layers
from mitmproxy.proxy.context import Context

from spendgate.capture.coverage import Gap
from spendgate.capture.plain_frames import Frames
from spendgate.capture.plain_heads import HEAD_BYTES_MAX, PREFACE, Other, likely, named, read_head

_SAYS: Final = b"this request can be read in more than one way, or names a host that is metered: send it by itself\n"
ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_SAYS), _SAYS)
)
"""To a connection's first request. Later ones get none: an answer of the server's may be under way."""
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_TRAILER = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*)?\r\n")


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more may pass."""

    host: str | None = None
    """The provider that a head names; None: it is not known whom it is for."""
    gap: Gap = Gap.NOT_HTTP


class Followed:
    """What a client sends. At most `HEAD_BYTES_MAX` and what comes at once are held, of heads and lines between chunks alone."""

    def __init__(self, names: Callable[[str], bool]) -> None:
        self.stop: Stop | None = None
        self.requests = 0
        """How many heads have passed."""
        self._names = names
        self._held = bytearray()
        self._gone = 0
        """How much of what is held has passed already: what is hardly a request's beginning does not wait to be one."""
        self._left = 0
        """Bytes of a body that pass unseen."""
        self._no_more = False
        """Whether this is followed no more."""
        self._step = self._head
        """Of what is held, how much may pass; 0: more is needed."""
        self._frames = Frames()

    def take(self, data: bytes) -> bytes:
        """What may pass on now that this has come."""
        if self._no_more:
            return data
        if not self._held and len(data) <= self._left:
            self._left -= len(data)
            return data
        self._held += data
        passes = bytearray()
        while self._held and (size := self._next()):
            passes += self._held[self._gone : size]
            del self._held[:size]
            self._gone = 0
        if self._step == self._head and self.stop is None and not likely(bytes(self._held[:HEAD_BYTES_MAX])):
            passes += self._held[self._gone :]
            self._gone = len(self._held)
        return bytes(passes)

    def _next(self) -> int:
        if self.stop is not None:
            return 0
        if self._no_more:
            return len(self._held)
        if self._left:
            size = min(self._left, len(self._held))
            self._left -= size
            return size
        return self._step()

    def end(self) -> bytes:
        """What may still pass, where no more will come: the beginning of a head is none, but some servers take it for one."""
        self._may_pass(named(bytes(self._held)), Gap.NOT_HTTP)
        return b"" if self.stop else bytes(self._held[self._gone :])

    def _head(self) -> int:
        found = read_head(bytes(self._held[:HEAD_BYTES_MAX]))
        if found is Other.NO_HTTP:
            self._no_more = True
            return len(self._held)
        if found is Other.HTTP2:
            self._step = self._frame
            return self._held.find(PREFACE) + len(PREFACE)
        if found is None or not self._may_pass(found.hosts, Gap.BEHIND_ANOTHER if found.sure else Gap.NOT_HTTP):
            return 0
        if not found.sure:
            return self._unsure()
        self.requests += 1
        self._left = found.body_bytes or 0
        self._step = self._chunk if found.body_bytes is None else self._head
        return found.size_bytes

    def _chunk(self) -> int:
        line = self._line()
        found = _CHUNK.fullmatch(line)
        if not found:
            return self._unsure() if line else 0
        self._left = int(found[1], 16)
        self._step = self._chunk_end if self._left else self._trailer
        return len(line)

    def _chunk_end(self) -> int:
        if len(self._held) < 2:
            return 0
        if not self._held.startswith(b"\r\n"):
            return self._unsure()
        self._step = self._chunk
        return 2

    def _trailer(self) -> int:
        line = self._line()
        if not _TRAILER.fullmatch(line):
            return self._unsure() if line else 0
        if line == b"\r\n":
            self._step = self._head
        return len(line)

    def _frame(self) -> int:
        try:
            found = self._frames.frame(bytes(self._held[: 2 * HEAD_BYTES_MAX]))
        except ValueError:
            return self._unsure()
        if found is None:
            return 0
        size, self._left, hosts = found
        return size if self._may_pass(hosts, Gap.NO_ALPN) else 0

    def _line(self) -> bytes:
        """Up to its end; nothing where it has none yet. What is too long is told as it is, and matches nothing."""
        end = self._held.find(b"\n", 0, HEAD_BYTES_MAX)
        return bytes(self._held[: end + 1] if end >= 0 else self._held if len(self._held) >= HEAD_BYTES_MAX else b"")

    def _may_pass(self, hosts: tuple[str, ...], gap: Gap) -> bool:
        host = next((host for host in hosts if self._names(host)), None)
        if host is not None:
            self.stop = Stop(host, gap)
        return host is None

    def _unsure(self) -> int:
        self.stop = Stop()
        return 0


class PlainRelay(layers.TCPLayer):
    """Passes every byte on, as long as no head of a client's names a provider. `closed` is told of one that did."""

    def __init__(self, context: Context, names: Callable[[str], bool], closed: Callable[[str, Gap], None]) -> None:
        super().__init__(context, ignore=True)
        self._followed = Followed(names)
        self._closed = closed
        self._answered = False
        """Whether the server has said anything."""

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        """As mitmproxy's own, for what the client sends."""
        if getattr(event, "connection", None) is not self.context.client:
            self._answered = True
            yield from super().relay_messages(event)
            return
        more = isinstance(event, events.DataReceived)
        passes = self._followed.take(event.data) if isinstance(event, events.DataReceived) else self._followed.end()
        if passes:
            yield commands.SendData(self.context.server, passes)
        if self._followed.stop is not None:
            yield from self._end(self._followed.stop)
        elif not more:
            yield from super().relay_messages(event)

    def _end(self, stop: Stop) -> layer.CommandGenerator[None]:
        if stop.host is not None:
            self._closed(stop.host, stop.gap)
        first = not self._answered and not self._followed.requests
        if first and self.context.client.state & ConnectionState.CAN_WRITE:
            yield commands.SendData(self.context.client, ANSWER)
        self._handle_event = self.done
        for each in (self.context.server, self.context.client):
            if each.state is not ConnectionState.CLOSED:
                yield commands.CloseConnection(each)
