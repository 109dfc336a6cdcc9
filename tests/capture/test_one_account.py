"""A gate for one command: whose connections it takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from mitmproxy.test.tflow import tclient_conn

from spendgate.attribution import Peer
from spendgate.capture import launcher
from spendgate.capture.ca import create
from spendgate.capture.health import call_canary
from spendgate.capture.one_account import NOT_OURS, OneAccount
from spendgate.capture.scope import Scope
from spendgate.identity.interface import Endpoints


@dataclass
class Owned:
    """Every connection is this account's."""

    uid: int | None

    def owner(self, ends: Endpoints) -> Peer:
        return Peer(uid=self.uid)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        return peer


@pytest.mark.parametrize(
    ("own", "other", "served"),
    [
        pytest.param(1000, 1000, True, id="its own"),
        pytest.param(1000, 1001, False, id="another"),
        pytest.param(1000, 0, True, id="root, as through sudo"),
        pytest.param(1000, None, True, id="not known, as from a container"),
        pytest.param(0, 1001, True, id="root's, whose command may have become anyone"),
    ],
)
def test_whose_connections_are_taken(own: int, other: int | None, served: bool) -> None:
    client = tclient_conn()
    client.error = None
    OneAccount(Owned(other), own).client_connected(client)
    assert client.error == (None if served else NOT_OURS)


@pytest.mark.parametrize("other", [False, True], ids=["its own", "another"])
async def test_another_accounts_connection_is_closed_unread(other: bool, caplog: pytest.LogCaptureFixture) -> None:
    """On a running proxy: nothing is answered, and it is told once."""
    authority = create(("api.anthropic.com",), datetime.now(UTC))
    settings = launcher.Settings(minter=authority, scope=lambda: Scope(frozenset()), port=0)
    pem = authority.pem.decode()
    async with launcher.running(settings, [OneAccount(Owned(1001), 1000 if other else 1001)]) as listening:
        answers = await asyncio.gather(*(call_canary("regular", listening.address, pem, 5) for _ in range(3)))
        assert answers == [None if other else listening.instance] * 3
    told = [record for record in caplog.records if "another account" in record.getMessage()]
    assert len(told) == int(other)
