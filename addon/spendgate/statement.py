"""A statement: what a provider says was used and what it bills for it, as lines that every source is turned into.

Providers differ in grain, units and what "input" includes. A source (`reconcile/sources`) turns its own convention into this
one: amounts are whole nano-dollars read from the text of the source, times epoch milliseconds UTC, token counts disjoint
(`usage.Usage`). None is what a source does not say, which is not zero. Nothing is dropped for being unknown: a model, a product
or a unit that nobody knows is a line like any other.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from spendgate.usage import NO_USAGE, Usage

DAY_MS: Final = 86_400_000


class Charge(StrEnum):
    """What the money of a line is for. Only TOKENS can be compared with what calls used; the rest is explained by itself."""

    TOKENS = "tokens"
    """One class of tokens (`token_class`), or all of them."""
    WEB_SEARCH = "web search"
    CODE_EXECUTION = "code execution"
    SESSION = "session time"
    TOOL = "other tool"
    """File search, maps grounding, vector stores, …"""
    MEDIA = "media"
    """Images, audio, video by piece or by second."""
    REQUESTS = "requests"
    """Calls that are billed by piece (premium requests)."""
    SERVICE_FEE = "service fee"
    """What a reseller takes on top of the model's price (Cursor's token fee)."""
    SEAT = "seat"
    STORAGE = "storage"
    SUPPORT = "support"
    TAX = "tax"
    CREDIT = "credit"
    """Negative: a commitment, a pool or a promotion pays."""
    ROUNDING = "rounding"
    OTHER = "other"


class TokenClass(StrEnum):
    """A class of tokens with a price of its own, by the name of its count in `Usage`."""

    INPUT = "input_tokens"
    CACHE_READ = "cache_read_tokens"
    CACHE_WRITE_5M = "cache_write_5m_tokens"
    CACHE_WRITE_1H = "cache_write_1h_tokens"
    CACHE_WRITE = "cache_write_tokens"
    OUTPUT = "output_tokens"


class Billed(StrEnum):
    """Whether a line's use is money on this bill."""

    METERED = "metered"
    INCLUDED = "included"
    """A plan or a pool pays: what the source writes beside it is notional."""
    NOT_CHARGED = "not charged"
    """Failed, aborted, refused before output, answered from a gateway's cache."""
    ELSEWHERE = "elsewhere"
    """On one's own key or account: the model's price is on another provider's bill."""


class Who(Struct, frozen=True, omit_defaults=True):
    """To whom the provider counts it, in the provider's words; None: it does not say, "": it says that there is none."""

    organization: str | None = None
    workspace: str | None = None
    """Workspace, project, cost center, subscription: what lies between organization and key."""
    key: str | None = None
    """The provider's id of the key; "": used without one (a console, a login)."""
    key_name: str | None = None
    key_hint: str | None = None
    """What the provider shows of the key itself."""
    user: str | None = None
    """The provider's id of a user, or the principal."""
    email: str | None = None


class Axes(Struct, frozen=True, omit_defaults=True):
    """What else a price depends on, in the provider's words. None: not said."""

    tier: str | None = None
    """standard, batch, flex, priority, …"""
    speed: str | None = None
    geo: str | None = None
    """Where inference ran, or the region of a cloud."""
    context: str | None = None
    """The band of the context's length."""


class Line(Struct, frozen=True, omit_defaults=True):
    """One line: used or billed from `starts_ms` on and before `ends_ms` (UTC).

    Sources that tell counts and money apart make lines of both: a count has no amount (`billed_nanos` None), money has no
    `usage`. They are joined by day, who, model and axes, as far as both say them.
    """

    starts_ms: int
    ends_ms: int
    provider: str
    """Who bills, by the registry's name (`anthropic`, `openai`, `aws`, …)."""
    model: str | None = None
    """As the source writes it."""
    product: str | None = None
    """The provider's product, tool or SKU that it was used through."""
    who: Who = Who()
    axes: Axes = Axes()
    charge: Charge = Charge.TOKENS
    token_class: TokenClass | None = None
    """Of money for one class of tokens; None: for all, or `charge` is no tokens."""
    usage: Usage = NO_USAGE
    """Disjoint counts, where the line tells them."""
    requests: int | None = None
    quantity: str | None = None
    """Exact decimal text of what else is counted (searches, hours, credits), with its `unit`."""
    unit: str | None = None
    billed_nanos: int | None = None
    """What is billed after discounts and before credits. None: the line tells no money."""
    list_nanos: int | None = None
    """The same at list price. None: not told."""
    billed: Billed = Billed.METERED
    response_id: str | None = None
    """A line of one request: the provider's id of the response (`msg_…`, `gen-…`) …"""
    request_id: str | None = None
    """… or of the request (`req_…`)."""
    amount: str = ""
    """The amount as the source wrote it, with its unit: `184.250000 cent`. For people who compare."""


class Statement(Struct, frozen=True):
    """What one import brings: all that its source says of `from_ms` … `until_ms`, so that what it does not list is zero."""

    source: str
    """The name of its importer."""
    provider: str
    subject: str
    """Whose bill it is: organization, account or team, as far as the source says; "" else. Versions replace one another by
    source and subject."""
    from_ms: int
    until_ms: int
    sha256: str
    """Hex, of the bytes that were read: the file, or all pages in their order."""
    origin: str
    """The file's name or the host that was asked, without folders, queries or secrets."""
    refreshed_ms: int | None
    """Up to when the provider says its data reach; None: it does not say."""
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know: columns that were missing, rows that were left out and why. Each ends as a line of the report."""
