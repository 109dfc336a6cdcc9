"""One request as two books have it: the ledger's row and what the provider bills. Without a cause they say the same."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from reconcile.simulator.prices import PARTS, PLAIN, Factor, Price, parts_of, search_parts, total_parts
from spendgate.money import half_even
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Billed, TokenClass
from spendgate.usage import Usage


class Row(Struct, frozen=True):
    """A call as the ledger has it."""

    id: str
    started_ms: int
    ended_ms: int
    person: str
    machine: str
    team: str
    tool: str
    provider: str
    host: str
    model: str
    api_key: str | None
    usage: Usage
    cost_nanos: int
    value_nanos: int
    price: Price | None
    """By which `cost_nanos` follows from `usage`; None: it does not."""
    factor: Factor
    prices: str | None
    session: str
    agent: str | None
    project: str
    state: str = "settled"
    basis: str | None = "reported"
    flags: tuple[str, ...] = ()
    billing: str = "metered"
    http_status: int = 200
    request_id: str | None = None
    response_id: str | None = None

    @property
    def day_ms(self) -> int:
        """The UTC day it left on."""
        return self.started_ms // DAY_MS * DAY_MS

    @property
    def parts(self) -> int:
        """What it cost before that was rounded to the nano-dollar."""
        if self.price is None or not self.cost_nanos:
            return self.cost_nanos * PARTS
        return total_parts(self.usage, self.price, self.factor)

    def priced(self, usage: Usage) -> Row:
        """The same call with other counts, at its own price."""
        if self.price is None:
            raise ValueError("a row without a price cannot be priced anew")
        nanos = half_even(total_parts(usage, self.price, self.factor), PARTS)
        return replace(self, usage=usage, cost_nanos=nanos, value_nanos=nanos)


class Entry(Struct, frozen=True):
    """A request as the provider counts it."""

    at_ms: int
    provider: str
    model: str
    """As the bill writes it."""
    product: str | None
    key: str
    key_name: str
    workspace: str
    usage: Usage
    price: Price
    factor: Factor = PLAIN
    tier: str = "standard"
    speed: str = "standard"
    person: str | None = None
    email: str | None = None
    billed: Billed = Billed.METERED
    response_id: str | None = None
    request_id: str | None = None
    requests: int = 1
    """0: tokens that the provider counts under another request."""

    @property
    def day_ms(self) -> int:
        """The UTC day that the provider books it on."""
        return self.at_ms // DAY_MS * DAY_MS

    @property
    def classes(self) -> dict[TokenClass, int]:
        """List price of each class, in parts of a nano-dollar."""
        return parts_of(self.usage, self.price, self.factor)

    @property
    def search_parts(self) -> int:
        """List price of its searches."""
        return search_parts(self.usage)

    @property
    def parts(self) -> int:
        """Its list price as far as it is money on this bill."""
        return total_parts(self.usage, self.price, self.factor) if self.billed is Billed.METERED else 0

    def at_price_of(self, row: Row) -> int | None:
        """What it would cost at the ledger's price; None: the ledger has none."""
        return None if row.price is None else total_parts(self.usage, row.price, row.factor)


class Request(Struct):
    """A request in both books, and why they differ about it; None: it is not in that book."""

    row: Row | None
    entry: Entry | None
    why: Cause | None = None
    """Why it is in one book alone, or with other counts."""
    price_why: Cause | None = None
    """Why it is billed at another price."""
    earlier: Entry | None = None
    """As an earlier version of the bill told it, where it was revised."""

    @property
    def provider(self) -> str:
        """Who worked it off."""
        if self.row is not None:
            return self.row.provider
        return self.entry.provider if self.entry is not None else ""
