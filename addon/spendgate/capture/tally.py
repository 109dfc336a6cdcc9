"""A connection that is not decrypted, and yet counted: bytes each way and times, nothing else (`capture.browsers: count`).

The bytes are those of the encrypted stream, as they pass. The row is written when the connection ends.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.context import Context

from spendgate.capture.call import Call
from spendgate.providers.reading import Reading

NOT_DECRYPTED = "not decrypted"
"""Flag of a row that is a whole connection, of which only bytes and times are known."""


class Tally:
    """What has passed on one connection. It ends as all that is open of its client (`visitor.Unfinished`)."""

    __slots__ = ("_call", "_down")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._down = 0
        call.flags += (NOT_DECRYPTED,)
        call.sent()

    def passed(self, size_bytes: int, *, from_client: bool) -> None:
        """So many bytes more have passed."""
        if from_client:
            self._call.request_bytes += size_bytes
        else:
            self._down += size_bytes
            if self._call.first_byte_ms is None:
                self._call.first_byte()

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over. A second time changes nothing."""
        self._call.end(Reading, response_bytes=self._down)


Tallying = Callable[[str, str], Tally | None]
"""By the id of a client's connection and the host that it is for: what counts it; None: it is nobody's here."""


class TalliedLayer(layers.TCPLayer):
    """Passes every byte on, and counts them."""

    def __init__(self, context: Context, tally: Tally) -> None:
        super().__init__(context, ignore=True)
        self._tally = tally

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.DataReceived):
            self._tally.passed(len(event.data), from_client=event.connection is self.context.client)
        yield from super().handle_event(event)
