"""Asking the ledger for a hold until it is granted, refused, or the client has gone.

Within a process the head of a line is woken when a hold ends; across processes it looks again every 25 to 100 ms. Waits are
measured on the boot clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from spendgate.admission import Admit, Decision, Refuse, Wait, decide, who_refuses
from spendgate.errors import LedgerUnavailable
from spendgate.estimate import Sizes
from spendgate.gate.asked import Asked, row
from spendgate.gate.backlog import Backlog
from spendgate.gate.clock import Clock
from spendgate.gate.fallback import Fallback
from spendgate.gate.interface import Refused
from spendgate.gate.line import Lines, Place
from spendgate.gate.patience import patiently
from spendgate.gate.running import Running
from spendgate.ledger.interface import Flowing, LedgerPort
from spendgate.policy import Policy
from spendgate.standing import UNSIZED, KindStanding, Size, Standing
from spendgate.tries import Earlier, followed

POLL_MS = (25, 100)
"""How often the head of a line looks whether another process has freed something."""


class Granted(Struct, frozen=True):
    """A hold that the ledger has written."""

    admit: Admit
    size: Size
    booked_ms: int
    left: bool
    """Whether its row says `sent` already."""
    flowing: Flowing | None = None
    """How its rates have counted it."""


class Denied(Struct, frozen=True):
    """A refusal that the ledger has decided; its row is still to be written."""

    refuse: Refuse
    size: Size
    waited_ms: int
    earlier: Earlier = ()
    """By what sizes it was tried before."""


class Left(Struct, frozen=True):
    """The client went while the call waited; it holds nothing."""

    size: Size
    waited_ms: int


class WithoutLedger(Protocol):
    """Decides a call that the ledger cannot; see `Failing.ask`."""

    def __call__(self, asked: Asked, why: str, *, waited_ms: int, patient: bool) -> Running | Refused | Wait: ...


Asking = Granted | Denied | Left | Running | Refused
"""What becomes of a call; the last two are decided without the ledger, and the row of a refused one is told."""


class _OutOfForceError(Exception):
    """The policy by which this call was asked for is in force no longer."""


@dataclass(eq=False, slots=True)
class _Try:
    """One call's state between two tries."""

    asked: Asked
    started_ms: int
    """Boot clock."""
    place: Place | None = None
    """None while it has not had to wait."""
    failed: bool = False
    """Whether the ledger could not decide the last try: the next one is not patient with it."""
    until_ms: int | None = None
    """Boot clock: when it has waited long enough; None while it has not had to."""
    size: Size = UNSIZED
    tried_ms: int = 0
    """How long after it had come it was tried last, where it has had to wait."""
    earlier: Earlier = ()
    """By what sizes it was tried before the last one."""


class Waiting:
    """The waiting room of one gate."""

    def __init__(
        self, ledger: LedgerPort, *, lines: Lines, sizes: Sizes, fallback: Fallback, backlog: Backlog, clock: Clock,
        in_force: Callable[[], Policy], waited_for: Callable[[], None], without: WithoutLedger,
    ) -> None:  # fmt: skip
        """`in_force` says by which policy calls leave now; `waited_for` is told each time that others' holds are in the way;
        `without` decides where the ledger cannot."""
        self._ledger = ledger
        self._lines = lines
        self._sizes = sizes
        self._fallback = fallback
        self._backlog = backlog
        self._clock = clock
        self._in_force = in_force
        self._waited_for = waited_for
        self._without = without
        self._turn = asyncio.Lock()

    async def ask(self, asked: Asked, since_ms: int) -> Asking | None:
        """Hold the cost of a call that has come at `since_ms` of the boot clock. None: another policy is in force meanwhile."""
        trying = _Try(asked, since_ms)
        try:
            while True:
                answer = await self._once(trying)
                if not isinstance(answer, Wait):
                    return answer
                waited = trying.started_ms + answer.wait_ms
                trying.until_ms = waited if trying.until_ms is None else min(trying.until_ms, waited)
                trying.tried_ms = self._waited(trying)
                place = trying.place = trying.place or Place()
                self._lines.stand(place, (answer.scope, *answer.also))
                self._waited_for()
                await self._rest(trying, place)
                if asked.intent.gone():
                    self._give_up(trying)
                    return Left(trying.size, self._waited(trying))
        except _OutOfForceError:
            self._give_up(trying)
            return None
        except asyncio.CancelledError:
            self._give_up(trying)
            raise
        finally:
            if trying.place is not None:
                self._lines.leave(trying.place)

    def _give_up(self, trying: _Try) -> None:
        if trying.until_ms is not None:
            self._backlog.end(lambda: self._ledger.leave(trying.asked.intent.call_id))

    def _waited(self, trying: _Try) -> int:
        return self._clock.boot_ms() - trying.started_ms if trying.until_ms is not None else 0

    async def _once(self, trying: _Try) -> Asking | Wait:
        """One try. Tries after the first take turns, so that many waiters leave the loop to others between two.

        Nothing is awaited after a try: one that is cancelled then would leave its hold to nobody.
        """
        if trying.until_ms is None:
            return await self._try(trying)
        async with self._turn:
            await asyncio.sleep(0)
            return await self._try(trying)

    async def _try(self, trying: _Try) -> Asking | Wait:
        asked, now_ms = trying.asked, self._clock.now_ms()
        was, waited_ms = trying.size, self._waited(trying)
        trying.size = size = asked.size(self._sizes)
        if trying.until_ms is not None:
            trying.earlier = followed(trying.earlier, was, trying.tried_ms, size, waited_ms)
        ended = asked.terms.refused(now_ms) if asked.terms.enforced else None
        patient = asked.intent.may_wait and (trying.until_ms is None or self._clock.boot_ms() < trying.until_ms)

        def here(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
            self._fallback.saw(standings)
            # A policy may end while a call waits under it.
            return ended or _observed(asked, decide(standings, kind, size, now_ms=now_ms, patient=patient), now_ms)

        opened, scopes = row(asked, size, trying.earlier), asked.terms.scopes(now_ms)
        flowing = asked.flowing(size, self._clock)
        if flowing is not None:
            scopes = (*scopes, *asked.terms.rate_scopes)
        leaves = False

        def hold() -> Decision:
            nonlocal leaves
            if asked.terms.policy is not self._in_force():
                raise _OutOfForceError
            # Asked by the very try that holds: while a busy ledger was waited for, the connection may have closed.
            leaves = asked.intent.leaves()
            return self._backlog.joined(
                lambda: self._ledger.hold(opened, scopes, here, now_ms, waited_ms, leaves=leaves, flowing=flowing)
            )

        try:
            decision = hold() if trying.failed else await patiently(hold, self._clock)
        except LedgerUnavailable as fault:
            trying.failed = True
            return self._without(asked, str(fault), waited_ms=self._waited(trying), patient=patient)
        trying.failed = False
        if isinstance(decision, Admit):
            return Granted(decision, size, now_ms, leaves, flowing)
        if isinstance(decision, Refuse):
            return Denied(decision, size, waited_ms, trying.earlier)
        return decision

    async def _rest(self, trying: _Try, place: Place) -> None:
        """Until woken, until it is time to look again, or until it has waited long enough."""
        until_ms = trying.until_ms or 0
        while (left_ms := until_ms - self._clock.boot_ms()) > 0 and not trying.asked.intent.gone():
            low, high = POLL_MS
            pause_ms = low + self._clock.random() * (high - low)
            try:
                await asyncio.wait_for(place.woken.wait(), min(left_ms, pause_ms) / 1000)
            except TimeoutError:
                pass  # time to look again, where looking is of use
            if place.woken.is_set() or self._lines.is_head(place):
                place.woken.clear()
                return


def _observed(asked: Asked, decision: Decision, now_ms: int) -> Decision:
    """A rule that is only observed joins what an admission says would have been refused."""
    refusal = asked.terms.refused(now_ms)
    if refusal is None or not isinstance(decision, Admit):
        return decision
    would = (refusal, decision.would_refuse) if decision.would_refuse else (refusal,)
    return replace(decision, would_refuse=who_refuses(would))
