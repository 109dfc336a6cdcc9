"""Whether two connections are one, asked with less work than mitmproxy's, and with its answers."""

from __future__ import annotations

from itertools import product

import pytest
from mitmproxy import connection
from mitmproxy.proxy.mode_specs import ProxyMode

from spendgate.capture import same


def _client() -> connection.Client:
    return connection.Client(
        peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), proxy_mode=ProxyMode.parse("regular"), timestamp_start=0.0
    )


class _OtherKind(connection.Server):
    pass


def test_every_pair_has_mitmproxys_answer() -> None:
    """One object and itself, two with one id, two kinds, a kind of somebody else's, and what is no connection."""
    server, client = connection.Server(address=("a.example", 443)), _client()
    twin, other = connection.Server(address=("b.example", 443)), _OtherKind(address=("a.example", 443))
    twin.id = other.id = server.id
    asked = [server, client, twin, other, _client(), connection.Server(address=None)]
    for one, another in product(asked, [*asked, None, "x", server.id]):
        assert same._same(one, another) is same.stock(one, another), (one, another)


def test_it_is_in_place_and_its_hash_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.Connection, "__eq__", same.stock)
    same.quick()
    server, twin = connection.Server(address=None), connection.Server(address=None)
    twin.id = server.id
    assert {server: 1}[twin] == 1
