"""Calls of the ledger as a reconciliation takes them: single ones where ids or minutes matter, else sums of alike ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from spendgate.ledger.compared import Alike
from spendgate.ledger.queries import Reader
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


def read(reader: Reader, span: tuple[int, int], ids: Iterable[str], boundary_ms: int, bucket_ms: int) -> Iterator[Call]:
    """The ledger's calls of these days (from, until) and of the minutes before and after: sums by buckets of the bill, single ones
    where `ids` name them or it matters."""
    return map(_call, reader.calls_alike((span[0] - boundary_ms, span[1] + boundary_ms), ids, boundary_ms, bucket_ms))


def read_singly(reader: Reader, from_ms: int, until_ms: int) -> Iterator[Call]:
    """Every call that left in this span, in that order."""
    return map(_call, reader.calls_singly(from_ms, until_ms))


def _call(row: Alike) -> Call:
    return Call(
        started_ms=row.left_ms, provider=row.provider, model=row.model, state=row.state, usage=row.usage,
        cost_nanos=row.cost_nanos, value_nanos=row.value_nanos, calls=row.calls, id=row.id, ended_ms=row.ended_ms,
        api_key=row.api_key, person=row.person, machine=row.machine, tool=row.tool, host=row.host, account=row.account,
        billing=row.billing, basis=row.basis, prices=row.prices, flags=row.flags, http_status=row.http_status,
        request_id=row.request_id, response_id=row.response_id,
    )  # fmt: skip
