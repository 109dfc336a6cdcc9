"""A gate that has leaves and can make none: what it shows, until when, and what takes a leaf's place."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capture.proxies import PROVIDER, gate, origin
from spendgate.capture import issued, organization, tls
from spendgate.capture.coverage import Gap
from spendgate.capture.issued import Issued
from spendgate.capture.launcher import Gatehouse, Settings
from spendgate.capture.leaves import Leaves
from spendgate.capture.scope import CANARY_HOST, Decrypt, Hello, Scope, Tunnel, judge

NOW = datetime.now(UTC)
ROOT = organization.new_root([PROVIDER], "Acme", NOW - timedelta(days=100))


def of(now: datetime = NOW, days: int = 45) -> Issued:
    return issued.read(organization.bundle(ROOT, "laptop", now, timedelta(days=days), organization.new_key()))


def test_a_leaf_is_shown_while_it_holds_and_not_a_moment_longer() -> None:
    """Its host is then tunnelled, with the reason; the canary, which is nobody's call, without one."""
    clock = [NOW]
    made = Leaves(of(), lambda: clock[0])
    scope = Scope(frozenset({PROVIDER, "new.acme.example"}), covers=made.covers, why_not=made.why_not)
    leaf = made.leaf(PROVIDER, NOW)
    end = leaf.certificate.not_valid_after_utc

    for now, holds in ((NOW, True), (end - timedelta(seconds=1), True), (end, False), (NOW - timedelta(days=3), False)):
        clock[0] = now
        assert made.covers(PROVIDER) is made.still_good(leaf, now) is holds
        expected = Decrypt(PROVIDER) if holds else Tunnel(PROVIDER, Gap.EXPIRED_LEAF)
        assert judge(scope, Hello(PROVIDER), None) == expected
        assert judge(scope, Hello("new.acme.example"), None) == Tunnel("new.acme.example", Gap.NO_LEAF)
        assert judge(scope, Hello(CANARY_HOST), None) == (Decrypt(CANARY_HOST) if holds else Tunnel(CANARY_HOST))
    with pytest.raises(ValueError, match="holds now"):
        made.leaf(PROVIDER, end)
    with pytest.raises(ValueError, match="holds now"):
        made.leaf("new.acme.example", NOW)


def test_without_any_nothing_is_covered() -> None:
    """As a gate that only checks its options has it."""
    made = Leaves(None, lambda: NOW)
    assert not made.covers(PROVIDER)
    assert made.why_not(PROVIDER) is Gap.NO_LEAF
    assert made.term is None


async def test_a_renewal_is_shown_from_the_next_connection_on() -> None:
    """What was kept of the old leaf is not shown any more; without a renewal it is kept, however old it is."""
    clock = [NOW]
    first, second = of(), of(days=60)
    minter = Leaves(first, lambda: clock[0])
    Gatehouse(Settings(minter, lambda: Scope(frozenset())))  # sets mitmproxy's options
    made = tls.GateTls(minter, lambda: clock[0])
    settings = made._now_set()
    before = made._context(PROVIDER, settings)
    clock[0] = NOW + timedelta(days=44)
    assert made._context(PROVIDER, settings) is before

    minter.take(second)

    assert made._context(PROVIDER, settings) is not before
    assert made._leaves[PROVIDER][0].certificate == second.leaves[PROVIDER]


async def test_a_hello_after_the_end_gets_no_certificate() -> None:
    """Also where the scope has let it through a moment earlier: mitmproxy then closes it."""
    clock = [NOW]
    minter = Leaves(of(), lambda: clock[0])
    Gatehouse(Settings(minter, lambda: Scope(frozenset())))
    made = tls.GateTls(minter, lambda: clock[0])
    made._context(PROVIDER, made._now_set())
    clock[0] = NOW + timedelta(days=46)

    class Data:
        ssl_conn, is_dtls = None, False

        class conn:  # noqa: N801  # the shape of mitmproxy's own
            sni = PROVIDER

    made.tls_start_client(Data)
    assert Data.ssl_conn is None


async def test_a_running_gate_tunnels_when_its_leaves_have_ended(tmp_path: Path) -> None:
    """Over the wire: the client that trusted the organization's root sees the server's own certificate from then on."""
    clock = [NOW]
    minter = Leaves(of(), lambda: clock[0])
    root = tmp_path / "root.pem"
    root.write_bytes(ROOT.pem)
    scope = Scope(frozenset({PROVIDER}), covers=minter.covers, why_not=minter.why_not)
    async with origin(tmp_path, "http/1.1") as server, gate(tmp_path, server, scope=scope, minter=minter) as here:
        _, writer = await here.secure(PROVIDER, "http/1.1", ca=root)
        writer.close()
        clock[0] = NOW + timedelta(days=46)
        with pytest.raises(ssl.SSLCertVerificationError):
            await here.secure(PROVIDER, "http/1.1", ca=root)
        _, writer = await here.secure(PROVIDER, "http/1.1", ca=server.identity.ca)
        writer.close()
    assert [event.gap for event in here.gaps].count(Gap.EXPIRED_LEAF) == 2
