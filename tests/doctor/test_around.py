"""Which connections of the socket table go around the gate."""

from __future__ import annotations

import os
import platform
import socket
import sys
import threading
from collections.abc import Sequence

import psutil
import pytest

from identity import darwin
from identity.darwin import Line
from spendgate.doctor import around
from spendgate.doctor.around import Gates, outward, processes, resolved, table
from spendgate.identity import pcblist, program_of
from spendgate.identity.interface import Connection

PROVIDER = ("203.0.113.5", 443)
GATES = Gates(frozenset({10}), 900, frozenset({8443}))


@pytest.mark.parametrize(
    ("sockets", "going"),
    [
        pytest.param([Connection(("192.168.1.2", 5000), PROVIDER, 7)], 1, id="direct"),
        pytest.param([Connection(("192.168.1.2", 5000), PROVIDER, None)], 1, id="another account's"),
        pytest.param([Connection(("192.168.1.2", 5000), PROVIDER, 10)], 0, id="the gate's own"),
        pytest.param(
            [
                Connection(("192.168.1.2", 5000), PROVIDER, 7),
                Connection(("127.0.0.1", 8443), ("192.168.1.2", 5000), 10),
            ],
            0,
            id="led to the gate",
        ),
        pytest.param(
            [
                Connection(("192.168.1.2", 5000), PROVIDER, 7),
                Connection(("127.0.0.1", 8443), ("192.168.1.2", 5001), 10),
            ],
            1,
            id="another was led",
        ),
        pytest.param(
            [
                Connection(("192.168.1.2", 5000), PROVIDER, 7),
                Connection(("192.168.1.2", 8443), ("192.168.1.2", 5000), 7),
            ],
            1,
            id="a socket of its own that looks like the gate's",
        ),
        pytest.param(
            [
                Connection(("192.168.1.2", 5000), PROVIDER, None),
                Connection(("192.168.1.2", 8443), ("192.168.1.2", 5000), None),
            ],
            1,
            id="one of another account's",
        ),
        pytest.param(
            [
                Connection(("192.168.1.2", 5000), PROVIDER, None),
                Connection(("127.0.0.1", 8443), ("192.168.1.2", 5000), None),
            ],
            0,
            id="led to a gate whose process is not seen",
        ),
        pytest.param([Connection(("127.0.0.1", 5000), ("127.0.0.1", 443), 7)], 0, id="of this machine"),
        pytest.param([Connection(("192.168.1.2", 5000), ("203.0.113.5", 8443), 7)], 1, id="another port"),
    ],
)
def test_outward(sockets: Sequence[Connection], going: int) -> None:
    """Those that no gate has."""
    assert len(outward(sockets, GATES, lambda one: 900 if one.local[0] == "127.0.0.1" else 1000)) == going


def test_a_process_is_named_once() -> None:
    """With its account, its program and each address that a provider's name resolves to; others are not looked at."""
    mine = os.getpid()
    going = [
        Connection(("192.168.1.2", 5000), PROVIDER, mine),
        Connection(("192.168.1.2", 5001), PROVIDER, mine),
        Connection(("192.168.1.2", 5002), ("203.0.113.9", 443), mine),
        Connection(("192.168.1.2", 5003), PROVIDER, None),
    ]
    [found] = processes(going, {"203.0.113.5": "api.anthropic.com"})
    assert (found.pid, found.hosts, found.addresses) == (mine, ("api.anthropic.com",), ("203.0.113.5",))
    assert (found.tool, found.browser) == ("python", False)
    assert around.hidden(going, {"203.0.113.9": "x"}, None) == 0


def test_the_table_has_our_connections() -> None:
    """The kernel's, by their addresses and process."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        there, _ = server.accept()
        with there:
            found = Connection(client.getsockname(), client.getpeername(), os.getpid())
            assert found in table()


def test_names_that_hang_keep_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has resolved in time is there, and how many have not; `*.domain` is no name."""
    hang = threading.Event()

    def addresses(name: str) -> tuple[str, ...]:
        if name == "hangs.example":
            hang.wait()
        return ("203.0.113.5",)

    monkeypatch.setattr(around, "_addresses", addresses)
    try:
        assert resolved(("api.anthropic.com", "hangs.example", "*.x.example"), 0.5) == (
            {"203.0.113.5": "api.anthropic.com"},
            1,
        )
    finally:
        hang.set()


@pytest.mark.skipif(sys.platform == "win32", reason="as POSIX has accounts")
@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_a_process_is_told_on_each_system(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """By whose account it runs, its program and tool; one that has gone is not."""
    monkeypatch.setattr(platform, "system", lambda: system)
    found = program_of(os.getpid())
    assert found is not None
    assert (found.account, found.tool, found.browser) == (psutil.Process().username(), "python", None)
    assert found.path.startswith("/")
    assert program_of(2**22 + 1) is None


def test_a_macs_table_has_every_accounts_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The open ones: what ends or listens leads nowhere."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    here, there = ("192.168.1.2", 5000), PROVIDER
    lines = [Line(here, there, 501, 71, state=state) for state in (2, 4, 10)]
    monkeypatch.setattr(pcblist, "read", lambda: darwin.table([*lines, Line(here, ("127.0.0.9", 0), 501, 72, state=1)]))
    assert table() == (Connection(here, there, 71), Connection(here, there, 71))
