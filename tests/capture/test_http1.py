"""HTTP/1 connections of ours read and send what mitmproxy's own do, with less work for each event."""

from __future__ import annotations

import pytest
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._http1 import Http1Connection, Http1Server

from spendgate.capture.http1 import ClientHttp1
from spendgate.capture.options import Options

HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: api.example\r\nContent-Length: %d\r\n\r\n"


def heard(kind: type[Http1Connection], pieces: list[bytes]) -> list[object]:
    """What the connection commands for these pieces, and for the client's end behind them."""
    client = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    layer = kind(context.Context(client, Options()))
    out: list[object] = []
    for event in [
        events.Start(),
        *[events.DataReceived(client, each) for each in pieces],
        events.ConnectionClosed(client),
    ]:
        for command in layer.handle_event(event):
            what = command.event if isinstance(command, ReceiveHttp) else command
            said = getattr(what, "data", None) or getattr(what, "message", None)
            if not isinstance(what, commands.StartHook):  # ours tells of what is no request
                out.append((type(what), getattr(what, "stream_id", None), said))
    return out


BODY = b"0123456789"
CASES = {
    "in one": [HEAD % 10 + BODY],
    "head first": [HEAD % 10, BODY],
    "a byte at a time": [bytes((each,)) for each in HEAD % 10 + BODY],
    "in two": [HEAD % 10 + BODY[:4], BODY[4:]],
    "without a body": [HEAD % 0],
    "more than it says": [HEAD % 10 + BODY + b"more"],
    "the next behind it": [HEAD % 10 + BODY + HEAD % 2 + b"ok"],
    "ended before its time": [HEAD % 10 + BODY[:4]],
    "ended with its head": [HEAD % 10],
}


@pytest.mark.parametrize("pieces", CASES.values(), ids=CASES.keys())
def test_a_counted_body_is_read_as_mitmproxy_reads_it(pieces: list[bytes]) -> None:
    """However it is cut, and wherever it ends."""
    ours = heard(ClientHttp1, pieces)
    assert ours == heard(Http1Server, pieces)
    assert ours
