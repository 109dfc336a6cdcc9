"""One exchange in capture: how far it has come, its times, and its one end. The transitions are `exchange.TRANSITIONS`.

Both the HTTP meter and a WebSocket conversation tell the gate through this, so that "exactly once" is written once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace

from spendgate.attribution import UNKNOWN, Attribution
from spendgate.exchange import State, advance
from spendgate.gate.interface import Admitted, Collected, End, GatePort, Intent, Refused, Seen
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Reading, Result

_NOTHING_ASKED = Ask()
_ENDED = frozenset({State.SETTLED, State.REFUSED, State.FAILED, State.INTERRUPTED, State.FREE, State.UNRECOGNIZED})
_PARTIES = ("client", "server", "gate")
"""Who may break off what the provider has already ended."""
ANSWERED_HERE = "answered by the gate"
"""Flag of a free exchange that reached nobody."""


@lru_cache(maxsize=8)
def _nobody(machine: str) -> Attribution:
    return Attribution(person=UNKNOWN, machine=machine)


def _too_many(_refused: Refused) -> int:
    return 429


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and randomness, read at this edge only."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """Wall clock, epoch milliseconds."""
    ticks_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    """A clock that never goes back, for durations."""
    random_bytes: Callable[[int], bytes] = secrets.token_bytes


def mint(now_ms: int, randomness: bytes) -> str:
    """A UUID version 7 (RFC 9562, 5.7) from epoch milliseconds and 10 random bytes: ids sort by time."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(randomness[:10])
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Call:
    """One exchange. `end` may be called any number of times; the first one counts."""

    __slots__ = (
        "_clock",
        "_gate",
        "_sent_ticks",
        "_started_ticks",
        "_told",
        "answers",
        "ask",
        "asking",
        "attribution",
        "call_id",
        "cut",
        "first_byte_ms",
        "flags",
        "host",
        "http_status",
        "request_bytes",
        "route",
        "started_ms",
        "state",
    )

    def __init__(self, gate: GatePort, clock: Clock, host: str, route: Route, machine: str) -> None:
        self._gate = gate
        self._clock = clock
        self.started_ms = clock.now_ms()
        self._started_ticks = clock.ticks_ms()
        self._sent_ticks: int | None = None
        self.call_id = mint(self.started_ms, clock.random_bytes(10))
        self.host = host
        self.route = route
        self.state = State.SEEN
        self.ask = _NOTHING_ASKED
        self._told = False
        """The gate was told that it leaves."""
        self.asking = False
        """The gate is being asked: its answer comes first, whatever happens meanwhile."""
        self.attribution = _nobody(machine)
        self.answers: Callable[[Refused], int] = _too_many
        """How its client would be refused."""
        self.cut = False
        self.first_byte_ms: int | None = None
        self.http_status: int | None = None
        self.request_bytes = 0
        self.flags: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    def intent(
        self, gone: Callable[[], bool], leaves: Callable[[], bool], *, may_wait: bool = True, repeats: int = 0
    ) -> Intent:  # fmt: skip
        """What the gate is asked."""
        return Intent(
            self.call_id,
            self.started_ms,
            self.host,
            self.route,
            self.ask,
            self.attribution,
            self.request_bytes,
            may_wait,
            gone,
            repeats,
            leaves,
            self.answers,
        )

    def admitted(self, admitted: Admitted) -> None:
        self.state = advance(self.state, State.HELD)
        self.cut = admitted.cut

    def written_off(self, state: State) -> None:
        """The gate has written this exchange's row itself: `REFUSED`, or `FAILED` where the client left while it waited."""
        self.state = advance(self.state, state)

    def sent(self) -> bool:
        """The head is about to be given to the upstream connection. From here the call is never free.

        False: the ledger does not say so yet; `noted` waits for that, then this is asked again. Until then it has not left.
        """
        if self.state is State.HELD and not self._told:
            self._told = True
            if not self._gate.sent(self.call_id):
                return False
        if self._sent_ticks is None:
            self._sent_ticks = self._clock.ticks_ms()
        if self.state is State.HELD:
            self.state = advance(self.state, State.SENT)
        return True

    async def noted(self) -> None:
        """Wait until the ledger has `sent`."""
        await self._gate.noted(self.call_id)

    def replied(self, http_status: int) -> None:
        """The response's head is here."""
        self.http_status = http_status
        self.first_byte()

    def first_byte(self) -> None:
        """The first of what is answered is here."""
        self.first_byte_ms = self._clock.ticks_ms() - (self._sent_ticks or self._started_ticks)

    def answered_here(self, http_status: int) -> None:
        """The gate gives the response to this free exchange itself."""
        self.replied(http_status)
        self.flags += (ANSWERED_HERE,)

    def collect(self, results: tuple[Result, ...]) -> None:
        """What this exchange has read back is metered; it is itself free."""
        now_ms = self._clock.now_ms()
        self._gate.collect(
            Collected(now_ms, self.host, self.route, self.ask, self.attribution, results, self.http_status)
        )

    def end(
        self,
        reading: Callable[[], Reading],
        *,
        response_bytes: int = 0,
        complete: bool = True,
        error: str | None = None,
        counts_later: bool = False,
    ) -> None:
        """The one end: settle what was held, record what was not. `error` is `client`, `server`, `cut` or `gate`.

        `counts_later`: what it is counted at may still be collected.
        """
        if self.ended or self.asking:
            return
        self.answers = _too_many  # it is refused no more, and what this refers to refers to it
        end = self._end(response_bytes, complete, error, counts_later)
        if self.state is State.SEEN:
            state = _unheld(self.route, self._sent_ticks is not None or ANSWERED_HERE in self.flags)
            self.state = advance(self.state, state)
            self._gate.record(self._seen(state, end))
        elif self.state is State.HELD:
            self.state = advance(self.state, State.FAILED)
            self._gate.settle(self.call_id, Reading(), end)
        else:
            read = _read(reading)
            if error in _PARTIES and read.ended and read.final:
                # Codex hangs up at the last event, before the stream's own end: the provider had said it all.
                end = replace(end, complete=True)
            self.state = advance(self.state, State.SETTLED if end.complete else State.INTERRUPTED)
            self._gate.settle(self.call_id, read, end)

    def _end(self, response_bytes: int, complete: bool, error: str | None, counts_later: bool) -> End:
        return End(
            ended_ms=self._clock.now_ms(),
            sent=self._sent_ticks is not None,
            complete=complete,
            http_status=self.http_status,
            first_byte_ms=self.first_byte_ms,
            duration_ms=self._clock.ticks_ms() - self._started_ticks,
            response_bytes=response_bytes,
            error=error,
            counts_later=counts_later,
        )

    def _seen(self, state: State, end: End) -> Seen:
        return Seen(
            self.call_id,
            self.started_ms,
            self.host,
            self.route,
            self.ask,
            self.attribution,
            state,
            self.request_bytes,
            end,
            self.flags,
        )


def _read(reading: Callable[[], Reading]) -> Reading:
    try:
        return reading()
    except Exception as fault:  # noqa: BLE001 - what was sent is settled, read or not
        return Reading(flags=(f"reader failed: {type(fault).__name__}",))


def _unheld(route: Route, answered: bool) -> State:
    """What an exchange without a hold was. One that neither left nor was answered, or should have had a hold, has failed."""
    if not answered or route.kind is Kind.BILLABLE:
        return State.FAILED
    return State.FREE if route.kind in (Kind.FREE, Kind.RESULT) else State.UNRECOGNIZED
