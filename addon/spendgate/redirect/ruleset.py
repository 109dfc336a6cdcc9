"""The firewall rules of Linux transparent capture as text, and how they are changed: table `inet spendgate`, nothing else. Pure.

Every rule asks the set `alive`, whose elements end by themselves after `timeout_ms`: rules without a live gate behind them do
nothing, after a crash, a hang or a `kill -9`, and traffic goes its direct way. Renewing is flush and add in one transaction,
since adding an element that is there does not renew it (nftables 1.0.6, Linux 6.18).

What comes by a bridge, as from containers, is led to the gate only where ranges are named: from a bridge, from such an
address, to neither another container nor this machine. The gate then listens on every address at one more port, since what
comes from elsewhere cannot be led to loopback; a rule closes that port to all that was not led there.

Port 443 is led to the gate for every address, since a client's resolver may know addresses of a provider that ours does not;
every other port of TCP for the addresses that the gate has named as providers'. The gate decides on the TLS hello, as ever.

QUIC cannot be redirected to a TCP proxy. It is rejected, so that clients fall back to TCP at once, only towards addresses
known to be a provider's; what an unlisted address of a provider's CDN still takes over QUIC is not captured.

A connection of the gate's and one of a client's to the same provider differ by their port alone. Where the gate takes the port
of a client's that it reset within the last 10 s, the kernel goes on with what it knows of that one and leads the gate's to the
gate, whose call fails: one in thousands of ports, unless somebody floods the gate. A zone of the kernel's tracking for the gate's
own would prevent it, and was taken out again: where the rules go while another table translates addresses, every stream of
the gate's is cut, and so is the end of a connection whose socket has closed, which no account owns.

Chain `hold` is the other way round: it acts while `alive` is empty, on the addresses that the gate has named for that, none
unless the policy refuses where it cannot decide (`redirect.holding`). It has no timeout: what a dead gate's table holds
stays held until a gate is back or somebody takes the table away. What comes by bridges from the named ranges is held likewise.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from spendgate.errors import UsageError

TABLE = "inet spendgate"
_CGROUP = re.compile(r"^[A-Za-z0-9_.@:\\-]+(/[A-Za-z0-9_.@:\\-]+)*$")

REMOVAL = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Deletes the table whether it is there or not, in one transaction."""
PAUSE = f"flush set {TABLE} alive\n"
"""New connections go direct at once, or are held; redirected ones go on, which they would not without the table."""
LET_GO = f"{PAUSE}flush set {TABLE} hold4\nflush set {TABLE} hold6\n"
"""New connections go direct at once, and none is held."""
ABSENT = "No such file"
"""Of what nft says where there is no table."""
LOOK = f"list table {TABLE}\n"
"""Behind a transaction: what `nftables.apply` then gives is the table as it was, without elements and counts."""


TIMEOUT_MS: Final = 3000
"""How long the rules outlive the gate's last sign of life, unless a test says otherwise."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules are made from."""

    gate: int | str
    """The gate's own account, whose traffic is never redirected: its uid; its name only in rules that are read, not set."""
    port: int
    """Where the gate listens, on 127.0.0.1 and on ::1."""
    ports: tuple[int, ...] = (443,)
    """Destination ports that are captured wherever they lead; of providers' known addresses all are."""
    cgroups: tuple[str, ...] = ()
    """cgroup v2 paths without leading slash (`user.slice`); empty: every process of every account but the gate's.

    The kernel resolves a path when the rules are installed: a group removed and made anew is another one, not captured."""
    containers: tuple[IPv4Network | IPv6Network, ...] = ()
    """Ranges of addresses that are captured where they come by a bridge; empty: nothing that passes this machine is."""
    timeout_ms: int = TIMEOUT_MS

    @property
    def container_port(self) -> int:
        """Where the gate takes containers' connections, on every address."""
        return self.port + 1


def ruleset(rules: Rules) -> str:
    """The whole table as nft(8) reads it, replacing an older one in the same transaction. Raises UsageError."""
    ports = ", ".join(str(port) for port in sorted(set(rules.ports)))
    where = [f"{scope} meta l4proto @alive".lstrip() for scope in _scopes(rules.cgroups)]
    captured = "".join(
        f"    {scope} {what} counter redirect to :{rules.port}\n" for scope in where for what in _led(ports)
    )
    rejected = "".join(
        f"    {scope} udp dport {{ {ports} }} {family} daddr @{name} counter reject\n"
        for scope in where
        for family, name in (("ip", "quic4"), ("ip6", "quic6"))
    )
    held = "".join(
        f"    {scope}{family} daddr @{name} {packets} counter {verdict}\n"
        for scope in (f"{each} ".lstrip() for each in _scopes(rules.cgroups))
        for family, name in (("ip", "hold4"), ("ip6", "hold6"))
        for packets, verdict in _held_from(ports)
    )
    account = rules.gate if isinstance(rules.gate, int) else f'"{rules.gate}"'
    own = f'    meta skuid {account} return\n    oifname "lo" return\n'
    return (
        f"{REMOVAL}table {TABLE} {{\n"
        "  set alive { type inet_proto; flags timeout; }\n"
        "  set quic4 { type ipv4_addr; }\n"
        "  set quic6 { type ipv6_addr; }\n"
        "  set hold4 { type ipv4_addr; }\n"
        "  set hold6 { type ipv6_addr; }\n"
        "  chain capture {\n    type nat hook output priority -100; policy accept;\n"
        f"{own}{captured}  }}\n"
        "  chain quic {\n    type filter hook output priority 0; policy accept;\n"
        f"{own}{rejected}  }}\n"
        "  chain hold {\n    type filter hook output priority 0; policy accept;\n"
        f"{own}    meta l4proto @alive return\n{held}  }}\n{_containers(rules, ports)}}}\n"
    )


def _led(ports: str) -> tuple[str, ...]:
    """What is led to the gate: these ports of any address, and every port of a provider's."""
    every = (f"meta l4proto tcp {family} daddr @{name}" for family, name in (("ip", "quic4"), ("ip6", "quic6")))
    return f"tcp dport {{ {ports} }}", *every


def _held_from(ports: str) -> tuple[tuple[str, str], ...]:
    """What becomes of what is held: as much of TCP as would be led to a gate, and QUIC."""
    return ("meta l4proto tcp", "reject with tcp reset"), (f"udp dport {{ {ports} }}", "reject")


def _containers(rules: Rules, ports: str) -> str:
    """The chains of what comes by bridges; empty without ranges."""
    sources = [
        (family, version, f"{{ {', '.join(listed)} }}")
        for version, family in ((4, "ip"), (6, "ip6"))
        if (listed := [str(each) for each in rules.containers if each.version == version])
    ]
    if not sources:
        return ""
    come = {family: f'    meta iifkind "bridge" {family} saddr {listed}' for family, _, listed in sources}
    led = "".join(
        f"{come[family]} meta l4proto @alive {family} daddr != {listed} fib daddr type != local {what} counter"
        f" redirect to :{rules.container_port}\n"
        for family, version, listed in sources
        for what in (f"tcp dport {{ {ports} }}", f"meta l4proto tcp {family} daddr @quic{version}")
    )
    rejected = "".join(
        f"{come[family]} meta l4proto @alive udp dport {{ {ports} }} {family} daddr @quic{version} counter reject\n"
        for family, version, _ in sources
    )
    held = "".join(
        f"{come[family]} {family} daddr @hold{version} {packets} counter {verdict}\n"
        for family, version, _ in sources
        for packets, verdict in _held_from(ports)
    )
    return (
        f"  chain containers {{\n    type nat hook prerouting priority -110; policy accept;\n{led}  }}\n"
        f"  chain containers_quic {{\n    type filter hook forward priority 0; policy accept;\n{rejected}  }}\n"
        "  chain containers_hold {\n    type filter hook forward priority 0; policy accept;\n"
        f"    meta l4proto @alive return\n{held}  }}\n"
        "  chain containers_port {\n    type filter hook input priority 0; policy accept;\n"
        "    ct status dnat return\n"
        f"    meta l4proto @alive tcp dport {rules.container_port} counter reject with tcp reset\n  }}\n"
    )


def _scopes(cgroups: tuple[str, ...]) -> tuple[str, ...]:
    for path in cgroups:
        if not _CGROUP.match(path):
            raise UsageError(f"cgroup {path!r} is not a path like `user.slice/user-1000.slice`")
    return tuple(f'socket cgroupv2 level {path.count("/") + 1} "{path}"' for path in cgroups) or ("",)


def sign_of_life(rules: Rules) -> str:
    """The transaction that lets the rules act for another `timeout_ms`."""
    return (
        f"{PAUSE}add element {TABLE} alive {{ tcp timeout {rules.timeout_ms}ms, udp timeout {rules.timeout_ms}ms }}\n"
    )


def quic_targets(addresses: Iterable[str]) -> str:
    """The transaction that makes `addresses` the providers': QUIC to them is rejected, every port led. Raises ValueError."""
    return _elements("quic", addresses)


def hold_targets(addresses: Iterable[str]) -> str:
    """The transaction that makes `addresses` the only ones that are held while no gate answers. Raises ValueError."""
    return _elements("hold", addresses)


def _elements(sets: str, addresses: Iterable[str]) -> str:
    parsed = {ipaddress.ip_address(text) for text in addresses}
    if any("%" in str(address) for address in parsed):
        raise ValueError("a scope may be any text, and is no part of an element")
    lines = [f"flush set {TABLE} {sets}4", f"flush set {TABLE} {sets}6"]
    for name, version in ((f"{sets}4", 4), (f"{sets}6", 6)):
        listed = ", ".join(sorted(str(address) for address in parsed if address.version == version))
        if listed:
            lines.append(f"add element {TABLE} {name} {{ {listed} }}")
    return "\n".join(lines) + "\n"
