"""What works in a running gate: the ledger, the gate on it, the meter before it, and the threads beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from spendgate.alerts.courier import Courier
from spendgate.alerts.weekly import Weekly
from spendgate.capture.call import Clock as CallClock
from spendgate.capture.coverage import CoverageEvent
from spendgate.capture.meter import Meter
from spendgate.cli import in_force
from spendgate.cli.account import own_account
from spendgate.cli.following import tell_not_signed, tell_policy
from spendgate.cli.granted import Granting
from spendgate.cli.house import House
from spendgate.cli.outside import heads_file, now_ms
from spendgate.config import prices
from spendgate.gate.alerting import Alerting
from spendgate.gate.gate import Gate
from spendgate.gate.purging import Purging
from spendgate.identity import system_lookup
from spendgate.identity.people import known_tool
from spendgate.ledger.keeping import Keeper
from spendgate.ledger.ledger import Ledger
from spendgate.providers.unfinished import estimate_usage


@dataclass(frozen=True, slots=True)
class Works:
    """They follow the policy that `house` has in force."""

    house: House
    ledger: Ledger
    granting: Granting
    gate: Gate
    meter: Meter
    alerting: Alerting
    purging: Purging
    """Started by itself, once the gate listens."""

    async def start(self) -> None:
        """All that goes before the first connection."""
        await self.gate.start()
        tell_policy(self.gate, self.house.in_force)
        tell_not_signed(self.house)
        self.alerting.start()
        self.granting.tell(self.gate.policy)

    async def stop(self) -> None:
        """Also where nothing was started."""
        await asyncio.to_thread(self.purging.stop)
        await self.gate.stop()
        await asyncio.to_thread(self.alerting.stop)
        self.ledger.close()

    def uncovered(self, event: CoverageEvent) -> None:
        """Record what could not be read."""
        peer = event.peer or self.meter.peer_of(event.connection)
        privacy = self.house.in_force.policy.privacy
        process = peer.process if privacy.process != "none" else None
        tool = known_tool(peer, privacy) or process or "unknown"
        self.gate.uncovered(peer.spender or "unknown", tool, event.host, event.gap.value)


def fitted(house: House, asks: str) -> Works:
    """On the ledger of the house, whose clock becomes the gate's. `asks` is the command by which a refused person asks for more.

    Raises StateError.
    """
    book = house.store.book()
    ledger = Ledger.open(house.state.ledger, house.state.gates, house.clock.now_ms())
    house.gate = ledger.gate_name
    keeper = Keeper(heads_file(house.state), ledger, used_before=in_force.told(house.state) is not None)
    # A grant is told as ended by the time that windows go by, from the start on: its end is for good.
    wall, house.clock = house.clock, replace(house.clock, now_ms=partial(now_ms, house.state, house.clock))
    granting = Granting(ledger, house.machine, lambda: house.clock.now_ms())  # noqa: PLW0108 - the gate's own, later
    gate = Gate(
        ledger, book, granting.beside(house.in_force.policy), estimate=estimate_usage, clock=wall, looks=keeper,
        account=own_account(), asks=asks,
    )  # fmt: skip
    house.clock = gate.clock
    meter = Meter(
        gate, house.registry, house.wanted.lookup or system_lookup(), house.attributed, machine=house.machine,
        clock=CallClock(now_ms=house.clock.now_ms),
    )  # fmt: skip
    return Works(house, ledger, granting, gate, meter, _alerting(house, gate), _purging(house, gate))


def _alerting(house: House, gate: Gate) -> Alerting:
    courier = Courier(house.clock.now_ms, house.clock.random, house.machine)
    weekly = Weekly(house.state.ledger, house.machine, lambda: prices.said(house.store.book(), datetime.now(UTC)))
    return Alerting(house.state.ledger, house.state.gates, gate.policy, house.clock.now_ms, courier, weekly=weekly)


def _purging(house: House, gate: Gate) -> Purging:
    def agreed() -> bool:
        return in_force.agreed(house.state)

    return Purging(house.state.ledger, house.state.gates, gate.policy, gate.sure_ms, agreed)
