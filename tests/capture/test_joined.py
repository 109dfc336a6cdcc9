"""What one event sends into a tunnel is joined, in its order, and never kept back."""

import pytest
from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, layer, tunnel
from mitmproxy.proxy.layers.http import HttpRequestHook
from mitmproxy.test import tflow

from spendgate.capture.joined import PIECE_BYTES, Joining
from spendgate.capture.options import Options


class Says(layer.Layer):
    """Answers any event with what it is given; a fault among it is raised."""

    def __init__(self, around, said):
        super().__init__(around)
        self.said = said

    def _handle_event(self, event):
        for each in self.said:
            if isinstance(each, Exception):
                raise each
            yield each


def through(*said) -> tuple[list[object], Exception | None]:
    """What comes out of the tunnel for these commands (bytes: sent into it), and the fault that ended them."""
    client = connection.Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)
    around = context.Context(client, Options())
    joining = Joining(around, client, client)
    joining.tunnel_state = tunnel.TunnelState.OPEN
    sends = [commands.SendData(client, each) if isinstance(each, bytes) else each for each in said]
    joining.child_layer = Says(around, sends)
    out: list[object] = []
    try:
        for command in joining.handle_event(events.Start()):
            out.append(command.data if isinstance(command, commands.SendData) else type(command))
    except ValueError as fault:
        return out, fault
    return out, None


@pytest.mark.parametrize(
    ("said", "out"),
    [
        pytest.param((b"head", b"one", b"two"), [b"headonetwo"], id="what is sent together leaves as one"),
        pytest.param(
            (b"one", commands.Log("between"), b"two"),
            [b"one", commands.Log, b"two"],
            id="nothing passes what it follows",
        ),
        pytest.param(
            (b"one", HttpRequestHook(tflow.tflow())), [b"one", HttpRequestHook], id="a hook keeps nothing back"
        ),
        pytest.param((), [], id="nothing"),
    ],
)
def test_sends_are_joined_in_their_order(said, out):
    """Bytes and their order are what they were; what stands between two sends keeps its place."""
    assert through(*said) == (out, None)


def test_a_fault_keeps_nothing_back():
    """What was to be sent before it is sent."""
    out, fault = through(b"one", b"two", ValueError("later"))
    assert out == [b"onetwo"]
    assert fault is not None


def test_a_long_body_leaves_piece_by_piece():
    """Whoever reads it begins while the rest is still encrypted; nothing of it is lost."""
    long = bytes(range(256)) * 2000
    out, fault = through(b"head", long)
    assert fault is None
    assert [len(piece) for piece in out[:-1]] == [PIECE_BYTES] * (len(out) - 1)
    assert len(out) > 3
    assert b"".join(out) == b"head" + long
