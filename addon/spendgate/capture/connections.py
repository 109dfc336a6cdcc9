"""mitmproxy's HTTP connections with what they lack, by subclassing (`http1`, `http2`), and what those tell.

What stock mitmproxy 12.2 does, and what a client would suffer from it compared with a direct connection:

    chunked trailers    HTTP/1: raises, the exchange hangs         here: passed on, both ways (stock HTTP/2 passes them)
    1xx before a reply  HTTP/1: a 103 is taken for the answer      here: passed on, and the answer follows (RFC 9110, 15.2)
                        HTTP/2: swallowed, the answer follows      as stock: a client can tell no difference but its absence
    a long head         HTTP/1: kept without end, both ways        here: closed at `HEAD_BYTES_MAX`
    chunks' lines       HTTP/1: kept without end, trailers too      here: closed at `HEAD_BYTES_MAX`
    taken back          HTTP/2: each makes room for the next        here: closed at `TAKEN_BACK_MAX`
    a reply of ours     HTTP/1: head and body in two TLS records   here: in one; clients that read once keep its text
    empty lines first   HTTP/1: one an event                       here: skipped (RFC 9112, 2.2), closed at `HEAD_BYTES_MAX`
    unreadable bytes    closed                                     here: closed, and told by `UnreadableHook`
    an error's head     names mitmproxy and its version            here: names nobody
    a goodbye           HTTP/2: breaks off what runs               here: what runs goes on, what comes has a new connection
    a refused stream    HTTP/2: an error as any                    here: told by `Unprocessed`, since it cost nothing
    a shut window       HTTP/2: what waits for it grows for ever   here: told by `WaitingHook`, so that its source is not read
"""

from __future__ import annotations

from dataclasses import dataclass

from mitmproxy import connection, http
from mitmproxy.proxy import commands


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether too much waits for one of a client's connections, its own or a server's: for its peer, or to be established."""

    client: connection.Client
    connection: connection.Connection
    too_much: bool


@dataclass
class WaitingHook(commands.StartHook):
    """Too much began to wait for the windows of an HTTP/2 connection or for a handshake, or no longer does."""

    waiting: Waiting
    blocking = False


@dataclass
class UnreadableHook(commands.StartHook):
    """Bytes came that are no request, after which the connection is closed; no flow tells of them."""

    client: connection.Client
    blocking = False


def interim(response: http.Response) -> bool:
    """Whether another answer follows this one: every 1xx but the switch to another protocol."""
    return 100 <= response.status_code < 200 and response.status_code != 101
