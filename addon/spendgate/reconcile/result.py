"""What a reconciliation says: causes with their dollars and evidence, which sum to the gap to the last nano-dollar.

gap = billed - captured. A cause above zero is money on the bill that the ledger does not have, one below zero money in the ledger
that the bill does not have. `unexplained` is whatever is left, always told.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Cause(StrEnum):
    """Why captured and billed differ."""

    LATE_DATA = "late_data"
    CUTOFF = "cutoff"
    REVISION = "revision"
    SCOPE_KEY = "scope_key"
    SCOPE_PRODUCT = "scope_product"
    SCOPE_KEYLESS = "scope_keyless"
    GATEWAY_LEG = "gateway_leg"
    OTHER_DEVICE = "other_device"
    BYPASS_ON_DEVICE = "bypass_on_device"
    CAPTURE_DOWN = "capture_down"
    UNCAPTURED = "uncaptured"
    """A cell that nothing was captured of, where nothing says which of the five before it is why."""
    PARSE_MISS = "parse_miss"
    SUBCALL_TOKENS = "subcall_tokens"
    ABORTED_STREAM = "aborted_stream"
    FAILED_BILLED = "failed_billed"
    CAPTURED_NOT_BILLED = "captured_not_billed"
    RETRY_DUP = "retry_dup"
    PRICE_LIST = "price_list"
    PRICE_MULTIPLIER = "price_multiplier"
    PRICE_CHANGE_MIDPERIOD = "price_change_midperiod"
    UNPRICED_MODEL = "unpriced_model"
    DISCOUNT = "discount"
    CREDIT_COMMIT = "credit_commit"
    SUBSCRIPTION_INCLUDED = "subscription_included"
    NON_TOKEN_FEE = "non_token_fee"  # noqa: S105 - a fee for other things than tokens
    ESTIMATE = "estimate"
    """The wire showed no counts: what was captured is an estimate, and the bill has the real ones."""
    FX_ROUNDING = "fx_rounding"


class Confidence(StrEnum):
    """How strong the join is that a cause rests on, strongest first."""

    EXACT = "exact"
    """By the provider's id of a request or response, or by the key that the provider names."""
    EXACT_BUCKET = "exact-bucket"
    """Equal requests and equal counts of every class in one bucket of minutes."""
    RESIDUAL = "residual"
    """What is left of a bucket, an hour or a day once what matched is taken out."""
    FINGERPRINT = "fingerprint"
    """A ratio of prices that only one thing has."""
    WEAK = "weak"
    """Day and model of the whole organization."""


class State(StrEnum):
    """How final the provider's figures are."""

    OPEN = "open"
    """Not compared."""
    SETTLING = "settling"
    FINAL = "final"


class Finding(Struct, frozen=True):
    """One cause in one place: its nano-dollars, and what shows it."""

    cause: Cause
    nanos: int
    confidence: Confidence
    day_ms: int
    """The UTC day; -1: of no one day."""
    provider: str
    key: str = ""
    """The key, user or account, as the report names it."""
    model: str = ""
    evidence: str = ""
    """One sentence with figures and names, without content: `37 requests, none of them in the ledger`."""
    remedy: str = ""
    """What to do next about it."""
    calls: tuple[str, ...] = ()
    """Ids of calls of the ledger that it rests on, at most a hundred."""
    requests: int | None = None


class Coverage(Struct, frozen=True):
    """Captured against billed of one provider, tool or key, in scope. No ratio is clamped; None: nothing to divide by."""

    what: str
    """`provider`, `tool`, `key`, `total`."""
    name: str
    billed_nanos: int
    captured_nanos: int
    billed_requests: int | None = None
    captured_requests: int | None = None
    ids: int | None = None
    """Requests that both sides name by id …"""
    billed_ids: int | None = None
    """… of those that the bill names."""

    @property
    def dollars(self) -> float | None:
        """Captured / billed. A ratio for people; no amount is made of it."""
        return self.captured_nanos / self.billed_nanos if self.billed_nanos else None


class Day(Struct, frozen=True):
    """One UTC day of one provider."""

    day_ms: int
    provider: str
    state: State
    billed_nanos: int
    captured_nanos: int
    unexplained_nanos: int
    off_nanos: int | None = None
    """What is unexplained of each key and model, added up without signs; None: not told apart."""
    compared: bool = True
    """Whether its statement tells what calls cost: one of seats alone has nothing to compare them with."""
    until_ms: int | None = None
    """The end of the last day, where all of it is one sum of several days; None: of this day."""
    in_scope_nanos: int | None = None
    """Of what is billed, the part of calls that the gate could have seen: no seats, taxes and credits, no keys that are used
    elsewhere; None: not told apart."""
    off_key: str = ""
    """The key, user or account of which most is unexplained."""


class Input(Struct, frozen=True):
    """A statement that the run used."""

    name: str
    source: str
    sha256: str
    refreshed_ms: int | None
    from_ms: int
    until_ms: int
    lines: int
    providers: tuple[str, ...] = ()
    """Whom its lines are about."""


class Result(Struct, frozen=True):
    """A run. Made of closed UTC days alone; `billed_nanos - captured_nanos == sum of findings + unexplained_nanos`."""

    from_ms: int
    until_ms: int
    billed_nanos: int
    captured_nanos: int
    findings: tuple[Finding, ...]
    unexplained_nanos: int
    coverage: tuple[Coverage, ...]
    days: tuple[Day, ...]
    inputs: tuple[Input, ...]
    state: State
    """The least final of its days."""
    under_nanos: int
    """The cells that are billed above what was captured, added up: so that nothing hides behind its opposite …"""
    over_nanos: int
    """… and those that were captured above what is billed; zero or less."""
    notes: tuple[str, ...] = ()

    @property
    def gap_nanos(self) -> int:
        """Billed less captured."""
        return self.billed_nanos - self.captured_nanos
