"""Puts the parts together: policy, prices, ledger, gate, meter and proxy, as one running thing. Used by `run` and `exec`."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from spendgate.attribution import Attribution, Peer
from spendgate.capture import ca, ca_files
from spendgate.capture.coverage import CoverageEvent, OnCoverage, ignore_coverage
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.launcher import Listening, Settings, check, running
from spendgate.capture.logs import where
from spendgate.capture.meter import Meter
from spendgate.capture.next_layer import nobodys, uncounted
from spendgate.capture.scope import Scope
from spendgate.cli import alive, in_force
from spendgate.cli.output import note
from spendgate.cli.wanted import Wanted
from spendgate.config import policies, prices
from spendgate.config.known import KNOWN
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.identity import system_lookup
from spendgate.identity.machine import assigned_id, machine_id
from spendgate.identity.people import attribute, known_tool
from spendgate.identity.sessions import Sessions
from spendgate.ledger.ledger import Ledger
from spendgate.notices import not_done
from spendgate.policy import Policy
from spendgate.providers.interface import Ask
from spendgate.providers.registry import (
    PRIVATE_SITES,
    SITES,
    Registry,
)
from spendgate.providers.unfinished import estimate_usage


@dataclass(slots=True)
class Serving:
    """The running gate."""

    listening: Listening
    hosts: tuple[str, ...]
    ca_cert: Path
    in_force: policies.InForce
    gate_id: int
    """This gate's number in the ledger."""


@dataclass(slots=True)
class _House:
    """The parts, and what a change of the policy replaces in them."""

    state: State
    wanted: Wanted
    last_good: policies.LastGood
    in_force: policies.InForce
    registry: Registry
    authority: ca.Authority
    ca_cert: Path
    store: prices.PriceStore
    prices: str
    machine: str
    sessions: Sessions
    scope: Scope
    """What is decrypted now."""
    clock: Clock
    gate: str = ""
    """What its lock file is named by; nothing until it has one."""
    listening: Listening = field(default_factory=lambda: Listening((), ""))
    """Where the gate listens; nowhere until it is up."""

    def attributed(self, peer: Peer, ask: Ask) -> Attribution:
        """Whose call it is, by the policy in force."""
        return attribute(
            peer, ask, self.in_force.policy, self.machine, now_ms=self.clock.now_ms(), sessions=self.sessions
        )

    def tell(self) -> None:
        """Say to reading commands what is in force; where that cannot be written, say so and go on."""
        found = self.in_force
        said = in_force.InForce(
            hash=found.policy.hash,
            source=found.source,
            since_ms=found.since_ms,
            refused=found.refused,
            refused_ms=found.refused_ms,
            machine=self.machine,
            prices=self.prices,
            modes=tuple(mode.partition("@")[0].partition(":")[0] for mode in self.wanted.modes),
            listeners=alive.listeners(tuple((each.mode, each.addresses) for each in self.listening.listeners)),
            ca_cert=str(self.ca_cert),
            instance=self.listening.instance,
            gate=self.gate,
            included=found.included,
        )
        try:
            in_force.tell(self.state, said)
        except OSError as fault:
            note(f"`status` cannot show what is in force: {fault.strerror or fault}")


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
    _check(wanted)
    house = _built(wanted, clock or Clock())
    book = house.store.book()
    ledger = Ledger.open(house.state.ledger, house.state.gates, house.clock.now_ms())
    house.gate = ledger.gate_name
    gate = Gate(ledger, book, house.in_force.policy, estimate=estimate_usage, clock=house.clock)
    meter = Meter(gate, house.registry, wanted.lookup or system_lookup(), house.attributed, machine=house.machine)

    def uncovered(event: CoverageEvent) -> None:
        peer = meter.peer_of(event.connection)
        privacy = house.in_force.policy.privacy
        process = peer.process if privacy.process != "none" else None
        tool = known_tool(peer, privacy) or process or "unknown"
        gate.uncovered(peer.spender or "unknown", tool, event.host, event.gap.value)

    settings = _settings(wanted, house.authority, lambda: house.scope, uncovered, meter)
    with _logged_as_notes():
        try:
            await gate.start()
            _tell_policy(gate, house.in_force)
            async with running(settings, [meter]) as listening, _following(house, gate, meter):
                house.listening = listening
                house.tell()
                _set_aside()
                yield Serving(listening, house.registry.hosts(), house.ca_cert, house.in_force, ledger.gate_id)
        finally:
            in_force.forget(house.state, house.gate)
            await gate.stop()
            ledger.close()


def _tell_policy(gate: Gate, found: policies.InForce) -> None:
    """To the audit trail: what decides from here on, or that newer files were refused, by numbers alone, since their text may
    hold anything. To the person who started the gate: what of the policy this version does not do."""
    if found.refused:
        count = len(found.refused)
        detail = f"{found.policy.hash} stays in force; {count} fault{'s' if count > 1 else ''}"
        gate.audit("policy refused", detail)
        return
    revision = found.policy.validity.revision
    gate.audit("policy in force", f"{found.policy.hash}{'' if revision is None else f', revision {revision}'}")
    for line in not_done(found.policy):
        note(line)


def _set_aside() -> None:
    """All that was loaded until now stays: the garbage collector need not look at it again, for which the loop would stand
    still 80 ms each time (150,000 objects, most of them price lists and modules)."""
    gc.collect()
    gc.freeze()


def _check(wanted: Wanted) -> None:
    """What can be known to be wrong while nothing is written yet; the authority that is made for it is forgotten here."""
    assigned_id()
    policy = policies.LastGood(wanted.state).would_start(wanted.policy, KNOWN)
    registry = Registry.build(policy.capture)
    authority = ca.create(registry.hosts(), datetime.now(UTC))
    check(_settings(wanted, authority, lambda: _scope(wanted, policy, registry, authority), ignore_coverage))


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


def _built(wanted: Wanted, clock: Clock) -> _House:
    state = prepare(wanted.state)
    last_good = policies.LastGood(state)
    found = last_good.start(wanted.policy, clock.now_ms(), KNOWN)
    registry = Registry.build(found.policy.capture)
    authority, certificate = _authority(wanted, state, registry)
    store = prices.PriceStore(state.root / "prices")
    return _House(
        state=state,
        wanted=wanted,
        last_good=last_good,
        in_force=found,
        registry=registry,
        authority=authority,
        ca_cert=certificate,
        store=store,
        prices=prices.age(store.book(), datetime.now(UTC)),
        machine=machine_id(state.root),
        sessions=Sessions(),
        scope=_scope(wanted, found.policy, registry, authority),
        clock=clock,
    )


def _scope(wanted: Wanted, policy: Policy, registry: Registry, authority: ca.Authority) -> Scope:
    return Scope(
        frozenset(registry.hosts()),
        frozenset(policy.capture.never),
        authority.covers,
        sites=SITES,
        private=PRIVATE_SITES,
        counts_browsers=policy.capture.browsers == "count",
        one_command=wanted.ca_folder is not None,
    )


def _authority(wanted: Wanted, state: State, registry: Registry) -> tuple[ca.Authority, Path]:
    now = datetime.now(UTC)
    if wanted.ca_folder is None:
        return ca_files.open_authority(state.ca_certificate, state.ca_key, registry.hosts(), now), state.ca_certificate
    authority, file = ca.create(registry.hosts(), now), wanted.ca_folder / "ca-cert.pem"
    file.write_bytes(authority.pem)
    return authority, file


@asynccontextmanager
async def _following(house: _House, gate: Gate, meter: Meter) -> AsyncIterator[None]:
    """Follow the policy file, and the price list where the policy says so."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(_follow_prices(house, gate))]
    if house.wanted.policy is not None:
        watch = policies.Watch(
            house.wanted.policy, house.in_force, house.last_good, now_ms=house.clock.now_ms, known=KNOWN
        )

        async def changed(found: policies.InForce) -> None:
            await _policy_changed(house, gate, meter, found)

        tasks.append(asyncio.create_task(watch.run(changed, stop)))
    try:
        yield
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _policy_changed(house: _House, gate: Gate, meter: Meter, found: policies.InForce) -> None:
    """Another policy takes force once its balances are filled; a bad file changes nothing but what `status` says."""
    if found.refused:
        note("the policy file is refused; the last good one stays in force:")
        for line in found.refused:
            note(f"  {line}")
    elif found.policy.hash != house.in_force.policy.hash:
        registry = Registry.build(found.policy.capture)
        scope = _scope(house.wanted, found.policy, registry, house.authority)
        await gate.set_policy(found.policy)  # may fail; nothing after it does, so that no two parts follow two policies
        house.registry, house.scope = registry, scope
        meter.policy_changed(house.registry)
        note(f"policy {found.policy.hash} is in force")
    if (found.refused, found.policy.hash) != (house.in_force.refused, house.in_force.policy.hash):
        _tell_policy(gate, found)
    house.in_force = found
    house.tell()


async def _follow_prices(house: _House, gate: Gate) -> None:
    while True:
        now = datetime.now(UTC)
        due = house.store.due(now) and house.in_force.policy.prices_update == "daily"
        await asyncio.sleep(prices.next_fetch(now, due))
        if not due:
            continue
        try:
            book = await house.store.refresh(datetime.now(UTC))
        except StateError as fault:
            note(str(fault))
            house.prices = f"{prices.age(house.store.book(), now)}; the newer list could not be fetched"
            house.tell()
            await asyncio.sleep(prices.next_fetch(now, about_due=False))
            continue
        if book is not None:
            gate.set_prices(book)
            house.prices = prices.age(book, datetime.now(UTC))
            house.tell()
