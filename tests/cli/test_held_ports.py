"""What a gate under transparent capture listens with where somebody has its ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

if not hasattr(socket, "AF_NETLINK"):
    pytest.skip("Linux only", allow_module_level=True)

from spendgate.cli import held_ports, own_service
from spendgate.cli.held_ports import listening
from spendgate.cli.wanted import Wanted
from spendgate.config.paths import State
from spendgate.errors import StateError
from spendgate.identity.containers import ranges
from spendgate.identity.linux import LinuxLookup
from spendgate.redirect.supervisor import Settings


@pytest.fixture(name="taken")
def _taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Two ports that this process has, as if it were another account's."""
    monkeypatch.setattr(own_service, "_listening", frozenset)
    monkeypatch.setattr(held_ports.os, "geteuid", lambda: os.getuid() + 1)
    with ExitStack() as down:
        made = [down.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        yield [each.getsockname()[1] for each in made]


def _wanted(*modes: str) -> Wanted:
    return Wanted(None, State(Path("/nowhere")), ("transparent", *modes))


@pytest.mark.parametrize("mode", ["regular", "upstream:http://proxy.acme.example:3128", "socks5"])
def test_each_listens_elsewhere_and_who_has_it_is_told(taken: list[int], mode: str) -> None:
    """A proxy's way out stays, whatever port it has; what was wanted and free stays as it was wanted."""
    led, beside = taken
    found = listening(
        _wanted(f"{mode}@{beside}", "reverse:https://api.openai.com@1"), Settings(port=led), LinuxLookup()
    )
    with ExitStack() as down:
        for each in found.sockets.values():
            down.enter_context(each)
        four, six, *_ = found.wanted.modes
        ports = [port for _, port in found.sockets]
        assert (four, six) == (f"transparent@127.0.0.1:{found.port}", f"transparent@::1:{found.port}")
        assert found.wanted.modes[2:] == (f"{mode}@127.0.0.1:{ports[2]}", "reverse:https://api.openai.com@1")
        assert not {led, beside} & set(ports)
        assert found.wanted.held == frozenset(found.sockets)
        first, second = found.wanted.taken
        assert first.startswith(f"port {led} of 127.0.0.1 is taken by account ")
        assert f"process {os.getpid()}" in first
        assert second.startswith(f"port {beside} of 127.0.0.1 is taken by account ")
        assert f"port {ports[2]} instead" in second


def test_what_is_free_is_taken_as_it_is(taken: list[int]) -> None:
    """Nothing is told; containers' listeners are held with the others."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        free = there.getsockname()[1]
    found = listening(_wanted(), Settings(port=free, containers=ranges(["172.16.0.0/12"])), LinuxLookup())
    for each in found.sockets.values():
        each.close()
    assert (found.port, found.wanted.taken) == (free, ())
    assert [*found.sockets] == [("127.0.0.1", free), ("::1", free), ("0.0.0.0", free + 1)]  # noqa: S104 - as the rules close it


@pytest.mark.parametrize("service", [False, True])
def test_another_gate_is_no_squatter(taken: list[int], monkeypatch: pytest.MonkeyPatch, service: bool) -> None:
    """Under the gate's own account, or the installed service: the two would set the rules by turns."""
    if service:
        monkeypatch.setattr(own_service, "_listening", lambda: frozenset(taken))
    else:
        monkeypatch.setattr(held_ports.os, "geteuid", os.getuid)
    with pytest.raises(StateError, match="the installed service" if service else r"account .* has it; .*--port"):
        listening(_wanted(), Settings(port=taken[0]), LinuxLookup())
