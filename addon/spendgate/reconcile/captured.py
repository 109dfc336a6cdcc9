"""Calls of the ledger as a reconciliation takes them: single ones where ids or minutes matter, else sums of alike ones."""

from __future__ import annotations

from msgspec import Struct

from spendgate.usage import NO_USAGE, Usage


class Call(Struct, frozen=True):
    """One call, or the sum of `calls` that are alike in all but amounts, counts and moments (of one UTC day, then).

    Words as in the view `calls`; nano-dollars, epoch milliseconds.
    """

    started_ms: int
    """When it left; of a sum, any moment of its day (or minute)."""
    provider: str
    model: str
    """The model that answered, else the one asked for; "": unknown."""
    state: str = "settled"
    usage: Usage = NO_USAGE
    cost_nanos: int = 0
    value_nanos: int = 0
    calls: int = 1
    id: str = ""
    """The ledger's id of a single call; "" of a sum."""
    ended_ms: int | None = None
    api_key: str = ""
    """The key's fingerprint; "": without one."""
    person: str = ""
    machine: str = ""
    tool: str = ""
    host: str = ""
    account: str = ""
    billing: str = "metered"
    basis: str | None = "reported"
    prices: str = ""
    """By which price it was charged: names tier, speed and place where they count."""
    flags: str = ""
    http_status: int | None = 200
    request_id: str | None = None
    response_id: str | None = None
