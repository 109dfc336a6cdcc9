"""The rule for containers, with a real bridge: who is led to the gate, as whom, and who is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from redirect.lab import BRIDGE4, CONTAINER4, CONTAINER6, OTHER4, PROVIDER4, PROVIDER6, Lab, container
from spendgate.attribution import Evidence, Peer
from spendgate.errors import UsageError
from spendgate.identity.containers import IN_CONTAINER, BridgedLookup, ranges
from spendgate.identity.interface import Endpoints
from spendgate.redirect import listed
from spendgate.redirect.ruleset import Rules, ruleset
from spendgate.redirect.supervisor import Settings, listeners

BOTH = ("172.16.0.0/12=alice", "fd00::/8")


@pytest.fixture
def inside(laptop: Lab) -> Iterator[Lab]:
    """A container of the laptop, which has one more address of another range."""
    with container(laptop, "172.20.0.3/24") as made:
        yield made


@pytest.mark.root
def test_a_container_is_led_to_the_gate_while_it_lives(laptop: Lab, inside: Lab) -> None:
    """IPv4 and IPv6, as whom the rule says, with where it wanted to go; directly before and after, and nothing is left."""
    before = laptop.rules()
    assert [inside.ask(host)["by"] for host in (PROVIDER4, PROVIDER6)] == ["provider", "provider"]
    gate = laptop.gate(containers=BOTH, quic=(PROVIDER4, PROVIDER6))

    four, six = (inside.ask(host) for host in (PROVIDER4, PROVIDER6))
    assert [(said["by"], said["to"]) for said in (four, six)] == [("gate", PROVIDER4), ("gate", PROVIDER6)]
    assert [said["peer"]["account"] for said in (four, six)] == ["alice", None]
    assert [said["peer"]["why_unknown"] for said in (four, six)] == [IN_CONTAINER, IN_CONTAINER]
    assert [said["peer"]["evidence"] for said in (four, six)] == ["policy", "none"]
    assert [inside.quic(host, "0") for host in (PROVIDER4, PROVIDER6, OTHER4)] == ["rejected", "rejected", "provider"]
    assert [inside.ask(host, port=2053)["by"] for host in (PROVIDER4, PROVIDER6, OTHER4)] == [
        "gate",
        "gate",
        "provider",
    ]
    own = laptop.ask(account=laptop.people[0])  # a program of the machine, as ever
    assert (own["by"], own["peer"]["account"]) == ("gate", laptop.people[0])

    gate.root.terminate()
    gate.root.wait()
    assert [inside.ask(host)["by"] for host in (PROVIDER4, PROVIDER6)] == ["provider", "provider"]
    assert laptop.rules() == before


@pytest.mark.root
def test_a_container_is_held_while_the_gate_is_gone(laptop: Lab, inside: Lab) -> None:
    """`on_failure: refuse`, and `kill -9`: providers' addresses alone, by TCP and QUIC, IPv4 and IPv6; what was led before is led
    again by the next gate; another range goes direct, as ever, and so does all where the gate is stopped in order."""
    gate = laptop.gate(containers=("172.20.0.2/32", "fd00::/8"), quic=(PROVIDER4,), hold=(PROVIDER4, PROVIDER6))
    os.kill(gate.pid, signal.SIGKILL)
    gate.root.wait()
    for host in (PROVIDER4, PROVIDER6):
        assert all("refused" in inside.ask(host, port=port)["why"] for port in (443, 2053))
        assert inside.quic(host, "0") == "rejected"
    assert inside.ask(OTHER4)["by"] == "provider"
    assert inside.quic(OTHER4, "0") == "provider"
    assert listed.held_back(laptop.rules()) >= 4

    again = laptop.gate(containers=("172.20.0.2/32", "fd00::/8"), hold=(PROVIDER4, PROVIDER6))
    assert inside.ask()["by"] == "gate"
    os.kill(again.pid, signal.SIGKILL)
    again.root.wait()
    with bound(inside, "172.20.0.3"):
        assert inside.ask()["by"] == "provider"
    last = laptop.gate(containers=("172.20.0.0/24",), hold=(PROVIDER4,))
    last.root.terminate()
    last.root.wait()
    assert inside.ask()["by"] == "provider"


@pytest.mark.root
def test_nobody_else_is_led_there(laptop: Lab, inside: Lab) -> None:
    """Off without the option; then neither another range, nor this machine's own ports; and the port is closed to who comes by
    himself, from a container or from outside."""
    laptop.gate()
    assert inside.ask()["by"] == "provider"
    laptop.end_gates()
    laptop.gate(containers=("172.20.0.3/32", "fd00:20::3/128"))

    assert [inside.ask(host)["by"] for host in (PROVIDER4, PROVIDER6)] == ["provider", "provider"]
    with bound(inside, "172.20.0.3"):
        assert inside.ask()["by"] == "gate"
        assert inside.ask(BRIDGE4)["by"] == "nobody"
        assert came(inside, BRIDGE4, 8444) == "refused"
    outside = replace(laptop, name=laptop.name.replace("sgl", "sgp"))
    assert came(outside, "198.51.100.1", 8444) == "refused"


@contextmanager
def bound(inside: Lab, address: str) -> Iterator[None]:
    """What the container sends comes from this address of its own."""
    route = ["ip", "-n", inside.name, "route", "replace", "default", "via", BRIDGE4]
    subprocess.run([*route, "src", address], check=True)
    subprocess.run(["ip", "-n", inside.name, "address", "delete", f"{CONTAINER4}/24", "dev", "eth0"], check=True)
    subprocess.run(["ip", "-n", inside.name, "address", "replace", f"{address}/24", "dev", "eth0"], check=True)
    subprocess.run([*route, "src", address], check=True)
    yield


def came(where: Lab, host: str, port: int) -> str:
    """What a connection from there gets."""
    code = (
        "import socket, sys\ntry: socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)\n"
        "except ConnectionRefusedError: print('refused')"
    )
    done = where.inside(sys.executable, "-c", code, host, str(port)).communicate()
    return done[0].strip() or done[1].strip() or "connected"


class Kernel:
    """A `Lookup` that knows one account, or nobody."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def owner(self, _ends: Endpoints) -> Peer:
        return self._peer

    def process(self, peer: Peer, _ends: Endpoints) -> Peer:
        return replace(peer, pid=7)


BOB = Peer(uid=1001, account="bob", evidence=Evidence.SOCKET_OWNER)
GONE = Peer(why_unknown="gone")


@pytest.mark.parametrize(
    ("kernel", "address", "account", "pid"),
    [
        pytest.param(GONE, CONTAINER4, "alice", None, id="a container of the range"),
        pytest.param(GONE, CONTAINER6, None, None, id="a container of a range that counts for nobody"),
        pytest.param(BOB, CONTAINER4, "bob", 7, id="whom the kernel knows, with a container's address"),
        pytest.param(GONE, "127.0.0.1", None, None, id="an address of this machine"),
        pytest.param(GONE, "10.1.2.3", None, None, id="an address of no range"),
    ],
)
def test_whose_a_connection_is(kernel: Peer, address: str, account: str | None, pid: int | None) -> None:
    """The kernel's word goes first, and an address that this machine has is no container's."""
    lookup = BridgedLookup(Kernel(kernel), (*ranges(BOTH), *_loopback("mallory")))
    ends = Endpoints((address, 40_000), (PROVIDER4, 443))

    peer = lookup.owner(ends)

    assert (peer.account, lookup.process(peer, ends).pid) == (account, pid)


def _loopback(account: str) -> tuple[object, ...]:
    """A range that no option takes, so that the machine's own address is in one."""
    made = ranges((f"10.9.0.0/16={account}",))[0]
    return (replace(made, network=made.network.__class__("127.0.0.0/8")),)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(("0.0.0.0/0",), id="everything"),
        pytest.param(("::/0",), id="everything, IPv6"),
        pytest.param(("127.0.0.0/8",), id="this machine"),
        pytest.param(("docker0",), id="an interface"),
        pytest.param(("172.16.0.0",), id="no width"),
        pytest.param(("172.17.0.1/16",), id="an address with a prefix"),
        pytest.param(("172.17.0.0/16 } accept",), id="a rule"),
        pytest.param(("172.17.0.0/16=",), id="no account"),
        pytest.param(("172.17.0.0/16=a b",), id="no account's name"),
        pytest.param(("172.16.0.0/12", "172.17.0.0/16"), id="two with the same addresses"),
    ],
)
def test_what_is_no_range_is_refused(texts: tuple[str, ...]) -> None:
    """Before a rule or a unit is made of it."""
    with pytest.raises(UsageError, match="--containers"):
        ranges(texts)


def test_every_rule_of_theirs_asks_for_life_and_a_bridge() -> None:
    """And is set out as the others; only families that have a range get a rule and a listener."""
    both = tuple(each.network for each in ranges(BOTH))
    lines = ruleset(Rules(gate=65500, port=8443, containers=both)).splitlines()
    acting = [line.strip() for line in lines if "counter" in line and "@hold" not in line]
    assert (len(acting), sum("@alive" in line for line in acting)) == (12, 12)
    led = [line for line in acting if line.endswith("redirect to :8444")]
    assert all(line.startswith('meta iifkind "bridge" ip') and "daddr !=" in line for line in led)
    assert len(led) == 4
    depth = 0
    for line in lines:
        depth -= line.strip() == "}"
        assert line == "  " * depth + " ".join(line.split())
        depth += line.endswith("{")
    assert listeners(Settings(containers=ranges(BOTH)))[2:] == ("transparent@0.0.0.0:8444", "transparent@:::8444")
    assert listeners(Settings(containers=ranges(BOTH[:1])))[2:] == ("transparent@0.0.0.0:8444",)
    assert "containers" not in ruleset(Rules(gate=65500, port=8443))
