"""The parts of a gate, built from what is wanted and from its state directory: what a change of the policy replaces is here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from spendgate.attribution import Attribution, Peer
from spendgate.capture import ca, ca_files, ca_next, issued_files
from spendgate.capture.launcher import Listening
from spendgate.capture.leaves import Leaves
from spendgate.capture.scope import Scope
from spendgate.cli import alive, in_force
from spendgate.cli.given import Given
from spendgate.cli.output import note
from spendgate.cli.wanted import Wanted
from spendgate.config import policies, prices
from spendgate.config.known import KNOWN
from spendgate.config.paths import State, prepare
from spendgate.gate.clock import Clock
from spendgate.identity.machine import machine_id
from spendgate.identity.people import attribute
from spendgate.identity.sessions import Sessions
from spendgate.policy import Policy
from spendgate.providers.ask import Ask
from spendgate.providers.below import WILD
from spendgate.providers.registry import (
    PRIVATE_SITES,
    SITES,
    Registry,
)


@dataclass(slots=True)
class House:
    """The parts, and what a change of the policy replaces in them."""

    state: State
    wanted: Wanted
    given: Given
    last_good: policies.LastGood
    in_force: policies.InForce
    registry: Registry
    authority: ca.Authority | Leaves
    ca_cert: Path
    store: prices.PriceStore
    prices: str
    machine: str
    sessions: Sessions
    scope: Scope
    """What is decrypted now."""
    clock: Clock
    not_renewed: str = ""
    """Why what an organization issued could not be renewed, the last time that it was asked for."""
    serves_none: str = ""
    """Why transparent capture leads nothing to it now (`cli.serves`)."""
    gate: str = ""
    """What its lock file is named by; nothing until it has one."""
    later: list[str] = field(default_factory=list)
    """What is for the end of a command that has the terminal until then (`exec`)."""
    listening: Listening = field(default_factory=lambda: Listening((), ""))
    """Where the gate listens; nowhere until it is up."""

    def attributed(self, peer: Peer, ask: Ask) -> Attribution:
        """Whose call it is, by the policy in force."""
        return attribute(
            peer, ask, self.in_force.policy, self.machine, now_ms=self.clock.now_ms(), sessions=self.sessions
        )

    def not_signed(self) -> tuple[str, ...]:
        """Hosts of the policy that the device's CA, older than their names here, may not sign for: nothing to them is read.

        An organization's root is for the hosts that it was made for; what it leaves out is no oversight of this machine's.
        """
        authority = self.authority
        if isinstance(authority, Leaves):
            return ()
        return tuple(host for host in self.registry.hosts() if not authority.covers(host))

    def say(self, text: str) -> None:
        """A line for the person who started the gate; where a command has their terminal, after it, and once."""
        if not self.wanted.for_command:
            note(text)
        elif text not in self.later:
            self.later.append(text)

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
            signed_by=found.signed_by,
            certificates_of="organization" if isinstance(self.authority, Leaves) else "device",
            certificates_until_ms=int(term.dies.timestamp() * 1000) if (term := self.authority.term) else None,
            certificates_not_renewed=self.not_renewed,
            not_led=self.serves_none,
            command=self.wanted.for_command,
            containers=tuple(str(each.network) for each in self.wanted.containers),
            not_signed=self.not_signed(),
            refused_why=found.why if found.refused else "",
            taken=self.wanted.taken,
        )
        try:
            in_force.tell(self.state, said, found.copy)
        except OSError as fault:
            note(f"`status` cannot show what is in force: {fault.strerror or fault}")


def built(wanted: Wanted, given: Given, clock: Clock) -> House:
    """The parts, on disk where they are kept. Raises PolicyError, StateError."""
    state = prepare(wanted.state)
    last_good = policies.LastGood(state, given.trust, command=wanted.for_command)
    found = last_good.start(given.source, clock.now_ms(), KNOWN)
    registry = Registry.build(found.policy.capture)
    authority, certificate = _authority(wanted, state, registry)
    store = prices.PriceStore(state.root / "prices")
    return House(
        state=state,
        wanted=wanted,
        given=given,
        last_good=last_good,
        in_force=found,
        registry=registry,
        authority=authority,
        ca_cert=certificate,
        store=store,
        prices=prices.age(store.book(), datetime.now(UTC)),
        machine=machine_id(state.root),
        sessions=Sessions(),
        scope=scope_of(wanted, found.policy, registry, authority),
        clock=clock,
    )


def scope_of(wanted: Wanted, policy: Policy, registry: Registry, authority: ca.Minter) -> Scope:
    """What is decrypted under this policy."""
    wild = frozenset(host for host in registry.hosts() if host.startswith(WILD))
    return Scope(
        frozenset(registry.hosts()),
        frozenset(policy.capture.never),
        authority.covers,
        authority.why_not,
        sites=SITES | wild,
        private=PRIVATE_SITES | wild,
        counts_browsers=policy.capture.browsers == "count",
        own_hosts=bool(policy.capture.hosts),
        one_command=wanted.for_command,
    )


def wall_clock() -> datetime:
    """What certificates live by."""
    return datetime.now(UTC)


def _authority(wanted: Wanted, state: State, registry: Registry) -> tuple[ca.Authority | Leaves, Path]:
    now = wall_clock()
    if wanted.ca_folder is None and state.leaves.exists():
        return Leaves(issued_files.open_issued(state), wall_clock), state.ca_certificate
    if wanted.ca_folder is None:
        if ca_next.take_next(state.ca_certificate, state.ca_key, now):
            note(
                "the certificate that `ca rotate` made is in use; `spendgate ca untrust --old` takes out the one before"
            )
        return ca_files.open_authority(state.ca_certificate, state.ca_key, registry.hosts(), now), state.ca_certificate
    authority, file = ca.create(registry.hosts(), now), wanted.ca_folder / "ca-cert.pem"
    file.write_bytes(authority.pem)
    return authority, file
