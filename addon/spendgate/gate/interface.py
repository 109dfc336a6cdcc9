"""What capture asks of the gate, and what the gate answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spendgate.admission import Refuse
from spendgate.attribution import Attribution
from spendgate.providers.interface import Ask, Route


@dataclass(frozen=True, slots=True)
class Intent:
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


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may leave. `call_id` is open in the ledger (or in memory, while the ledger fails)."""

    call_id: str
    cut: bool
    """Whether some budget of it allows a running stream to be ended."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not leave; a row says so already. `help` is the policy's."""

    call_id: str
    refuse: Refuse
    message: str
    """The whole text for a person: rule, amounts, reset, help."""
    strict: bool = False
    """The policy's `refusals: strict`."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The client went away while the call waited: no hold, a `failed` row."""

    call_id: str


Answered = Admitted | Refused | Gone


@dataclass(frozen=True, slots=True)
class End:
    """How an admitted call ended on the wire."""

    ended_ms: int
    sent: bool
    """Whether the request's head was given to the upstream connection."""
    complete: bool
    """The response ended cleanly."""
    http_status: int | None
    first_byte_ms: int | None
    """After the request was sent."""
    duration_ms: int
    response_bytes: int
    error: str | None = None
    """Who broke off: `client`, `server`, `cut`. Never content."""
