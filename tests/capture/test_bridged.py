"""The listener for containers: whose connections it takes."""

from __future__ import annotations

import pytest
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test.tflow import tclient_conn

from spendgate.capture.bridged import NO_CONTAINER, Bridged
from spendgate.identity.containers import ranges

ELSEWHERE = "198.51.100.2"


@pytest.mark.parametrize(
    ("mode", "peer", "to", "taken"),
    [
        pytest.param("transparent@0.0.0.0:8444", "172.20.0.2", (ELSEWHERE, 443), True, id="a container"),
        pytest.param("transparent@:::8444", "fd00:20::2", ("2001:db8::2", 443), True, id="a container, IPv6"),
        pytest.param("transparent@0.0.0.0:8444", "192.0.2.9", (ELSEWHERE, 443), False, id="no container's address"),
        pytest.param("transparent@0.0.0.0:8444", "172.20.0.2", ("172.20.0.1", 8444), False, id="led by no rule"),
        pytest.param(
            "transparent@127.0.0.1:8443", "192.0.2.9", (ELSEWHERE, 443), True, id="the machine's own listener"
        ),
        pytest.param("regular@0.0.0.0:8080", "192.0.2.9", ("192.0.2.1", 8080), True, id="a proxy that was asked for"),
    ],
)
def test_whose_connections_are_taken(mode: str, peer: str, to: tuple[str, int], taken: bool) -> None:
    client = tclient_conn()
    client.error = None
    client.proxy_mode, client.peername, client.sockname = ProxyMode.parse(mode), (peer, 40_000), to
    Bridged(ranges(("172.16.0.0/12", "fd00::/8"))).client_connected(client)
    assert client.error == (None if taken else NO_CONTAINER)
