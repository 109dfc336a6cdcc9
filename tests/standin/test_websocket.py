"""The stand-in's WebSocket and its tunnel, by a client that goes the way of a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.sockets import Socket, digest
from end_to_end.world import Provider
from spendgate.standin.script import Canned, Script
from spendgate.standin.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class Straight:
    """The tunnel in place of a gate: nothing between client and stand-in but a pipe."""

    port: int
    ca: Path
    provider: Provider
    tunnel: Tunnel


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Straight]:
    """A stand-in and a tunnel to it."""
    provider = Provider(tmp_path_factory.mktemp("provider"))
    tunnel = Tunnel(frozenset(provider.NAMES), provider.port)
    yield Straight(provider.run(tunnel.start()), provider.ca, provider, tunnel)
    provider.run(tunnel.stop())
    provider.close()


@pytest.mark.parametrize("deflate", [pytest.param(True, id="deflate"), pytest.param(False, id="plain")])
def test_each_response_is_logged_by_its_messages(straight: Straight, *, deflate: bool) -> None:
    """Hash and counts of two responses on one connection; a prewarm uses nothing."""
    straight.provider.set(Script(text="a swan 🦢", output=41))
    socket = Socket(straight, deflate=deflate)
    warm, answer = socket.ask(generate=False), socket.ask()
    socket.close()
    for messages, output in ((warm, 0), (answer, 41)):
        served = straight.provider.ended(json.loads(messages[-1])["response"]["id"])
        assert served.sha256 == digest(messages)
        assert served.usage is not None
        assert (served.usage.output_tokens, served.billable) == (output, bool(output))


def test_a_canned_frame_answers_each_request(straight: Straight) -> None:
    """A refusal shape is sent as it is."""
    frame = b'{"type":"error","status":429}'
    straight.provider.set(canned=Canned(429, (), b"", frame))
    socket = Socket(straight)
    assert socket.ask() == [frame.decode()]
    assert socket.ask() == [frame.decode()]
    socket.close()
    straight.provider.set()


def test_a_canned_handshake_is_refused(straight: Straight) -> None:
    """Without a frame the handshake itself gets the answer."""
    straight.provider.set(canned=Canned(429, (), b"{}"))
    socket = Socket(straight)
    socket.close()
    assert not socket.accepted
    straight.provider.set()


def test_the_tunnel_leads_to_the_stand_in_alone(straight: Straight) -> None:
    """Provider names reach it; any other host is refused and counted."""
    with httpx2.Client(proxy=f"http://127.0.0.1:{straight.port}", verify=trust(straight)) as http:
        assert http.get("https://api.anthropic.com/v1/models").status_code == 200
        with pytest.raises(httpx2.ProxyError):
            http.get("https://bank.example/")
    assert straight.tunnel.asked["bank.example"] == 1
