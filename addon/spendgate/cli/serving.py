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
from functools import partial
from pathlib import Path

from spendgate.audit_words import AuditWord
from spendgate.capture import ca
from spendgate.capture.bridged import Bridged
from spendgate.capture.coverage import OnCoverage, ignore_coverage
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.launcher import Listening, Settings, check, running
from spendgate.capture.leaves import Leaves
from spendgate.capture.logs import where
from spendgate.capture.meter import Meter
from spendgate.capture.next_layer import nobodys, uncounted
from spendgate.capture.one_account import OneAccount
from spendgate.capture.places import Places
from spendgate.capture.scope import Scope
from spendgate.cli import attending, in_force, own_service, serves
from spendgate.cli.asking import ask_command
from spendgate.cli.following import following
from spendgate.cli.given import Given, given
from spendgate.cli.house import House, built, scope_of, wall_clock
from spendgate.cli.output import note
from spendgate.cli.wanted import Wanted
from spendgate.cli.works import fitted
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.errors import PortTaken
from spendgate.gate.clock import Clock
from spendgate.identity import system_lookup
from spendgate.identity.machine import assigned_id
from spendgate.providers.below import within
from spendgate.providers.registry import Registry
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
    serves: Callable[[], bool]
    """Whether it has a certificate to show."""
    audit: Callable[[AuditWord, str], None]
    """Writes a line of the audit trail."""
    visited: Callable[[], bool]
    """Whether any connection has come."""


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
    works, shared = fitted(house, ask_command(house.state, at)), Shared()

    def others(address: str, named: bool) -> str | None:
        if named:
            shared.add(address, asyncio.get_running_loop().time())
        return shared.providers.get(address)

    settings = replace(
        _settings(wanted, house.authority, lambda: house.scope, works.uncovered, works.meter), others=others
    )
    with _logged_as_notes():
        try:
            await works.start()
            async with (
                running(settings, [*_turning_away(wanted), works.meter]) as listening,
                following(house, works.gate, works.meter, (works.alerting, works.purging), works.granting),
                attending.attending(at, house.state),
            ):
                house.listening = listening
                house.tell()
                for each in wanted.taken:
                    works.gate.audit(AuditWord.PORT_TAKEN, each)
                await serves.look(house, works.gate)
                works.purging.start()
                _set_aside()
                yield Serving(
                    listening, house.registry.hosts(), house.ca_cert, house.in_force, works.ledger.gate_id,
                    partial(_wish, house), shared, house.later,
                    lambda: not house.serves_none, works.gate.audit,
                    lambda: works.meter.visited,
                )  # fmt: skip
        finally:
            in_force.forget(house.state, house.gate)
            await works.stop()


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
    try:
        check(_settings(wanted, nothing, lambda: scope_of(wanted, policy, registry, nothing), ignore_coverage))
    except PortTaken as taken:
        raise own_service.told(taken, wanted.lookup or system_lookup()) from taken


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
        held=wanted.held,
        http_layer=MeteredHttpLayer,
        on_coverage=uncovered,
        whose=meter.whose if meter else nobodys,
        tally=meter.tally if meter else uncounted,
    )
