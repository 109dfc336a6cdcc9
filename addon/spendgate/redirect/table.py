"""The rules as they should be, kept so: whoever takes them away or changes them, a firewall that reloads, finds them back."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import replace

from spendgate.errors import StateError
from spendgate.redirect import nftables
from spendgate.redirect.lapses import Acting, Instant, Lapse, Why
from spendgate.redirect.listed import shape
from spendgate.redirect.ports import PORT_MOST
from spendgate.redirect.ruleset import (
    ABSENT,
    LET_GO,
    LOOK,
    PAUSE,
    TABLE,
    Rules,
    hold_targets,
    quic_targets,
    ruleset,
    sign_of_life,
)


class Table:
    """Our table in the kernel, and what belongs into it. One for each process that sets rules; it outlives gates."""

    def __init__(self, rules: Rules) -> None:
        """Puts it in place, inert; what an older one held stays held. Raises StateError."""
        self.rules = rules
        self.held = nftables.install(rules)
        """Addresses that are refused while no gate answers."""
        self._quic: frozenset[str] = frozenset()
        self._shape = shape(nftables.apply(LOOK))
        self.fault = ""
        """Why the rules could not be changed; empty where they could."""
        self.lapse: Lapse | None = None
        """What the last `act` ended."""
        self.held_before = bool(self.held)
        """Whether what an older process left behind refused them until then."""
        self._acting = Acting(rules.timeout_ms, held=self.held_before)
        self._as_they_should_be = now()
        """When they were last seen so."""

    def act(self) -> bool:
        """Let the rules act for another `timeout_ms`."""
        if not self._kept(sign_of_life(self.rules)):
            self._acting.if_lapsed(Why.FAILED)
            return False
        self.lapse = self._acting.renewed(now())
        return True

    def lead_to(self, port: int) -> bool:
        """Lead to this port from the next sign of life on, and no more to the one before. Whether the rules do.

        Where they could not be changed, the others never act again.
        """
        if self.rules.containers and port == PORT_MOST:
            return False  # there is none behind it for them
        if port != self.rules.port:
            self.rules, self._shape = replace(self.rules, port=port), ""
            self._kept("")
        return bool(self._shape)

    def keep(self) -> bool:
        """Mend them while no gate answers: what is held stays held."""
        return self._kept("")

    def pause(self, why: Why) -> None:
        """New connections go direct, or are held, from now on until the next sign of life."""
        self._attempt(PAUSE)
        self._acting.ended(now(), why)

    def told(self) -> None:
        """The lapse that lasts was told of by the gate that ends."""
        self._acting.told(now())

    def let_go(self) -> None:
        """New connections go direct; none is held."""
        self.held = frozenset()
        self._attempt(LET_GO)
        self._acting.holds(now(), held=False)

    def reject_quic_to(self, addresses: frozenset[str]) -> None:
        """Make these the only ones to which QUIC is rejected. Raises ValueError."""
        self._put(quic_targets(addresses))
        self._quic = addresses

    def hold(self, addresses: frozenset[str]) -> None:
        """Make these the only ones that are refused while no gate answers. Raises ValueError."""
        self._put(hold_targets(addresses))
        self.held = addresses
        self._acting.holds(now(), held=bool(addresses))

    def leave(self) -> None:
        """The process that set the rules ends: the table goes, unless it holds something, which the next start takes up.

        Raises StateError.
        """
        if not self.held:
            nftables.remove()
            return
        say(
            f"no gate is there, and on_failure: refuse: calls to {len(self.held)} addresses of providers "
            f"are refused until one is; `nft delete table {TABLE}` lets them go direct"
        )

    def _put(self, elements: str) -> None:
        """Where that fails, the whole table is put anew as soon as that can be done: what is listed shows no elements."""
        if self._attempt(elements) is None:
            self._shape = ""

    def _kept(self, commands: str) -> bool:
        """Run these; where the table is another than ours, or none, put ours back with them."""
        seen = self._attempt(commands + LOOK) if self._shape else None
        if seen is not None and shape(seen) == self._shape:
            self._as_they_should_be = now()
            return True
        changed = seen is not None or ABSENT in self.fault
        whole = ruleset(self.rules) + quic_targets(self._quic) + hold_targets(self.held)
        mends = bool(self._shape) or changed
        if self._attempt(whole + commands) is None:
            return False
        # nft of another version may print it otherwise than the one before: what it prints of ours is the measure.
        self._shape = shape(self._attempt(LOOK) or "") or self._shape
        if changed:  # else nft only failed to answer
            self._acting.ended(self._as_they_should_be, Why.CHANGED)
        self._as_they_should_be = now()
        if mends:
            say("the firewall's rules were not as they should be, and are put back")
        return True

    def _attempt(self, commands: str) -> str | None:
        """One transaction; None, and told once, where it fails."""
        try:
            done = nftables.apply(commands)
        except StateError as error:
            if str(error) != self.fault:
                say(f"the gate is not captured for: {error}")
            self.fault = str(error)
            return None
        self.fault = ""
        return done


def now() -> Instant:
    """By the system's clocks."""
    return Instant(time.monotonic(), time.time_ns() // 1_000_000)


def say(what: str) -> None:
    """One line on stderr: root's processes load neither the command line nor its styles. One that cannot be written is lost,
    and capture goes on."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"spendgate: {what}\n")
            sys.stderr.flush()
