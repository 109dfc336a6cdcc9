"""What capture asks of the gate, and what the gate answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from spendgate.admission import Refuse
from spendgate.attribution import Attribution
from spendgate.exchange import State
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Notice, Route
from spendgate.providers.reading import Reading, Result


class Intent(Struct, frozen=True):
    """One billable call that wants to leave. Times in epoch milliseconds."""

    call_id: str
    """A UUID version 7, minted by capture before anything is written."""
    started_ms: int
    host: str
    route: Route
    ask: Ask
    attribution: Attribution
    request_bytes: int
    may_wait: bool = True
    """False for a WebSocket handshake and whatever else must be answered at once."""
    gone: Callable[[], bool] = lambda: False
    """Whether the client has gone: a waiter then takes no hold."""
    repeats: int = 0
    """Identical requests that were answered from memory since this one's last refusal: to be told in its row's flags."""
    leaves: Callable[[], bool] = lambda: False
    """Whether the head goes upstream as soon as the answer is there: the connection is open already. Where one read brought many
    requests (HTTP/2), all are decided before the first of them leaves: 9 ms were measured for 20."""

    answers: Callable[[Refused], int] = lambda _: 429
    """The HTTP status with which this client is refused: its row has what its client saw."""


class Admitted(Struct, frozen=True):
    """The call may leave. `call_id` is open in the ledger (or in memory, while the ledger fails)."""

    call_id: str
    cut: bool
    """Whether some budget of it allows a running stream to be ended."""


class Refused(Struct, frozen=True):
    """The call may not leave; a row says so already. `help` is the policy's."""

    call_id: str
    refuse: Refuse
    message: str
    """The whole text for a person: rule, amounts, reset, help."""
    strict: bool = False
    """The policy's `refusals: strict`."""


class Gone(Struct, frozen=True):
    """The client went away while the call waited: no hold, a `failed` row."""

    call_id: str


Answered = Admitted | Refused | Gone


class End(Struct, frozen=True):
    """How an admitted call ended on the wire."""

    ended_ms: int
    sent: bool
    """Whether the request's head was given to the upstream connection."""
    complete: bool
    """The response ended cleanly, or was broken off after its provider had said that it was over and what it used."""
    http_status: int | None
    first_byte_ms: int | None
    """After the request was sent."""
    duration_ms: int
    response_bytes: int
    error: str | None = None
    """Who broke off: `client`, `server`, `cut`. Never content."""
    counts_later: bool = False
    """An error ended it, and its provider may count it all the same: what is collected of its response corrects the charge."""


class Seen(Struct, frozen=True):
    """An exchange that holds nothing: free, unrecognized, or failed before a hold. It has a row all the same."""

    call_id: str
    started_ms: int
    host: str
    route: Route
    ask: Ask
    attribution: Attribution
    state: State
    """`FREE`, `UNRECOGNIZED` or `FAILED`."""
    request_bytes: int
    end: End
    flags: tuple[str, ...] = ()


class Collected(Struct, frozen=True):
    """Results that an exchange has read back, and who read them. The exchange itself is recorded apart, as free."""

    at_ms: int
    host: str
    route: Route
    ask: Ask
    """What the head says of its sender."""
    attribution: Attribution
    results: tuple[Result, ...]
    http_status: int | None = None


class GatePort(Protocol):
    """The gate as capture uses it. Only `hold`, `spent`, `failing` and `noted` may take time; the others
    never block and never raise."""

    async def hold(self, intent: Intent) -> Answered:
        """Hold the call's cost, wait, or refuse. A Refused and a Gone have their row already."""
        ...

    async def spent(self, intent: Intent, *, writes: bool = True) -> Refused | None:
        """Refused, with its row, where the intent's budgets or rules leave nothing at all; else None. Never holds or waits.

        For a WebSocket handshake, which costs nothing but leads only to calls that would all be refused. `writes` False: no
        row, since capture will answer this one itself and `record` it.
        """
        ...

    async def failing(self, intent: Intent, why: str) -> Answered:
        """Capture failed before it could ask: the policy's `on_failure` decides, and the row says so. `why` has no content."""
        ...

    def sent(self, call_id: str) -> bool:
        """The request's head is about to be given to the upstream connection. False: the ledger has not written that yet.

        Where the intent's `leaves` was true the hold has written it already.
        """
        ...

    async def noted(self, call_id: str) -> None:
        """Wait until `sent` is in the ledger, so that a killed gate's call that was served is never free.

        Not for ever: a ledger that fails, or is busy for seconds, keeps no admitted call back.
        """
        ...

    def progress(self, call_id: str, reading: Reading) -> Notice | None:
        """Correct the hold of a running call. A Notice says: end its stream now."""
        ...

    def settle(self, call_id: str, reading: Reading, end: End) -> None:
        """End an admitted call. A second time changes nothing."""
        ...

    def collect(self, collected: Collected) -> None:
        """Meter what was read back, each result once, whoever reads it and however often."""
        ...

    def record(self, seen: Seen) -> None:
        """Write an exchange that held nothing."""
        ...

    def dated(self, host: str, date_ms: int) -> None:
        """An answer of this host, over a connection whose certificate was verified, has this date: epoch milliseconds."""
        ...
