"""What changes while a gate runs: the policy file, certificates, and the price list where the policy says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.capture.meter import Meter
from spendgate.cli import certified, not_signed, renewing
from spendgate.cli.granted import Granting, follow
from spendgate.cli.house import House, scope_of
from spendgate.cli.output import note
from spendgate.config import policies, prices
from spendgate.config.known import KNOWN
from spendgate.config.policy_url import Poll
from spendgate.errors import StateError, Why
from spendgate.gate.alerting import Alerting
from spendgate.gate.gate import Gate
from spendgate.gate.purging import Purging
from spendgate.notices import not_done
from spendgate.providers.registry import Registry

AGAIN_S: Final = 10


@asynccontextmanager
async def following(
    house: House, gate: Gate, meter: Meter, beside: tuple[Alerting, Purging], granting: Granting
) -> AsyncIterator[None]:
    """Follow them inside, and let the threads `beside` the gate follow them, too."""
    stop = asyncio.Event()
    swapping = asyncio.Lock()  # a policy and a grant that come at once: the one that is swapped in last has both

    async def changed(found: policies.InForce) -> None:
        async with swapping:
            await _policy_changed(house, gate, meter, found, granting)
            for each in beside:
                each.follow(gate.policy)

    async def granted() -> None:
        async with swapping:
            await gate.set_policy(granting.beside(house.in_force.policy))
            meter.policy_changed(house.registry)  # what was refused a moment ago may go now
            for each in beside:
                each.follow(gate.policy)  # a share of a limit is one of the raised limit
            granting.tell(gate.policy)

    runs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("following the price list", lambda: _follow_prices(house, gate)),
        ("following grants", lambda: follow(granting, granted)),
        ("following certificates", lambda: certified.follow(house, gate)),
        ("renewing certificates", lambda: renewing.follow(house, gate)),
    ]
    if (follower := _follower(house)) is not None:
        runs.append(("following the policy", lambda: follower.run(changed, stop)))
    tasks = [asyncio.create_task(_lasting(what, run)) for what, run in runs]
    try:
        yield
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _lasting(what: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run it for as long as the gate runs. A fault that nobody foresaw is said, and it begins anew: ended in silence, nothing
    that changes would take force until a restart."""
    while True:
        try:
            await run()
        except Exception as fault:  # noqa: BLE001 - the boundary of a task that nobody awaits; its text may quote a file
            note(f"{what} failed ({type(fault).__name__}), and begins anew in {AGAIN_S} s")
            await asyncio.sleep(AGAIN_S)
        else:
            return


def _follower(house: House) -> policies.Watch | Poll | None:
    """What follows the policy's source; None where it cannot change."""
    given, now_ms = house.given, house.clock.now_ms
    if given.url is not None and given.trust is not None:
        return Poll(given.url, given.trust.every_s, house.in_force, house.last_good, now_ms=now_ms, known=KNOWN)
    if isinstance(given.source, Path):
        return policies.Watch(given.source, house.in_force, house.last_good, now_ms=now_ms, known=KNOWN)
    return None


async def _policy_changed(house: House, gate: Gate, meter: Meter, found: policies.InForce, granting: Granting) -> None:
    """Another policy takes force once its balances are filled; a bad file changes nothing but what `status` says."""
    if not found.refused and found.policy.hash != house.in_force.policy.hash:
        registry = Registry.build(found.policy.capture)
        scope = scope_of(house.wanted, found.policy, registry, house.authority)
        await gate.set_policy(
            granting.beside(found.policy)
        )  # may fail; nothing after it does, so that no two parts follow two policies
        house.registry, house.scope = registry, scope
        meter.policy_changed(house.registry)
        note(f"policy {found.policy.hash} is in force")
    if (found.refused, found.policy.hash) != (house.in_force.refused, house.in_force.policy.hash):
        tell_policy(gate, found)
    house.in_force = found
    house.tell()
    if not found.refused:
        tell_not_signed(house)


def tell_not_signed(house: House) -> None:
    """To the person who started the gate, before any call has passed unread."""
    if line := not_signed.said(house.not_signed()):
        house.say(f"WARNING {line}")


def tell_policy(gate: Gate, found: policies.InForce) -> None:
    """To the audit trail: what decides from here on, or that newer files were refused, by numbers alone, since their text may
    hold anything. To the person who started the gate: the faults, or what of the policy this version does not do."""
    if found.refused:
        what = "could not be fetched" if found.why is Why.UNREACHED else "file is refused"
        note(f"the policy {what}; the last good one stays in force:")
        for line in found.refused:
            note(f"  {line}")
        count = len(found.refused)
        detail = f"{found.policy.hash} stays in force; {count} fault{'s' if count > 1 else ''}"
        detail += "" if found.why is Why.FAULTS else f": {found.why}"
        gate.audit(AuditWord.POLICY_REFUSED, detail)
        return
    revision = found.policy.validity.revision
    numbered = "" if revision is None else f", revision {revision}"
    signed = f", signed by {found.signed_by}" if found.signed_by else ""
    gate.audit(AuditWord.POLICY_IN_FORCE, f"{found.policy.hash}{numbered}{signed}")
    for line in not_done(found.policy):
        note(line)


async def _follow_prices(house: House, gate: Gate) -> None:
    while True:
        now = datetime.now(UTC)
        due = house.store.due(now) and house.in_force.policy.prices_update == "daily"
        await asyncio.sleep(prices.next_fetch(now, due))
        if not due:
            continue
        try:
            book = await house.store.refresh(datetime.now(UTC))
        except StateError as fault:
            used = prices.age(house.store.book(), now)
            house.say(f"{fault}; calls are priced by {used}")
            house.prices = f"{used}; the newer list could not be fetched"
            house.tell()
            await asyncio.sleep(prices.next_fetch(now, about_due=False))
            continue
        if book is not None:
            gate.set_prices(book)
            house.prices = prices.age(book, datetime.now(UTC))
            house.tell()
