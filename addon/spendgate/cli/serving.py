"""One running thing of all the parts: policy, prices, ledger, gate, meter and proxy. Used by `run` and `exec`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from spendgate.alerts.courier import Courier
from spendgate.alerts.weekly import Weekly
from spendgate.capture import ca
from spendgate.capture.bridged import Bridged
from spendgate.capture.call import Clock as CallClock
from spendgate.capture.coverage import CoverageEvent, OnCoverage, ignore_coverage
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.launcher import Listening, Settings, check, running
from spendgate.capture.leaves import Leaves
from spendgate.capture.logs import where
from spendgate.capture.meter import Meter
from spendgate.capture.next_layer import nobodys, uncounted
from spendgate.capture.one_account import OneAccount
from spendgate.capture.places import Places
from spendgate.capture.scope import Scope
from spendgate.cli import attending, in_force
from spendgate.cli.account import own_account
from spendgate.cli.asking import ask_command
from spendgate.cli.following import following, tell_policy
from spendgate.cli.given import Given, given
from spendgate.cli.granted import Granting
from spendgate.cli.house import House, built, scope_of, wall_clock
from spendgate.cli.output import note
from spendgate.cli.outside import heads_file, now_ms
from spendgate.cli.wanted import Wanted
from spendgate.config import policies, prices
from spendgate.config.known import KNOWN
from spendgate.gate.alerting import Alerting
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.purging import Purging
from spendgate.identity import system_lookup
from spendgate.identity.machine import assigned_id
from spendgate.identity.people import known_tool
from spendgate.ledger.keeping import Keeper
from spendgate.ledger.ledger import Ledger
from spendgate.providers.below import within
from spendgate.providers.registry import Registry
from spendgate.providers.unfinished import estimate_usage
from spendgate.redirect.addresses import Shared
from spendgate.redirect.holding import Wish, holding


@dataclass(slots=True)
class Serving:
    """The running gate."""

    listening: Listening
    hosts: tuple[str, ...]
    ca_cert: Path
    in_force: policies.InForce
    gate_id: int
    """This gate's number in the ledger."""
    wish: Callable[[], Wish]
    """What the policy in force wants of rules that redirect."""
    shared: Shared
    """Addresses at which clients of this gate have named other hosts."""
    later: list[str]
    """`House.later`."""


class _Notes(logging.Handler):
    """What parts of the product log is for the person who started the gate, as every other line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[1] if record.exc_info else None
        note(f"{record.getMessage()} ({where(fault)})" if fault else record.getMessage())


@contextmanager
def _logged_as_notes() -> Iterator[None]:
    ours, notes = logging.getLogger("spendgate"), _Notes(logging.WARNING)
    ours.addHandler(notes)
    try:
        yield
    finally:
        ours.removeHandler(notes)


@asynccontextmanager
async def serving(wanted: Wanted, clock: Clock | None = None) -> AsyncIterator[Serving]:
    """The gate, up and listening inside. Raises PolicyError, StateError, UsageError before anything listens.

    A wrong option, a faulty policy or a port that is taken is told before anything is written. `clock`: the system's, unless a
    test steps one of its own.
    """
    source = await given(wanted)
    _check(wanted, source)
    at = attending.placed(wanted.socket)
    house = built(wanted, source, clock or Clock())
    book = house.store.book()
    ledger = Ledger.open(house.state.ledger, house.state.gates, house.clock.now_ms())
    house.gate = ledger.gate_name
    keeper = Keeper(heads_file(house.state), ledger, used_before=in_force.told(house.state) is not None)
    # A grant is told as ended by the time that windows go by, from the start on: its end is for good.
    wall, house.clock = house.clock, replace(house.clock, now_ms=partial(now_ms, house.state, house.clock))
    granting = Granting(ledger, house.machine, lambda: house.clock.now_ms())  # noqa: PLW0108 - the gate's own, later
    gate = Gate(
        ledger, book, granting.beside(house.in_force.policy), estimate=estimate_usage, clock=wall, looks=keeper,
        account=own_account(), asks=ask_command(house.state, at),
    )  # fmt: skip
    house.clock = gate.clock
    meter = Meter(
        gate, house.registry, wanted.lookup or system_lookup(), house.attributed, machine=house.machine,
        clock=CallClock(now_ms=house.clock.now_ms),
    )  # fmt: skip

    def uncovered(event: CoverageEvent) -> None:
        peer = meter.peer_of(event.connection)
        privacy = house.in_force.policy.privacy
        process = peer.process if privacy.process != "none" else None
        tool = known_tool(peer, privacy) or process or "unknown"
        gate.uncovered(peer.spender or "unknown", tool, event.host, event.gap.value)

    courier = Courier(house.clock.now_ms, house.clock.random, house.machine)
    weekly = Weekly(house.state.ledger, house.machine, lambda: prices.said(house.store.book(), datetime.now(UTC)))
    alerting = Alerting(house.state.ledger, house.state.gates, gate.policy, house.clock.now_ms, courier, weekly=weekly)
    purging = Purging(
        house.state.ledger,
        house.state.gates,
        gate.policy,
        gate.sure_ms,
        lambda: in_force.agreed(house.state),
    )
    shared = Shared()
    settings = replace(
        _settings(wanted, house.authority, lambda: house.scope, uncovered, meter),
        others=lambda address: shared.add(address, asyncio.get_running_loop().time()),
    )
    with _logged_as_notes():
        try:
            await gate.start()
            tell_policy(gate, house.in_force)
            alerting.start()
            granting.tell(gate.policy)
            async with (
                running(settings, [*_turning_away(wanted), meter]) as listening,
                following(house, gate, meter, (alerting, purging), granting),
                attending.attending(at, house.state),
            ):
                house.listening = listening
                house.tell()
                purging.start()
                _set_aside()
                yield Serving(
                    listening, house.registry.hosts(), house.ca_cert, house.in_force, ledger.gate_id,
                    partial(_wish, house), shared, house.later,
                )  # fmt: skip
        finally:
            in_force.forget(house.state, house.gate)
            await asyncio.to_thread(purging.stop)
            await gate.stop()
            await asyncio.to_thread(alerting.stop)
            ledger.close()


def _wish(house: House) -> Wish:
    never = house.scope.never
    hosts = tuple(host for host in house.registry.hosts() if within(host, never) is None)
    return Wish(hosts, holding(house.in_force.policy).holds)


def _set_aside() -> None:
    """All that was loaded until now stays: the garbage collector need not look at it again, for which the loop would stand
    still 80 ms each time (150,000 objects, most of them price lists and modules)."""
    gc.collect()
    gc.freeze()


def _turning_away(wanted: Wanted) -> Iterator[object]:
    if wanted.for_command and sys.platform != "win32":
        yield OneAccount(wanted.lookup or system_lookup(), os.geteuid())
    if wanted.containers:
        yield Bridged(wanted.containers)
    yield Places(wanted.lookup or system_lookup())


def _check(wanted: Wanted, source: Given) -> None:
    """What can be known to be wrong while nothing is written yet."""
    assigned_id()
    policy = policies.LastGood(wanted.state, source.trust).would_start(source.source, KNOWN)
    registry = Registry.build(policy.capture)
    nothing = Leaves(None, wall_clock)
    check(_settings(wanted, nothing, lambda: scope_of(wanted, policy, registry, nothing), ignore_coverage))


def _settings(
    wanted: Wanted,
    minter: ca.Minter,
    scope: Callable[[], Scope],
    uncovered: OnCoverage,
    meter: Meter | None = None,
) -> Settings:
    return Settings(
        minter=minter,
        scope=scope,
        modes=wanted.modes,
        port=wanted.port,
        sets=wanted.sets,
        http_layer=MeteredHttpLayer,
        on_coverage=uncovered,
        whose=meter.whose if meter else nobodys,
        tally=meter.tally if meter else uncounted,
    )
