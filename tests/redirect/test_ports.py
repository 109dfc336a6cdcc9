"""Ports that somebody else has: a gate takes others, has the rules lead there, and gives no sign of life before they do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path

import pytest

if not hasattr(socket, "AF_NETLINK"):
    pytest.skip("Linux only", allow_module_level=True)

from redirect.lab import PROVIDER4, PROVIDER6, Lab
from redirect.test_service_side import _taken
from spendgate.errors import PortTaken, StateError
from spendgate.identity.linux import LinuxLookup
from spendgate.redirect import messages, ports, redirector
from spendgate.redirect.ahead import new_loop
from spendgate.redirect.door import Door
from spendgate.redirect.gate_side import GateSide
from spendgate.redirect.ports import Held, hold, listening_at
from spendgate.redirect.pulse import Pulse
from spendgate.redirect.ruleset import Rules
from spendgate.redirect.service_side import ServiceSide
from spendgate.redirect.table import Table
from spendgate.service.notify import Manager

RULES = Rules(gate=1, port=8443)
SQUAT = """
    import socket, sys, time
    kept = [socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
            for host, port in (each.rsplit("@") for each in sys.argv[1:])]
    print("listens", flush=True)
    time.sleep(600)
"""


def _at(port: int) -> tuple[tuple[str, int], ...]:
    return ("127.0.0.1", port), ("::1", port)


def _nobody(taken: PortTaken) -> None:
    raise AssertionError(taken)


@pytest.fixture(name="squatted", params=["127.0.0.1", "::1"])
def _squatted(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """A port of one family that is taken."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as there:
        yield there.getsockname()[:2]


def _let_go(held: Held) -> None:
    for each in held.sockets.values():
        each.close()


def test_another_port_is_taken_of_both_families(squatted: tuple[str, int]) -> None:
    """It listens at once, and who has the wanted one is known; a port that is free is taken as it is."""
    asked: list[PortTaken] = []
    held = hold(_at, squatted[1], asked.append)
    again = hold(_at, held.port + 1, asked.append)
    _let_go(again)
    try:
        assert held.port != squatted[1]
        assert {place[1] for place in held.sockets} == {held.port}
        assert (held.instead_of, [each.host for each in asked[:1]]) == (squatted, [squatted[0]])
        found = listening_at(squatted, LinuxLookup())
        assert (found.uid, found.pid) == (os.geteuid(), os.getpid())
        for host, port in _at(held.port):
            socket.create_connection((host, port)).close()
        with pytest.raises(PortTaken):
            hold(_at, held.port, _raised)
    finally:
        _let_go(held)
    free = hold(_at, held.port, _nobody)
    _let_go(free)
    assert (free.port, free.instead_of) == (held.port, None)


def _raised(taken: PortTaken) -> None:
    raise taken


def test_no_port_at_all_is_a_fault(squatted: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one that a gate can have was tried."""
    every = sorted(ports._others())
    assert every == list(range(1024, 65_535))
    monkeypatch.setattr(ports, "_others", lambda: iter((squatted[1],)))
    with pytest.raises(PortTaken, match=r"and so is every other port; end what holds them"):
        hold(_at, squatted[1], lambda _: None)


def test_who_only_reserves_a_port_is_not_known() -> None:
    """The kernel names those that listen, and no connection's owner for them."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert listening_at(reserved.getsockname(), LinuxLookup()).uid is None


def test_a_loop_serves_what_listens_already(squatted: tuple[str, int]) -> None:
    """In place of binding it, which fails from then on."""
    held = hold(_at, squatted[1], lambda _: None)
    loop = new_loop(held.sockets)
    [server, _] = [loop.run_until_complete(loop.create_server(asyncio.Protocol, *place)) for place in _at(held.port)]
    assert server.sockets[0].getsockname() == ("127.0.0.1", held.port)
    with pytest.raises(OSError, match="in use"):
        loop.run_until_complete(loop.create_server(asyncio.Protocol, "127.0.0.1", held.port))
    loop.close()
    _let_go(held)


@pytest.mark.parametrize(
    "packet",
    [b'{"port": 1023}', b'{"port": 65536}', b'{"port": -1}', b'{"port": true}', b'{"port": 8443.0}', b'{"port": "8443"}',
     b'{"port": "1; flush ruleset"}', b'{"port": [8443]}', b'{"port": null}', b'{"port": 9000, "held": []}',
     b'{"port": 1e4}', b'{"port": ' + b"[" * 5000, b"\xff"],
)  # fmt: skip
def test_what_is_no_port_changes_no_rule(packet: bytes, applied: list[str]) -> None:
    """And the gate is told nothing."""
    with pytest.raises(ValueError, match=r"."):
        messages.port(packet)
    root, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate, closing(Pulse(Table(RULES), root)) as pulse:
        applied.clear()
        gate.send(packet)
        assert pulse.hear()
        gate.setblocking(False)
        with pytest.raises(BlockingIOError):
            gate.recv(100)
    assert applied == []


def test_a_port_survives_the_wire() -> None:
    """What is no such packet is another one, to both sides."""
    assert [messages.port(messages.pack_port(port)) for port in (1024, 65_535)] == [1024, 65_535]
    assert messages.port(messages.pack_held(frozenset())) is messages.port(messages.pack_addresses(frozenset())) is None
    assert messages.leads(messages.pack_leads(9000), 9000)
    for packet in (messages.pack_leads(9001), messages.PULSE, b"{}"):
        assert not messages.leads(packet, 9000)


Nft = list[bool]


@pytest.fixture(name="fails")
def _fails() -> Nft:
    """Whether nft does now."""
    return [False]


@pytest.fixture(name="applied")
def _applied(monkeypatch: pytest.MonkeyPatch, fails: Nft) -> list[str]:
    """The transactions that nft is given, in whose place nothing stands."""
    given: list[str] = []

    def apply(commands: str) -> str:
        if fails[0]:
            raise StateError("nft did not answer")
        given.append(commands)
        return "as it was"

    monkeypatch.setattr("spendgate.redirect.nftables.apply", apply)
    monkeypatch.setattr("spendgate.redirect.nftables.show", str)
    return given


def test_rules_lead_to_the_named_port_before_they_act(applied: list[str], fails: Nft) -> None:
    """Where nft fails, the gate is told when they do, and a sign of life has those of the port before act for no moment."""
    root, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate, closing(Pulse(Table(RULES), root)) as pulse:
        gate.setblocking(False)
        fails[0] = True
        gate.send(messages.pack_port(9000))
        assert pulse.hear()
        pulse.ask()
        assert gate.recv(100) == messages.PULSE
        with pytest.raises(BlockingIOError):
            gate.recv(100)
        fails[0] = False
        applied.clear()
        gate.send(messages.PULSE)  # of a gate that does not wait
        assert pulse.hear()
        assert "redirect to :9000" in applied[0]
        assert "redirect to :8443" not in "".join(applied)
        gate.recv(1000)  # that they act
        pulse.ask()
        assert messages.leads(gate.recv(100), 9000)
        assert gate.recv(100) == messages.PULSE
        gate.send(messages.PULSE)
        assert pulse.hear()
        assert pulse.acts

        gate.send(messages.pack_port(9001))
        assert pulse.hear()
        assert not pulse.acts


def test_containers_have_the_port_behind_it(applied: list[str]) -> None:
    """The last one has none."""
    table = Table(Rules(gate=1, port=8443, containers=(IPv4Network("172.16.0.0/12"),)))
    applied.clear()
    assert not table.lead_to(65_535)
    assert applied == []
    assert table.lead_to(9000)
    assert "redirect to :9001" in applied[0]


async def test_a_gate_at_another_port_waits_for_its_rules() -> None:
    """The pulse that came before is answered when they lead there; a port of another gate's is not its own."""
    root, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    loop = asyncio.get_running_loop()
    with gate, socket.socket() as questions:
        side = GateSide(gate, questions, timeout_ms=60_000)
        with root:
            side.lead_to(9000)
            assert messages.port(root.recv(100)) == 9000
            root.setblocking(False)
            side.attend(loop)
            for packet in (messages.PULSE, messages.pack_leads(8443), messages.pack_acting(messages.Acts(None))):
                await loop.sock_sendall(root, packet)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_recv(root, 100), 0.2)
            await loop.sock_sendall(root, messages.pack_leads(9000))
            assert await loop.sock_recv(root, 100) == messages.PULSE
            await loop.sock_sendall(root, messages.PULSE)
            assert await loop.sock_recv(root, 100) == messages.PULSE
            side._ending = True
        await side._closed.wait()


async def test_each_service_is_told_and_an_older_one_gets_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would lead to the port that somebody else has. What mends it is said."""
    place, loop = tmp_path / "rules", asyncio.get_running_loop()
    side = ServiceSide(place, tmp_path / "questions")
    side.lead_to(9000)
    side.attend(loop)
    for knows in (True, False):
        monkeypatch.setattr("spendgate.redirect.service_side._LED_WITHIN_S", 60 if knows else 0.1)
        with closing(Door(place, os.getuid())) as door:
            heard = await _taken(door)
        assert messages.port(await loop.sock_recv(heard, 1000)) == 9000
        assert messages.addresses(await loop.sock_recv(heard, 1000)) == frozenset()
        await loop.sock_sendall(heard, messages.PULSE)
        if knows:
            await loop.sock_sendall(heard, messages.pack_leads(9000))
            assert await loop.sock_recv(heard, 100) == messages.PULSE
            assert caplog.text == ""
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.sock_recv(heard, 100), 0.3)
            assert "systemctl restart spendgate-redirect" in caplog.text
        heard.close()


def test_the_next_gate_is_where_it_says(tmp_path: Path, applied: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What redirects outlives gates: one that names no port, as an older one, is at the port that it was started with."""
    monkeypatch.setattr(redirector.Door, "take", lambda _: gates.pop(0) if gates else None)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    gates = [root for root, _ in pairs]
    with closing(Door(tmp_path / "rules", os.getuid())) as door:
        made = redirector._Redirector(Table(RULES), door, Manager())
        led = []
        for (_, gate), port in zip(pairs, (9000, None, 9001), strict=True):
            applied.clear()
            _turns(made, monkeypatch, {door.fileno()})
            if port is not None:
                gate.send(messages.pack_port(port))
            gate.send(messages.PULSE)
            assert made._pulse is not None
            _turns(made, monkeypatch, {made._pulse.fileno()}, {made._pulse.fileno()})
            led.append({line.rpartition(":")[2] for line in "".join(applied).splitlines() if "redirect to" in line})
            assert "add element inet spendgate alive" in applied[-1]
    for pair in pairs:
        for each in pair:
            each.close()
    assert led == [{"9000"}, {"8443"}, {"9001"}]


def _turns(made: redirector._Redirector, monkeypatch: pytest.MonkeyPatch, *ready: set[int]) -> None:
    """Of its loop, in each of which these are readable; then the signal that ends it."""
    turns: Iterator[set[int]] = iter((*ready, {-1}))
    monkeypatch.setattr(made, "_ready", lambda *_: next(turns))
    made.until(-1)


@pytest.mark.root
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_squatter_keeps_nobody_from_being_captured(laptop: Lab, squat: Callable[..., None], host: str) -> None:
    """Before the start, and in a restart: over both families, and nothing is led to the squatter."""
    first = laptop.gate() if host == "::1" else None
    if first is not None:
        os.kill(first.pid, signal.SIGKILL)
        first.root.wait()
    squat(f"{host}@8443")
    laptop.gate()
    asked = [laptop.ask(provider, account=laptop.people[1]) for provider in (PROVIDER4, PROVIDER6)]
    assert [(told["by"], told["to"]) for told in asked] == [("gate", PROVIDER4), ("gate", PROVIDER6)]
    assert "redirect to :8443" not in laptop.rules()


@pytest.fixture(name="squat")
def _squat(laptop: Lab) -> Iterator[Callable[..., None]]:
    """Have the first person listen at these, `HOST@PORT`, until the test is over."""
    started = []

    def squat(*at: str) -> None:
        who = ("setpriv", f"--reuid={laptop.people[0]}", "--clear-groups")
        started.append(laptop.inside(*who, "python3", "-c", textwrap.dedent(SQUAT), *at, cwd="/"))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "listens\n"

    yield squat
    for each in started:
        each.kill()
        each.communicate()
