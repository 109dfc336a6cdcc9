"""Grants in force: what a running gate follows, and what reading commands show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from spendgate.cli import in_force
from spendgate.cli.output import note
from spendgate.config.paths import State
from spendgate.errors import LedgerUnavailable, SpendgateError
from spendgate.grants import Place, Taken, raised
from spendgate.ledger.grants import OVER
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.money import dollars
from spendgate.policy import Policy

LOOK_EVERY_S = 0.5
"""How long a grant that another process has taken in may wait for this gate to see it. A look is two look-ups."""


class Granting:
    """The grants of one gate's ledger, beside whatever policy is in force."""

    def __init__(self, ledger: Ledger, machine: str, now_ms: Callable[[], int]) -> None:
        self._ledger, self._machine, self._now_ms = ledger, machine, now_ms
        self._ledger_id = ledger.head().id
        self._seen: tuple[int, int] | None = None
        self._next_end_ms: int | None = None
        self._at_ms = 0
        self._told: set[str] = set()

    def beside(self, policy: Policy) -> Policy:
        """The policy with the grants that count under it. Those that it ends are ended, with an audit line. Raises
        LedgerUnavailable."""
        now_ms = self._now_ms()
        seen, taken = self._ledger.grants_latest(), self._ledger.grants()
        place = Place(self._ledger_id, self._machine)
        found, stopped = raised(policy, taken, place, now_ms)
        over = [replace(each, ended=OVER) for each in taken if not each.ended and each.until_ms <= now_ms]
        written = [self._end(each, now_ms) for each in (*stopped, *over)]
        if stopped or over:  # an end is for good, also where the clock is set back before it
            seen, taken = self._ledger.grants_latest(), self._ledger.grants()
            found, _ = raised(policy, taken, place, now_ms)
        self._seen, self._at_ms = seen if all(written) else None, now_ms
        self._next_end_ms = min(
            (each.until_ms for each in taken if not each.ended and each.until_ms > now_ms), default=None
        )
        return found

    def tell(self, policy: Policy) -> None:
        """Say once of each grant that counts, to the person who started the gate."""
        now_ms = self._now_ms()
        for each in policy.grants:
            if each.grant not in self._told and each.until_ms > now_ms:
                self._told.add(each.grant)
                note(f"grant {each.grant} counts: {dollars(each.add_nanos or 0)} more of {each.budget} {each.told}")

    def changed(self) -> bool:
        """Whether a grant was taken in or has ended since `beside`. Raises LedgerUnavailable."""
        now_ms = self._now_ms()
        if now_ms < self._at_ms or (self._next_end_ms is not None and now_ms >= self._next_end_ms):
            return True
        return self._ledger.grants_latest() != self._seen

    def _end(self, taken: Taken, now_ms: int) -> bool:
        """Write that it has ended; False: the ledger cannot take it now, and the next look tries again."""
        try:
            if self._ledger.end_grant(taken.signed.grant.id, now_ms, taken.ended):
                note(f"grant {taken.signed.grant.id} to {taken.signed.grant.person} has ended: {taken.ended}")
        except LedgerUnavailable:
            return False
        return True


async def follow(granting: Granting, changed: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled: let each grant take effect as soon as the ledger has it. A ledger that cannot be read or written now is
    asked again at the next look."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            if granting.changed():
                await changed()
        except SpendgateError:
            continue


def shown(state: State, policy: Policy, reader: Reader, now_ms: int) -> Policy:
    """The policy in force with the grants of this ledger, as the gate has it."""
    said = in_force.told(state)
    place = Place(reader.head().id, said.machine if said else "unknown")
    return raised(policy, reader.grants(), place, now_ms)[0]
