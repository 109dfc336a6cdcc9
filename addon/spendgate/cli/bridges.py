"""Bridges with something behind them, as Docker's, as checks: what it sends passes the machine, and no account's rule sees it."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface, ip_network
from pathlib import Path
from typing import Final

import psutil

from spendgate.cli.report import Report
from spendgate.doctor.interface import Check, State

Network = IPv4Network | IPv6Network
_RUNTIMES: Final = frozenset(
    {
        "dockerd",
        "containerd",
        "podman",
        "conmon",
        "crio",
        "lxd",
        "incusd",
        "lxc-monitord",
        "libvirtd",
        "virtqemud",
        "k3s-server",
    }
)
"""Processes that start containers or virtual machines, as the kernel's table names them."""
_LED: Final = "what comes by bridges from the ranges that were named is led to the gate"
_IMAGES: Final = "and have their images trust the gate"


def containers(report: Report, interfaces: Path = Path("/sys/class/net")) -> Iterator[Check]:
    """Each that is busy, by whether its addresses are in the ranges that are led to the gate."""
    busy = sorted(each.parent.name for each in interfaces.glob("*/brif") if any(each.iterdir()))
    if busy:
        listed = report.said.containers if report.said and any(way.for_containers for way in report.ways) else ()
        yield from judged(_networks(busy), listed, _runtimes())


def judged(
    busy: Mapping[str, Sequence[Network]], listed: Iterable[str], runtimes: Sequence[str] = ()
) -> Iterator[Check]:
    """`busy`: by bridge its own networks, none where it has no address. `listed`: the ranges that are led to the gate.
    `runtimes`: what runs here and starts containers. Pure."""
    ranges = [ip_network(each) for each in listed]
    by = f" ({', '.join(runtimes)} runs here)" if runtimes else ""
    if not ranges:
        says = f"containers or virtual machines are behind this bridge{by}, and what they send is not led to the gate"
        remedy = f"name their addresses, as in `--mode transparent --containers 172.16.0.0/12`, {_IMAGES}"
        yield Check("containers", ", ".join(busy), State.UNSEEN, says, remedy)
        return
    for name, networks in busy.items():
        if outside := [each for each in networks if not _within(each, ranges)]:
            from_ = ", ".join(map(str, outside))
            says = f"what is behind this bridge{by} and sends from {from_} goes around the gate: no range has it"
            words = " ".join(f"--containers {each}" for each in (*ranges, *outside))
            remedy = f"name it as well, `{words}` beside the other options that the gate has, {_IMAGES}"
            yield Check("containers", name, State.FINDING, says, remedy)
        elif networks:
            yield Check("containers", name, State.FINE, _LED)
        else:
            says = f"this machine has no address on it{by}: whether a range has what is behind it is not seen"
            yield Check("containers", name, State.UNSEEN, says)


def _within(network: Network, ranges: Iterable[Network]) -> bool:
    return any(network.version == each.version and network.subnet_of(each) for each in ranges)  # type: ignore[arg-type]  # of one version


def _networks(names: Iterable[str]) -> dict[str, tuple[Network, ...]]:
    """Without addresses that reach no further than the bridge."""
    found = psutil.net_if_addrs()
    return {name: tuple(dict.fromkeys(_of(found.get(name, ())))) for name in names}


def _of(addresses: Iterable[object]) -> Iterator[Network]:
    for each in addresses:
        family, address, mask = (getattr(each, name) for name in ("family", "address", "netmask"))
        if family in (socket.AF_INET, socket.AF_INET6) and mask:
            one = _interface(address.partition("%")[0], mask)
            if not one.ip.is_link_local:
                yield one.network


def _interface(address: str, mask: str) -> IPv4Interface | IPv6Interface:
    if ":" not in mask:
        return ip_interface(f"{address}/{mask}")
    return ip_interface(f"{address}/{bin(int(ip_interface(mask).ip)).count('1')}")


def _runtimes() -> tuple[str, ...]:
    names = {each.info["name"] for each in psutil.process_iter(["name"])}
    return tuple(sorted(names & _RUNTIMES))
