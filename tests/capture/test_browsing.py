"""What becomes of a connection to a host that people open in a browser, by who is at its other end."""

from __future__ import annotations

import pytest
from mitmproxy import connection
from mitmproxy.proxy import context, layer, layers, mode_specs

from spendgate.attribution import BROWSER, NAMED_BROWSER, NOBODY, Peer
from spendgate.capture import next_layer
from spendgate.capture.both_sides import ClientTls, ServerTls
from spendgate.capture.browsing import depends, for_whom
from spendgate.capture.coverage import CoverageEvent, Gap, Watch
from spendgate.capture.options import Options
from spendgate.capture.scope import Decrypt, Hello, Scope, Tunnel

SITE, SHARED, API = "claude.ai", "openrouter.ai", "api.anthropic.com"
SCOPE = Scope(frozenset({SITE, SHARED, API}), sites=frozenset({SITE, SHARED}), private=frozenset({SITE}))
ONE = Scope(SCOPE.hosts, sites=SCOPE.sites, private=SCOPE.private, one_command=True)
TOOL, OWN, REAL = Peer(pid=7), Peer(pid=7, browser=NAMED_BROWSER), Peer(pid=7, browser=BROWSER)


@pytest.mark.parametrize(
    ("scope", "host", "peer", "verdict"),
    [
        (SCOPE, SITE, TOOL, Decrypt(SITE)),
        (SCOPE, SITE, REAL, Tunnel()),
        (SCOPE, SITE, OWN, Tunnel(SITE, Gap.NAMED_BROWSER)),
        (SCOPE, SITE, NOBODY, Tunnel(SITE, Gap.NO_PROCESS)),
        (ONE, SITE, NOBODY, Decrypt(SITE)),
        (ONE, SITE, REAL, Tunnel()),
        (SCOPE, SHARED, TOOL, Decrypt(SHARED)),
        (SCOPE, SHARED, REAL, Tunnel()),
        (SCOPE, SHARED, OWN, Decrypt(SHARED)),
        (SCOPE, SHARED, NOBODY, Decrypt(SHARED)),
        (SCOPE, API, REAL, Decrypt(API)),
        (SCOPE, API, NOBODY, Decrypt(API)),
    ],
)
def test_who_is_decrypted(scope: Scope, host: str, peer: Peer, verdict: Decrypt | Tunnel) -> None:
    """A browser never on a host with a website; where nobody can tell, privacy goes first on a site, money elsewhere."""
    assert for_whom(scope, Decrypt(host), peer) == verdict


def test_a_browsers_gap_is_not_counted() -> None:
    """A hidden name on the way to claude.ai is a gap of a tool's, and a browser's own affair."""
    hidden = Tunnel(SITE, Gap.HIDDEN_NAME)
    assert for_whom(SCOPE, hidden, REAL) == Tunnel()
    assert for_whom(SCOPE, hidden, TOOL) == for_whom(SCOPE, hidden, NOBODY) == hidden
    assert not depends(SCOPE, Tunnel())


def test_a_policy_may_count_what_is_not_decrypted() -> None:
    """Whatever is let alone for a browser's sake; what was let alone before that has its gap and no row."""
    counting = Scope(SCOPE.hosts, sites=SCOPE.sites, private=SCOPE.private, counts_browsers=True)
    assert for_whom(counting, Decrypt(SITE), REAL) == Tunnel(SITE, None, True)
    assert for_whom(counting, Decrypt(SITE), OWN) == Tunnel(SITE, Gap.NAMED_BROWSER, True)
    assert for_whom(counting, Decrypt(SITE), TOOL) == Decrypt(SITE)
    assert for_whom(counting, Tunnel(SITE, Gap.NEVER), REAL) == Tunnel()


@pytest.mark.parametrize(
    ("name", "peer", "kind", "gaps"),
    [
        (SITE, TOOL, ServerTls, []),
        (SITE, REAL, layers.TCPLayer, []),
        (SITE, NOBODY, layers.TCPLayer, [Gap.NO_PROCESS]),
        (API, REAL, ServerTls, []),
    ],
)
async def test_the_process_is_asked_for_only_where_it_decides(
    monkeypatch: pytest.MonkeyPatch, name: str, peer: Peer, kind: type, gaps: list[Gap]
) -> None:
    """Before any layer is chosen; a host that is an API waits for nobody."""
    questions: list[str] = []
    counted: list[CoverageEvent] = []

    async def whose(connection_id: str) -> Peer:
        questions.append(connection_id)
        return peer

    monkeypatch.setattr(next_layer, "starts_like_tls_record", lambda _: True)
    monkeypatch.setattr(next_layer, "_read_hello", lambda _: Hello(name))
    addon = next_layer.NextLayer(lambda: SCOPE, Watch(), counted.append, layers.HttpLayer, whose=whose)
    client = connection.Client(peername=("127.0.0.1", 5000), sockname=("192.0.2.9", 443), timestamp_start=0)
    client.proxy_mode = mode_specs.ProxyMode.parse("transparent")
    made = context.Context(client, Options())
    made.layers.append(layers.modes.TransparentProxy.__new__(layers.modes.TransparentProxy))
    data = layer.NextLayer(made)
    monkeypatch.setattr(data, "data_client", lambda: b"\x16\x03\x01")
    monkeypatch.setattr(data, "data_server", lambda: b"")
    await addon.next_layer(data)
    assert isinstance(data.layer, kind)
    assert ([event.gap for event in counted], questions) == (gaps, [client.id] if name == SITE else [])
    assert any(isinstance(each, ClientTls) for each in made.layers) is (kind is ServerTls)
