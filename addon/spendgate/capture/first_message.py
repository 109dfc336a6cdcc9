"""The beginning of a request that stays open, on which it is decided, and what is kept of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http._events import RequestData, RequestProtocolError

QUEUED_BYTES_MAX = 64 * 1024 * 1024
"""Of a request whose first message waits to be decided: so much may come behind it."""


@dataclass(slots=True)
class FirstMessage:
    """How much of a streamed request must be there before it is decided, and, once it is there, that beginning."""

    complete: Callable[[bytes | bytearray], bool]
    """Whether these bytes hold the whole first message."""
    bytes_max: int = 64 * 1024
    body: bytes = b""
    gathered: bytearray = field(default_factory=bytearray)
    """What has come, until then."""


def gave_up(queued: Iterable[events.Event]) -> bool:
    """Whether a client has reset its stream while a hook waits, or sends on and on, which would be kept."""
    kept = 0
    for event in queued:
        if isinstance(event, RequestProtocolError):
            return True
        if isinstance(event, RequestData):
            kept += len(event.data)
    return kept > QUEUED_BYTES_MAX
