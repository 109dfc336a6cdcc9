"""Whether a running gate captures: a canary call through each way by which traffic is to come, the only sign of health.

The gate answers the call itself. Where transparent capture has gone, the first packet of the call may leave instead, towards an
address that is reserved for documentation and that nobody has (RFC 5737); it holds nothing. A listener that says it is up proves
nothing: mitmproxy's local mode says so also where it captures nothing, and firewall rules may have been flushed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spendgate.capture.health import CANARY_ADDRESS, CANARY_ADDRESS6, CANARY_PORT, call_canary
from spendgate.cli.in_force import InForce

PATIENCE_S = 3.0
_UNASKED = ("reverse",)
"""Ways that have one upstream and answer no canary."""
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_CANARIES = {4: (socket.AF_INET, CANARY_ADDRESS), 6: (socket.AF_INET6, CANARY_ADDRESS6)}
_EVERYWHERE = ("transparent", "local")
"""Ways that clients are not pointed at: a call to whatever address goes them."""


@dataclass(frozen=True, slots=True)
class Way:
    """How traffic comes to a gate, and what a canary call that comes so trusts and must be answered."""

    mode: str
    host: str
    port: int
    certificate: str
    """The file of the gate's certificate."""
    pem: str
    """What is in it; empty: it cannot be read, and nobody can trust it."""
    instance: str

    @property
    def address(self) -> tuple[str, int] | None:
        """What a canary call is addressed to; None: to what `call_canary` takes by itself."""
        if self.mode not in _EVERYWHERE:
            return self.host, self.port
        return (CANARY_ADDRESS6, CANARY_PORT) if ":" in self.host else None

    @property
    def name(self) -> str:
        """As a person reads it."""
        if self.mode not in _EVERYWHERE:
            return f"{self.mode} {self.host}:{self.port}"
        kind = "transparent for containers" if self.for_containers else self.mode
        return f"{kind} over IPv6" if ":" in self.host else kind

    @property
    def for_containers(self) -> bool:
        """Whether it is the one that bridges are led to: nothing else of capture listens on every address."""
        return self.mode == "transparent" and self.host in _EVERY_ADDRESS

    def unused(self) -> str:
        """Why no call of this machine comes by it; empty where some do. There may be no way to anywhere, as on a laptop that is
        offline: the kernel then refuses a connection before any rule sees it."""
        if self.for_containers:
            return "no call of this machine goes that way: it is for what comes by bridges"
        if self.mode not in _EVERYWHERE:
            return ""
        version = 6 if ":" in self.host else 4
        if _has_route(*_CANARIES[version]):
            return ""
        return f"this machine has no IPv{version} route: no call goes that way"


def _has_route(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((address, CANARY_PORT))  # sends nothing
    except OSError:
        return False
    return True


def ways(said: InForce) -> tuple[Way, ...]:
    """Those of this gate, each once."""
    try:
        pem = Path(said.ca_cert).read_text(encoding="ascii")
    except (OSError, ValueError):
        pem = ""
    found = (Way(mode, host, port, said.ca_cert, pem, said.instance) for mode, host, port in said.listeners)
    return tuple({way.name: way for way in found}.values())


def silent(asked: Sequence[Way]) -> tuple[str, ...]:
    """The names of those through which no canary call of this process is answered by their gate; empty: all capture.

    It is this account's traffic that is tried: a transparent way leads past the gate's own account.
    """
    return asyncio.run(_asked([way for way in asked if not way.unused()]))


async def _asked(asked: Sequence[Way]) -> tuple[str, ...]:
    answers = await asyncio.gather(*(_answer(way) for way in asked))
    return tuple(way.name for way, answer in zip(asked, answers, strict=True) if answer != way.instance)


async def _answer(way: Way) -> str | None:
    return await call_canary(way.mode, way.address, way.pem, PATIENCE_S) if way.pem else None


def listeners(found: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]) -> tuple[tuple[str, str, int], ...]:
    """Mode and address of each way that answers a canary, for `in_force` to keep; `found` are modes with their addresses."""
    kept = []
    for mode, addresses in found:
        kind = mode.partition("@")[0].partition(":")[0]
        if kind not in _UNASKED:
            kept += [(kind, host, port) for host, port in addresses or (("", 0),)]
    return tuple(kept)
