"""What the reading commands, `ask`, `grant` and `ack` ask of a ledger: in a file of one's own, or with a service.

Values only, as they go over a socket; what they look like is the commands' own. Each method raises StateError where there is no
ledger to ask, UsageError where words are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.ledger.found_calls import CallHold
from spendgate.ledger.spending import Spend

Rows = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """Which calls: the words of `--since`, `--until` and `--where`, as they were typed."""

    since: str | None = None
    until: str | None = None
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spending:
    """The answer to `spend`."""

    totals: tuple[Spend, ...]
    seats: tuple[str, ...]
    """A line for each seat of the policy."""
    note: str = ""
    """What is to be said where it reaches back to calls that are sums by now."""
    billed: str = ""
    """What is to be said of usage that bills have and no call."""
    unrecognized: int = 0
    """Exchanges that no total has, since nobody could read what they cost, if anything."""


@dataclass(frozen=True, slots=True)
class Called:
    """The answer to `calls`."""

    rows: Rows
    columns: tuple[str, ...]
    hidden: int
    """Free requests that are not among them."""
    timezone: str
    note: str = ""
    """As of `Spending`."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer to `calls show`."""

    row: dict[str, Any]
    holds: tuple[CallHold, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What `ask` asks for, as it was typed."""

    amount: str | None = None
    reason: str = ""
    budget: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Signing:
    """What an approver needs to sign a grant here."""

    code: str
    """Of the ask that was meant; empty where a code was given."""
    names: tuple[str, ...]
    """Under which names the policy lists the approver's key."""
    ledger: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows whose times are shown in the policy's zone."""

    rows: Rows
    timezone: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer to `audit verify`."""

    faults: tuple[str, ...]
    more: int
    """How many there are beside these."""
    says: str
    """Of a ledger that holds."""


class Desk(Protocol):
    """The commands are the same either way."""

    def status(self) -> Report:
        """Everything that `status` says."""
        ...

    def health(self) -> Health:
        """What `doctor` asks beside it."""
        ...

    def spend(self, by: str, asking: Asking, with_seats: bool) -> Spending:
        """Totals by the words of `--by`, dearest first; `with_seats`: also who uses the policy's seats."""
        ...

    def calls(self, asking: Asking, limit: int, free: bool) -> Called:
        """The newest calls."""
        ...

    def call(self, prefix: str) -> Explained:
        """One call by the beginning of its id."""
        ...

    def me(self, rows: bool) -> dict[str, Any]:
        """What is kept about whoever asks, and who sees what of it; `rows`: the rows themselves, too."""
        ...

    def ask(self, wish: Wish) -> tuple[str, ...]:
        """Write an ask down; the lines that tell of it."""
        ...

    def asks(self) -> Rows:
        """Every ask."""
        ...

    def grants(self) -> Rows:
        """Asks that wait, and every grant."""
        ...

    def signing(self, ask_id: str, key: str) -> Signing:
        """What is needed to sign a grant for this ask (its id's beginning, or empty) with this public key."""
        ...

    def accept(self, text: str, signed_here: bool) -> str:
        """Take a grant in; the line that tells of it. `signed_here`: by whoever does it, who has the approver's key."""
        ...

    def revoke(self, grant_id: str) -> str:
        """End a grant; the line that tells of it."""
        ...

    def alerts(self, since: str | None) -> Listed:
        """Every alert with its deliveries, newest first."""
        ...

    def see_alerts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Say that these were seen; a line for each."""
        ...

    def audit(self, since: str | None) -> Listed:
        """The audit trail, oldest first."""
        ...

    def verify(self) -> Verified:
        """Both chains and every balance."""
        ...

    def take_note(self) -> tuple[str, ...]:
        """Acknowledge what was found about the ledger; a line for each finding."""
        ...
