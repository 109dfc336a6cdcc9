"""What becomes of calls to providers while no gate answers: direct, or held where the policy's `on_failure` says `refuse`.

A firewall knows addresses, not names. Held are those of the providers' names, without the ones at which this machine has
been seen to reach another host: those other hosts must go on. So on an address of a CDN that serves others, too, and is used
for them here, nothing is held; and whoever names another host at a provider's address has it let go for a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spendgate.policy import Policy
from spendgate.redirect.addresses import ProviderAddresses, Shared, resolve

if TYPE_CHECKING:
    from spendgate.redirect.gate_side import Side

RESOLVE_EVERY_S = 300.0
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Holding:
    """Whether calls are held while no gate answers, and why."""

    holds: bool
    why: str


def holding(policy: Policy) -> Holding:
    """By what the policy says. Pure."""
    if policy.mode.default == "observe":
        return Holding(False, "its mode observes, and what is only observed is held by nothing")
    if policy.on_failure.action == "refuse":
        return Holding(True, "on_failure: refuse")
    if policy.on_failure.limit_nanos is not None:
        return Holding(False, "on_failure allows an amount, which nobody counts while the gate is gone")
    return Holding(False, "on_failure: allow")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the policy in force wants of the rules."""

    hosts: tuple[str, ...]
    """Providers', whose addresses are looked up."""
    holds: bool


async def keep_naming(wish: Callable[[], Wish], shared: Shared, side: Side) -> None:
    """Tell what sets the rules to which addresses QUIC is rejected and which are held, until cancelled.

    Names are resolved every five minutes, and at once where they are others. While none resolves, what was known stays known.
    """
    loop = asyncio.get_running_loop()
    known, due_s, as_of_s = ProviderAddresses(), 0.0, 0.0
    named: dict[str, str] = {}
    hosts: tuple[str, ...] = ()
    told: tuple[frozenset[str], frozenset[str]] | None = None
    while True:
        wanted = wish()
        if wanted.hosts != hosts or loop.time() >= due_s:
            if wanted.hosts != hosts:
                known, hosts, named = ProviderAddresses(), wanted.hosts, {}
            if found := await resolve(hosts):
                named |= found
                as_of_s = loop.time()
                known.add(found, as_of_s)
            due_s, wanted = loop.time() + RESOLVE_EVERY_S, wish()
        quic = known.current(as_of_s)
        if shared.providers.keys() != quic:
            named = {address: host for address, host in named.items() if address in quic}
            shared.providers = named
        held = quic - shared.current(loop.time()) if wanted.holds else frozenset()
        if told != (quic, held):
            side.reject_quic_to(quic)
            if quic or not wanted.holds:  # else an earlier gate knew more: what it had held stays held
                side.hold(held)
            told = quic, held
        await asyncio.sleep(LOOK_EVERY_S)
