"""Whether a running gate captures: a canary call through each way by which traffic is to come, the only sign of health.

The gate answers the call itself. Where transparent capture has gone, the first packet of the call may leave instead, towards an
address that is reserved for documentation and that nobody has (RFC 5737); it holds nothing. A listener that says it is up proves
nothing: mitmproxy's local mode says so also where it captures nothing, and firewall rules may have been flushed.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from spendgate.capture.health import call_canary
from spendgate.cli.in_force import InForce

PATIENCE_S = 3.0
_UNASKED = ("reverse",)
"""Ways that have one upstream and answer no canary."""


def silent(said: InForce) -> tuple[str, ...]:
    """The ways of this gate through which no canary call is answered, as a person reads them; empty: all capture."""
    try:
        pem = Path(said.ca_cert).read_text(encoding="ascii")
    except (OSError, ValueError):
        return tuple(sorted({mode for mode, _, _ in said.listeners}))  # nobody can trust it, then
    return asyncio.run(_asked(said, pem))


async def _asked(said: InForce, pem: str) -> tuple[str, ...]:
    ways = dict.fromkeys(_way(*listener) for listener in said.listeners)
    answers = await asyncio.gather(*(call_canary(mode, address, pem, PATIENCE_S) for mode, address in ways))
    return tuple(
        mode if address is None else f"{mode} {address[0]}:{address[1]}"
        for (mode, address), instance in zip(ways, answers, strict=True)
        if instance != said.instance
    )


def _way(mode: str, host: str, port: int) -> tuple[str, tuple[str, int] | None]:
    """How a client comes: to an address, or, where capture is transparent, to whatever it calls."""
    return mode, None if mode in ("transparent", "local") else (host, port)


def listeners(found: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]) -> tuple[tuple[str, str, int], ...]:
    """Mode and address of each way that answers a canary, for `in_force` to keep; `found` are modes with their addresses."""
    kept = []
    for mode, addresses in found:
        kind = mode.partition("@")[0].partition(":")[0]
        if kind not in _UNASKED:
            kept += [(kind, host, port) for host, port in addresses or (("", 0),)]
    return tuple(kept)
