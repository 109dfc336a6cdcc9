"""What mitmproxy's redirector says of a connection's opener reaches the look-up. Its streams are stood in for: none was here.
And who ends what a connection carries."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from mitmproxy import ctx
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import ProxyMode

from capture.rig import HEADERS, URL, body, rig
from capture.test_socket import talking
from spendgate.attribution import Evidence
from spendgate.capture.ends import ends_of
from spendgate.identity.interface import Endpoints
from spendgate.identity.told import GONE
from spendgate.identity.windows import WindowsLookup, own_account
from spendgate.standin.script import Script

AT, TO = ("0.0.0.0", 0), ("160.79.104.10", 443)  # noqa: S104 - what macOS' redirector gives


class Stream:
    """As mitmproxy_rs has it: names that it does not know have the default."""

    def __init__(self, **known: object) -> None:
        self._known = known

    def get_extra_info(self, name: str, default: object = None) -> object:
        """One of them."""
        return self._known.get(name, default)


def client(mode: str) -> Client:
    """A connection of this mode."""
    return Client(peername=AT, sockname=TO, timestamp_start=0.0, proxy_mode=ProxyMode.parse(mode))


def running(monkeypatch: pytest.MonkeyPatch, one: Client, stream: Stream) -> None:
    """A proxy that has this connection."""
    handler = SimpleNamespace(transports={one: SimpleNamespace(writer=stream)})
    server = SimpleNamespace(connections={one.id: handler})
    master = SimpleNamespace(addons=SimpleNamespace(lookup={"proxyserver": server}))
    monkeypatch.setattr(ctx, "master", master, raising=False)


@pytest.mark.parametrize(
    ("mode", "known", "pid"),
    [
        ("local", {"pid": 4711, "process_name": "/usr/bin/curl"}, 4711), ("local:curl", {"pid": 4711}, 4711), ("local", {}, None),
        ("local", {"pid": 0}, None), ("local", {"pid": "4711"}, None), ("regular", {"pid": 4711}, None),
    ],
)  # fmt: skip
def test_the_process_is_the_one_that_the_redirector_names(
    monkeypatch: pytest.MonkeyPatch, mode: str, known: dict[str, object], pid: int | None
) -> None:
    """In its own mode alone: elsewhere a client's stream is asyncio's."""
    one = client(mode)
    running(monkeypatch, one, Stream(**known))
    assert ends_of(one) == Endpoints(AT, TO, pid)


def test_a_connection_that_the_proxy_does_not_know_has_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has gone, or its proxy has."""
    one = client("local")
    running(monkeypatch, client("local"), Stream(pid=4711))
    assert ends_of(one).pid is None
    monkeypatch.setattr(ctx.master.addons, "lookup", {})
    assert ends_of(one).pid is None


def test_windows_takes_its_word() -> None:
    """The table is not asked; a process that has gone is nobody."""
    asked = WindowsLookup(lambda: pytest.fail("the table was asked"))
    ends = Endpoints(AT, TO, os.getpid())
    peer = asked.process(asked.owner(ends), ends)
    assert (peer.account, peer.pid, peer.evidence) == (own_account(), os.getpid(), Evidence.SOCKET_OWNER)
    gone = Endpoints(AT, TO, 2**22 + 1)
    assert asked.process(asked.owner(gone), gone).why_unknown == GONE


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
def test_macos_takes_its_word() -> None:
    """Likewise, with the account that the process runs under."""
    from spendgate.identity.macos import MacLookup

    asked = MacLookup(lambda: pytest.fail("the table was asked"))
    ends = Endpoints(AT, TO, os.getpid())
    owner = asked.owner(ends)
    assert (owner.uid, asked.process(owner, ends).pid) == (os.geteuid(), os.getpid())
    assert asked.owner(Endpoints(AT, TO, 2**22 + 1)).why_unknown == GONE


@pytest.mark.parametrize("wire", ["http/1.1", "h2", "websocket"])
async def test_a_gate_that_stops_blames_no_client(tmp_path: Path, wire: str) -> None:
    """Its row says who ended it: here neither the client nor the provider, both of which would have gone on."""
    async with contextlib.AsyncExitStack() as stays, rig(tmp_path) as it:
        it.provider.set(Script(interval_ms=50, events=500))
        if wire == "websocket":
            talks = await stays.enter_async_context(talking(it))
            await talks.event()
            talks.create()
            await talks.message()
        else:
            web = await stays.enter_async_context(it.client(http2=wire == "h2"))
            asked = web.build_request("POST", URL, json=body(stream=True), headers=HEADERS)
            answer = await web.send(asked, stream=True)
            await anext(answer.aiter_raw())
    [(_, _, end)] = it.gate.settled
    assert (end.complete, end.error) == (False, "gate")
