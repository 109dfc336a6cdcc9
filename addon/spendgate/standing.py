"""A budget's balance as one call meets it, and what the call may cost: values, no decision.

Amounts are nano-dollars, times epoch milliseconds.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import Struct

from spendgate.adaptive import MeanOf, Settled
from spendgate.flow import Flow, Limits

NO_FLOW = Flow()
OWN_SEEN_LEAST = 3
"""A median of fewer settled calls of the very tool and model is a guess: it sizes a hold, but refuses nothing as `spent`."""


class Hold(StrEnum):
    """How a budget sizes its holds."""

    EXPECTED = "expected"
    CEILING = "ceiling"
    RATE = "rate"
    """Of a rate: it counts the call, and holds no money."""


class Scope(Struct, frozen=True):
    """One budget, or one rate, applied to one call: the balance that it draws on, and its words. Times are epoch milliseconds."""

    budget: str
    """Unique name with its window: `person/month`."""
    value: str
    """The value of the budget's `per`, `alice`, `alice|claude-code`; empty for a shared allowance."""
    window: str
    """Key of the window that holds now: `2026-11`, `2026-11-22T14`, `rolling`, `life`."""
    starts_ms: int
    """First instant counted; for a rolling window now - length."""
    ends_ms: int | None
    """When the window resets; None for rolling windows and for the life of a value."""
    rolling_ms: int | None
    limit_nanos: int
    hold: Hold
    wait_ms: int
    enforced: bool
    """False under `observe` or `action: warn`: held and recorded, never refused, never waits."""
    cut: bool
    order: int
    """Place in the policy file, the last tie-breaker of which rule a refusal names."""
    words: str = ""
    """Fingerprint of what the budget counts (per, match, except, window, zone; never its limit): with other words it is
    another budget, whose balances are filled from the ledger."""
    rate: Limits | None = None
    """Of a rate: what it allows. Its balance holds no money; it counts open calls, and its flow is told apart."""
    tally: bool = False
    """It only counts, what the scope before it holds: an exception's use, a day's sum. Nothing is refused by it."""
    by_list: bool = False
    """`counts: value`: subscription traffic counts in it, at list price."""
    by_bill: bool = False
    """`counts: billed`: what imported statements have and no call counts in it, too."""
    mean: MeanOf | None = None
    """By what its limit is found for the day; `limit_nanos` is then `at_most`."""
    credits: tuple[Credit, ...] = ()
    """The exceptions that may raise its limit."""
    kept_ms: int = 0
    """How long after its end its sum is still asked for (by a mean)."""

    @property
    def balance(self) -> tuple[str, str, str, str, int]:
        """Which balance it is of: the same for two calls that draw on one allowance, whatever exceptions each of them has."""
        return self.budget, self.value, self.window, self.words, self.rolling_ms or 0

    @property
    def moves(self) -> bool:
        """Whether its limit is not simply `limit_nanos`, but found in the ledger (`limits.limit`)."""
        return self.mean is not None or bool(self.credits)


class Credit(Struct, frozen=True):
    """One exception as it bears on one allowance and one call at one instant."""

    reason: str
    approved_by: str
    tally: Scope
    """Counts the calls that were made under it, in the allowance's own window."""
    add_nanos: int
    """What it adds; 0 where it replaces."""
    limit_nanos: int | None
    """What it puts in the limit's place; None where it adds."""
    once: bool
    """For one window alone: the first that needs it."""
    once_words: str
    """By what that window is remembered, whatever becomes of the exception's dates and sums."""
    usable: bool
    """Whether it holds now and the call fits it; else only what was spent under it counts."""
    own: bool = False
    """For some calls of the allowance alone: while some of what it adds is left they wait in no line for the rest."""
    granted: str = ""
    """Of a grant: until when, by whom and why, for a person. Its signature is an approver's."""


class Limit(Struct, frozen=True):
    """A limit as it is at one moment, with what made it so. Nano-dollars."""

    nanos: int
    settled: Settled | None = None
    """What the mean rests on."""
    raised: tuple[tuple[Credit, int], ...] = ()
    """The exceptions that were counted, and what each adds."""
    unclaimed: tuple[tuple[Credit, int], ...] = ()
    """Those of `raised` that hold once and have no window yet."""


class Standing(Struct, frozen=True):
    """A scope's balance at one moment, read inside the transaction. Amounts in nano-dollars."""

    scope: Scope
    settled_nanos: int
    held_nanos: int
    """Open holds of all calls, all gates."""
    ceiling_nanos: int
    """Sum of the bounds of the same open calls (a call without a bound counts its hold)."""
    open_calls: int
    ahead: int
    """Waiters of this balance that came before this call."""
    flow: Flow = NO_FLOW
    """Of a rate: what it has counted, all gates."""
    limit: Limit | None = None
    """None: the scope's own."""
    billed_nanos: int = 0
    """The part of what is settled that was billed and not captured."""

    @property
    def limit_nanos(self) -> int:
        """What the budget allows at this moment."""
        return self.scope.limit_nanos if self.limit is None else self.limit.nanos


class KindStanding(Struct, frozen=True):
    """How many calls of this call's kind (tool and model) the ledger has seen, all gates, read in the same transaction."""

    kind: str
    settled: int = 0
    """Those with a value above zero."""
    open_calls: int = 0


class Size(Struct, frozen=True, array_like=True):
    """What one call may cost, computed before the transaction. Amounts in nano-dollars."""

    ceiling_nanos: int | None
    """The most it can cost; None: no finite bound."""
    learned_nanos: int | None
    """What calls of its kind are known to need; None: nothing learned yet (cold)."""
    largest_nanos: int | None = None
    """The dearest call of its kind seen, at this call's prices."""
    typical_nanos: int | None = None
    """Median of its kind at this call's prices."""
    guess_nanos: int | None = None
    """What it holds under `expected` while nothing is learned: the bound, distrusted; None: not even that is known."""
    spread_nanos: int = 0
    """Standard deviation of its kind at this call's prices."""
    output_nanos: int | None = None
    """The part of it that its output is expected to cost: learned, else the most it may; None: unknown."""
    seen: int = 0
    """How many settled calls `learned_nanos` rests on."""
    own_seen: int = 0
    """How many of them are of its own kind (tool and model); 0 where only wider kinds are known."""
    output_most_nanos: int | None = None
    """The most that its output can cost, whatever was learned; None: no finite bound."""
    tokens: int | None = None
    """What rates expect it to use; None: no rate counts its tokens."""
    cache_reads: int = 0
    """What it is expected to read from a cache besides."""

    @property
    def text(self) -> str:
        """All of it as a JSON array in the order of the fields: what a row keeps, so that its decision can be made again."""
        return _encode(self)

    @classmethod
    def of_text(cls, text: str) -> Size:
        """Read `text` back, also from a row that says more (`tries`). Raises ValueError for anything else."""
        return _decode(text)

    @property
    def usual_nanos(self) -> int | None:
        """`typical_nanos` where its own kind has shown it often enough for a final word, else None."""
        return self.typical_nanos if self.own_seen >= OWN_SEEN_LEAST else None

    @property
    def bound_nanos(self) -> int | None:
        """Its ceiling, and where it has none its guess; None: nothing bounds what its guess rests on."""
        if self.ceiling_nanos is not None:
            return self.ceiling_nanos
        return None if self.output_most_nanos is None else self.guess_nanos

    @property
    def uncounted_nanos(self) -> int | None:
        """What it is charged where nothing was counted: the median of its own kind, else no more than its bound.

        None: nothing is known. A hold is no measure of this: `sizing.UNKNOWN_AT_ONCE` makes it a share of a budget.
        """
        if self.usual_nanos is not None:
            return self.usual_nanos
        return min((each for each in (self.typical_nanos, self.bound_nanos) if each is not None), default=None)


UNSIZED = Size(ceiling_nanos=None, learned_nanos=None)
"""Of a call of whose cost nothing is known, or that was never sized."""

_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(Size)


def _encode(size: Size) -> str:
    return _encoder.encode(size).decode()


def _decode(text: str) -> Size:
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError as fault:
        raise ValueError(f"not a call's size: {fault}") from fault
