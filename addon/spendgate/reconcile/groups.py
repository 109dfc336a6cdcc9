"""Groups: both sides of one day, account and model, with what each side tells by class and price.

A group is the set of cells of one day, account and model (and match by id). Its cells are classes of tokens and price axes where
both sides have the same axes, else classes alone. Lines about anything but tokens or requests are no groups: they are
explained by what they are for.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from spendgate.reconcile.accounts import Account
from spendgate.reconcile.folding import Part
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.naming import LIST, Price, price_of_line, product_of
from spendgate.reconcile.vectors import PLACE, SEARCHES, add, counts_of, zeros
from spendgate.statement import Billed, Charge, Line
from spendgate.usage import NO_USAGE

_AMOUNT: Final = re.compile(r"^[+-]?\$?-?\d+(?:\.(\d+))?(?:e([+-]?\d{1,4}))?\s*([a-z$¢]*)", re.IGNORECASE)
_UNITS = {"cent": 10_000_000, "cents": 10_000_000, "¢": 10_000_000, "credit": 10_000_000, "credits": 10_000_000}
_UNITS |= dict.fromkeys(("", "usd", "$", "dollar", "dollars"), 1_000_000_000)
_CENT_NANOS: Final = 10_000_000
_MOMENT_MS: Final = 1_000


class GroupKey(NamedTuple):
    """Where a group is."""

    day_ms: int
    provider: str
    account: str
    model: str
    match: str = ""
    """"": not matched by id; else how its calls match: a `Kind`, `absent` (no call), …"""


class Side:
    """What the bill says of one group at one price."""

    __slots__ = (
        "counted",
        "counts",
        "list_by",
        "list_whole",
        "net_by",
        "net_whole",
        "requests",
        "requests_money",
        "rounding",
        "split",
        "whole",
    )  # fmt: skip

    def __init__(self) -> None:
        self.counts = zeros()
        self.counted = False
        self.requests: int | None = None
        self.requests_money: int | None = None
        self.list_by, self.net_by = zeros(), zeros()
        self.list_whole = self.net_whole = 0
        self.split = self.whole = False
        """Whether there is money by class; money for all classes."""
        self.rounding = 0
        """The most that rounding can have moved its amounts, in nano-dollars."""

    @property
    def listed(self) -> int:
        """At list price."""
        return sum(self.list_by) + self.list_whole

    @property
    def net(self) -> int:
        """Billed."""
        return sum(self.net_by) + self.net_whole

    @property
    def empty(self) -> bool:
        """Whether it says nothing: the bill has lines of it, and none is money or use that is charged."""
        return not (self.counted or self.split or self.whole) and self.requests is None and self.requests_money is None

    def money(self, line: Line, finest: int) -> None:
        """Add a line's money. `finest`: half of the smallest unit that its provider's lines are written to."""
        net = line.billed_nanos or 0
        listed = net if line.list_nanos is None else line.list_nanos
        self.rounding += min(half_unit(line.amount), finest)
        place = (
            SEARCHES if line.charge is Charge.WEB_SEARCH else PLACE.get(line.token_class) if line.token_class else None
        )
        if place is None:
            self.whole = True
            self.list_whole += listed
            self.net_whole += net
        else:
            self.split = True
            self.list_by[place] += listed
            self.net_by[place] += net

    def merge(self, other: Side) -> None:
        """Add another one."""
        add(self.counts, other.counts)
        add(self.list_by, other.list_by)
        add(self.net_by, other.net_by)
        self.counted |= other.counted
        self.split |= other.split
        self.whole |= other.whole
        self.list_whole += other.list_whole
        self.net_whole += other.net_whole
        self.rounding += other.rounding
        if other.requests is not None:
            self.requests = (self.requests or 0) + other.requests
        if other.requests_money is not None:
            self.requests_money = (self.requests_money or 0) + other.requests_money


class Notional:
    """What the bill lists and does not charge: of a plan, or not charged at all."""

    __slots__ = ("counts", "requests")

    def __init__(self) -> None:
        self.counts = zeros()
        self.requests = 0


class Group:
    """Both sides of one day, account, model."""

    __slots__ = (
        "account", "billed", "buckets", "captured_in", "key", "lines", "moments", "notional", "parts", "products", "revised",
    )  # fmt: skip

    def __init__(self, key: GroupKey, account: Account) -> None:
        self.key, self.account = key, account
        self.billed: dict[Price, Side] = {}
        self.lines = 0
        self.products: set[str] = set()
        self.notional: dict[Billed, Notional] = {}
        self.buckets: list[Line] = []
        """Lines of less than a day: when it happened."""
        self.moments: list[Line] = []
        """Lines of one request each, without its id, charged or not."""
        self.parts: dict[tuple[Price, str], dict[Kind, Part]] = {}
        """By price axes and the text of the price."""
        self.captured_in: dict[int, Part] = {}
        """By the beginning of a bucket of the bill."""
        self.revised = 0
        """What the bill says now less what it said before, where `billed` is what it said before."""

    @property
    def requests(self) -> int | None:
        """Requests that are billed; None: the bill does not say."""
        said = [each.requests if each.requests is not None else each.requests_money for each in self.billed.values()]
        known = [each for each in said if each is not None]
        return sum(known) if known else None

    @property
    def net(self) -> int:
        """Billed."""
        return sum(each.net for each in self.billed.values())

    @property
    def listed(self) -> int:
        """At list price."""
        return sum(each.listed for each in self.billed.values())

    @property
    def cost(self) -> int:
        """Captured."""
        return sum(part.cost for kinds in self.parts.values() for part in kinds.values())

    def kind(self, kind: Kind) -> Part:
        """All calls of a kind, whatever their price."""
        found = Part()
        for kinds in self.parts.values():
            if kind in kinds:
                found.merge(kinds[kind])
        return found

    @property
    def billed_now(self) -> int:
        """What the bill in force has."""
        return self.net + self.revised

    @property
    def rounding(self) -> int:
        """The most that rounding of lines and of calls can have made, in nano-dollars."""
        rows = sum(part.rows for kinds in self.parts.values() for part in kinds.values())
        return sum(side.rounding for side in self.billed.values()) + rows

    def as_before(self, earlier: Group | None) -> None:
        """Compare with what the bill said before: the change since is a part of the gap of its own."""
        now = self.net
        self.billed = {} if earlier is None else earlier.billed
        self.notional = {} if earlier is None else earlier.notional
        self.buckets = [] if earlier is None else earlier.buckets
        self.revised = now - self.net

    def take_line(self, line: Line, day_long: bool, finest: int) -> None:
        """Add a line about tokens or requests."""
        self.lines += 1
        if line.product:
            self.products.add(product_of(line.product))
        named = line.response_id or line.request_id
        if line.requests in (None, 1) and line.ends_ms - line.starts_ms <= _MOMENT_MS and not named:
            self.moments.append(line)
        if line.billed is not Billed.METERED:
            kept = self.notional.setdefault(line.billed, Notional())
            add(kept.counts, counts_of(line.usage))
            kept.requests += line.requests or 0
            self.billed.setdefault(LIST, Side())
            return
        side = self.billed.setdefault(price_of_line(line.axes), Side())
        if line.billed_nanos is not None:
            side.money(line, finest)
        if line.usage != NO_USAGE:
            side.counted = True
            add(side.counts, counts_of(line.usage))
            if line.requests is not None:
                side.requests = (side.requests or 0) + line.requests
        elif line.requests is not None:
            if line.billed_nanos is None:
                side.requests = (side.requests or 0) + line.requests
            else:
                side.requests_money = (side.requests_money or 0) + line.requests
        if not day_long:
            self.buckets.append(line)

    def take_part(self, price: Price, text: str, kind: Kind, part: Part) -> None:
        """Add calls."""
        self.parts.setdefault((price, text), {}).setdefault(kind, Part()).merge(part)


def charged(line: Line) -> int:
    """What of a line is money on this bill: what is included, not charged or billed elsewhere is none."""
    return line.billed_nanos or 0 if line.billed is Billed.METERED else 0


def half_unit(amount: str) -> int:
    """Half of the last digit that a source wrote, in whole nano-dollars, at least one and at most half a cent: no source rounds
    to more, and what is written as `3 USD` or `0.5 USD` has lost its zeros."""
    found = _AMOUNT.match(amount)
    unit = _UNITS.get(found[3].lower()) if found else None
    if found is None or unit is None:
        return 1
    parts: int = 10 ** max(0, len(found[1] or "") - int(found[2] or 0))
    return max(1, -(-min(unit, _CENT_NANOS * parts) // (2 * parts)))
