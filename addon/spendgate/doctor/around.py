"""Processes of this machine that hold a connection to a provider's address around the gate, as the socket table has them.

What is seen are addresses: a provider's may be a content network's, which serves other sites, too, so that a finding names both
the address and the host that resolves to it. A connection that ended before is not seen at all.
"""

from __future__ import annotations

import ipaddress
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from spendgate.attribution import BROWSER
from spendgate.identity import open_connections, program_of
from spendgate.identity.interface import Connection, Endpoints

if TYPE_CHECKING:
    from spendgate.identity.sock_diag import SockDiag

_RESOLVERS = 16


@dataclass(frozen=True, slots=True)
class Gates:
    """What of the table is the gates' own."""

    pids: frozenset[int]
    uid: int | None
    listeners: frozenset[int]
    """Their ports: what is connected to one of them is captured."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process that goes around."""

    pid: int
    account: str
    program: str
    tool: str
    """Empty: not known."""
    browser: bool
    hosts: tuple[str, ...]
    addresses: tuple[str, ...]


def table() -> tuple[Connection, ...]:
    """The open TCP connections of this network namespace. Raises OSError, RuntimeError, ValueError, psutil.Error."""
    return tuple(
        replace(each, local=(_plain(each.local[0]), each.local[1]), remote=(_plain(each.remote[0]), each.remote[1]))
        for each in open_connections()
    )


def outward(
    sockets: Sequence[Connection], gates: Gates, owner: Callable[[Connection], int | None] | None = None
) -> tuple[Connection, ...]:
    """Those to other machines, at whichever port, that no gate has: neither its own, nor one that it was led.

    `owner`: the account of a socket whose process is not seen; a socket of anybody else at a port like the gate's hides nothing.
    """
    owner = owner or _owner_of(gates)
    led = {
        each.remote
        for each in sockets
        if each.local[1] in gates.listeners
        and (each.pid in gates.pids if each.pid is not None else owner(each) == gates.uid)
    }
    here = {each.local[0] for each in sockets}
    return tuple(
        each
        for each in sockets
        if each.remote[0] not in here
        and not ipaddress.ip_address(each.remote[0]).is_loopback
        and each.pid not in gates.pids
        and each.local not in led
    )


def _owner_of(gates: Gates) -> Callable[[Connection], int | None]:
    """Who has a socket. Where no account is told of it, or of the gate, it is taken for the gate's."""
    if platform.system() != "Linux" or gates.uid is None:
        return lambda one: gates.uid
    from spendgate.identity.sock_diag import SockDiag  # noqa: PLC0415 - Linux alone has it

    diag = SockDiag()
    return lambda one: _uid(diag, one)


def resolved(hosts: Iterable[str], within_s: float) -> tuple[dict[str, str], int]:
    """Address to host of each name that resolves in this time, and how many names were still asked for when it was over."""
    asked, answers = SimpleQueue[str](), SimpleQueue[tuple[str, tuple[str, ...]]]()
    names = sorted({host for host in hosts if "*" not in host})
    for name in names:
        asked.put(name)

    def resolve() -> None:
        while True:
            try:
                name = asked.get_nowait()
            except Empty:
                return
            answers.put((name, _addresses(name)))

    for _ in range(min(_RESOLVERS, len(names))):
        threading.Thread(target=resolve, daemon=True).start()  # a resolver that hangs keeps nobody
    found: dict[str, str] = {}
    until, left = time.monotonic() + within_s, len(names)
    while left and (seconds := until - time.monotonic()) > 0:
        try:
            name, addresses = answers.get(timeout=seconds)
        except Empty:
            break
        left -= 1
        for address in addresses:
            found.setdefault(address, name)
    return found, left


def processes(going: Sequence[Connection], hosts: Mapping[str, str]) -> tuple[Process, ...]:
    """The visible processes that hold connections to these addresses, each once."""
    held: dict[int, list[str]] = {}
    for each in going:
        if each.pid is not None and each.remote[0] in hosts:
            held.setdefault(each.pid, []).append(each.remote[0])
    named = (_named(pid, tuple(dict.fromkeys(addresses)), hosts) for pid, addresses in sorted(held.items()))
    return tuple(each for each in named if each is not None)


def hidden(going: Sequence[Connection], hosts: Mapping[str, str], gate_uid: int | None) -> int:
    """How many connections to these addresses are other accounts', but for the gate's."""
    unknown = [each for each in going if each.pid is None and each.remote[0] in hosts]
    if not unknown:
        return 0
    if platform.system() != "Linux":
        return len(unknown)  # those tables tell no account of what no process is named for
    from spendgate.identity.sock_diag import SockDiag  # noqa: PLC0415 - Linux alone has it

    diag = SockDiag()
    return sum(1 for each in unknown if _uid(diag, each) != gate_uid)


def _uid(diag: SockDiag, one: Connection) -> int | None:
    try:
        owner = diag.owner(Endpoints(one.local, one.remote))
    except (OSError, ValueError):
        return None
    return None if owner is None else owner.uid


def _named(pid: int, addresses: tuple[str, ...], hosts: Mapping[str, str]) -> Process | None:
    found = program_of(pid)
    if found is None:
        return None
    return Process(
        pid=pid,
        account=found.account,
        program=found.path,
        tool=found.tool,
        browser=found.browser == BROWSER,
        hosts=tuple(dict.fromkeys(hosts[address] for address in addresses)),
        addresses=addresses,
    )


def _addresses(name: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple({_plain(str(entry[4][0])) for entry in found})


def _plain(text: str) -> str:
    """As a resolver writes it: without zone, IPv4 where it is IPv4 mapped into IPv6."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)
