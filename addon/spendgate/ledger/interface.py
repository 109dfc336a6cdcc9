"""What the ledger takes and gives. Amounts in nano-dollars, times in epoch milliseconds, tokens as in `usage.Usage`.

The gate (`spendgate.gate`) is the only writer; `cli` reads through `ledger.queries` on its own read-only connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from spendgate.admission import Decision
from spendgate.flow import Tokens
from spendgate.ledger.sums import BalanceKey, Sums
from spendgate.standing import KindStanding, Scope, Standing
from spendgate.usage import Usage


class CallRow(Struct, frozen=True):
    """What is known of a call when it is first written. Column names are those of the view `calls` (design.md, Ledger)."""

    id: str
    started_ms: int
    person: str
    machine: str
    provider: str
    host: str
    path: str
    team: str | None = None
    groups: tuple[str, ...] = ()
    account_os: str | None = None
    tool: str | None = None
    process: str | None = None
    project: str | None = None
    session: str | None = None
    agent: str | None = None
    """The sub-agent that asks; None: the main agent of the session."""
    parent_call: str | None = None
    """A sub-agent's: the newest call of the agent that started it, when it first asked."""
    evidence: str = ""
    """`person=socket owner;tool=header;session=header`: how each attribute is known."""
    api_key: str | None = None
    account: str | None = None
    billing: str = "metered"
    dialect: str | None = None
    model_requested: str | None = None
    kind: str = ""
    """What sizes are learned by: `tool|model`."""
    estimate_nanos: int | None = None
    ceiling_nanos: int | None = None
    typical_nanos: int | None = None
    """The learned median at this call's prices, else its bound: what an orphan of a dead gate is charged under `expected`."""
    request_bytes: int = 0
    text_bytes: int = 0
    policy_hash: str = ""
    agent_name: str | None = None
    parent_agent: str | None = None
    size: str | None = None
    """All that was known of its size when it was decided (`tries.text`); None: it was never sized."""
    also_requested: str | None = None
    """The other models that may have a part in its answer, as a JSON array; None: there are none."""


class AlertRow(Struct, frozen=True):
    """An alert as the ledger keeps it: once for its rule, value and window, until `again_ms` (None: for ever)."""

    rule: str
    form: str
    value: str
    window: str
    severity: str
    at_ms: int
    again_ms: int | None
    person: str | None
    team: tuple[str, ...]
    owner: str
    """Who answers for it: the team's, else the policy's."""
    spent_nanos: int | None
    mark_nanos: int | None
    calls: int | None
    of_calls: int | None
    text: str
    command: str
    policy_hash: str


class Flowing(Struct, frozen=True):
    """A call as rates count it."""

    boot: str
    """Which boot the clock is of; empty where the system does not tell."""
    boot_ms: int
    """Milliseconds of the boot clock: when it was admitted."""
    need: Tokens = Tokens()
    """What it is expected to use; at its end: what that was too little, or too much."""
    rates: tuple[Scope, ...] = ()
    """Those of its rates that look back."""
    longest_ms: int = 0
    """How long the longest of them does."""
    requests: int = 1
    """At its end: -1 where it never left, else 0; 1 where nobody asked before it was done."""


class Settlement(Struct, frozen=True):
    """The end of an admitted call."""

    state: str
    """`settled`, `interrupted` or `failed`."""
    basis: str | None
    """`reported`, `estimated`, `ceiling`; None where nothing was charged."""
    usage: Usage
    cost_nanos: int
    """What budgets count (0 for subscription traffic)."""
    value_nanos: int
    """At list price."""
    charges: tuple[tuple[Scope, int], ...]
    """What each budget is charged: the scopes of the hold, and those of the answering model."""
    ended_ms: int
    model: str | None = None
    http_status: int | None = None
    first_byte_ms: int | None = None
    duration_ms: int | None = None
    request_id: str | None = None
    response_id: str | None = None
    account: str | None = None
    response_bytes: int = 0
    sent: bool = True
    """Whether the request's head was given to the upstream connection. False also takes back what `hold` foretold."""
    prices: str | None = None
    """Which price was used: provider, model, its date; `calls show` prints it."""
    flags: tuple[str, ...] = ()
    awaited: str | None = None
    """The id of the row that its result will have, where that is read back later (a background response)."""
    flowed: Flowing | None = None
    """What the end changes in its rates' counts; None: nothing."""


class Counted(Struct, frozen=True):
    """What one of several results that are alike has of its own."""

    id: str
    usage: Usage
    nanos: int
    """What it costs, what it is worth, and what each of its budgets is charged: more than nothing."""
    response_id: str | None
    prices: str


class AwaitedCall(Struct, frozen=True):
    """A call whose result was to come later, as it stands. Nano-dollars, epoch milliseconds."""

    seq: int
    row: CallRow
    booked_ms: int
    basis: str | None
    cost_nanos: int
    value_nanos: int


Decide = Callable[[tuple[Standing, ...], KindStanding], Decision]


class LedgerPort(Protocol):
    """The ledger as the gate uses it. Each method is one transaction. `LedgerBusy` (a LedgerUnavailable): try again soon."""

    def together[T](self, work: Callable[[], T]) -> T:
        """Run `work` at once, and all that it asks of this ledger as one transaction, which stands or falls as a whole.

        Raises what `work` raises; nothing of it is then written.
        """
        ...

    def hold(
        self, row: CallRow, scopes: tuple[Scope, ...], decide: Decide, now_ms: int, waited_ms: int = 0,
        *, leaves: bool = False, flowing: Flowing | None = None,
    ) -> Decision:  # fmt: skip
        """Read the standings, decide, and write what was decided: an open call with holds, a waiter, or nothing.

        `flowing`: how rates among the scopes count it; None: they see no flow, and an admitted call is not counted in any.

        Admit: row open, holds written, balances moved, waiter gone. `leaves`: its head goes upstream with the answer, so
        that the row says `sent` from the start. Wait: a waiter's place is kept, no row.
        Refuse: waiter gone, no row (the gate then calls `refused`).
        """
        ...

    def standings(
        self, scopes: tuple[Scope, ...], now_ms: int, unwritten: Mapping[BalanceKey, Sums]
    ) -> tuple[Standing, ...]:
        """These budgets as they stand, in their order, with what is still to be written added. Writes nothing, so a ledger that
        is full or busy can tell."""
        ...

    def leave(self, call_id: str) -> None:
        """A waiter gives up its place (client gone, gate stopping)."""
        ...

    def sent(self, call_id: str, at_ms: int) -> None:
        """The request's head was given to the upstream connection: from here the call is never free."""
        ...

    def resize(self, call_id: str, holds: tuple[tuple[Scope, int], ...], now_ms: int) -> tuple[Standing, ...]:
        """Correct a running call's holds; gives the standings after it, at `now_ms`, for `cut`."""
        ...

    def settle(self, call_id: str, settlement: Settlement) -> bool:
        """End an open call once. False: it had already ended, nothing was changed."""
        ...

    def written(self, result_ids: tuple[str, ...]) -> frozenset[str]:
        """Which of these, a few, have a row already: such a result need not be looked at again."""
        ...

    def awaited(self, result_id: str) -> AwaitedCall | None:
        """The ended call whose result this row would be; None where none is known or the row is written already."""
        ...

    def collected(
        self, row: CallRow, settlement: Settlement, booked_ms: int, *, corrects: AwaitedCall | None = None
    ) -> bool:
        """Write a result as a row of its own, once for its id. False: it was there, nothing was changed.

        `corrects`: the row gets what that call was charged too little (or less than nothing) in each of its budgets, at its
        time; `settlement` says what it really cost.
        """
        ...

    def gathered(self, row: CallRow, end: Settlement, each: Sequence[Counted], booked_ms: int) -> None:
        """Write results that correct nothing and are alike, none of which has a row: for less than `collected` takes for each.
        `row` and `end` are theirs but for what is `Counted`; of its charges the scopes are. Raises ValueError, and nothing of
        the transaction is written, where one has a row.
        """
        ...

    def refused(
        self,
        row: CallRow,
        decision: object,
        *,
        now_ms: int,
        waited_ms: int,
        http_status: int,
        flags: tuple[str, ...] = (),
        alerts: tuple[AlertRow, ...] = (),
    ) -> None:
        """Write a refused call with the figures of its Refuse, and the alerts that must not come after it."""
        ...

    def recorded(
        self,
        row: CallRow,
        state: str,
        *,
        ended_ms: int,
        http_status: int | None,
        request_bytes: int,
        response_bytes: int,
        duration_ms: int | None,
        first_byte_ms: int | None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """Write a call that costs nothing or could not be read: `free`, `unrecognized`, `failed`."""
        ...
