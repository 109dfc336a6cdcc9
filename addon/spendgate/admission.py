"""Admission: may this call leave, what is held for it, or why not. Values and one pure function.

`decide` sees the standings of every budget that fits the call, as one transaction read them, and answers Admit, Wait or
Refuse with its figures. The ledger writes what it answers in that same transaction (design.md, promise 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RefusalKind(StrEnum):
    """Why a call did not leave; the words are in the ledger (design.md, promise 4)."""

    SPENT = "spent"
    HELD = "held"
    RULE = "rule"
    UNBOUNDED = "unbounded"
    FAILURE = "failure"


class Hold(StrEnum):
    """How a budget sizes its holds."""

    EXPECTED = "expected"
    CEILING = "ceiling"


@dataclass(frozen=True, slots=True)
class Scope:
    """One budget applied to one call: the balance that it draws on, and the budget's words. Times are epoch milliseconds."""

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


@dataclass(frozen=True, slots=True)
class Standing:
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


@dataclass(frozen=True, slots=True)
class KindStanding:
    """How many calls of this call's kind (tool and model) the ledger has seen, all gates, read in the same transaction."""

    kind: str
    settled: int = 0
    open_calls: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """What one call may cost, computed before the transaction. Amounts in nano-dollars."""

    ceiling_nanos: int | None
    """The most it can cost; None: no finite bound."""
    learned_nanos: int | None
    """What calls of its kind are known to need; None: nothing learned yet (cold)."""
    largest_nanos: int | None = None
    """The dearest call of its kind seen, at this call's prices."""
    typical_nanos: int | None = None
    """Median of its kind at this call's prices."""


@dataclass(frozen=True, slots=True)
class Admit:
    """The call may leave; `holds` are (scope, nano-dollars), one for each standing."""

    holds: tuple[tuple[Scope, int], ...]
    would_refuse: Refuse | None = None
    """What would have been refused but for `observe` or `warn`."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Others' holds are in the way; try again when one settles, for at most `wait_ms` in all."""

    scope: Scope
    wait_ms: int
    refusal: Refuse
    """What to answer if it still does not fit then."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call may not leave. Figures of that moment, in nano-dollars; None where the kind has none."""

    kind: RefusalKind
    rule: str
    """Name of the budget or model rule."""
    reason: str
    """One clause for a person, without the amounts: `model claude-opus-4-5 is not allowed`."""
    value: str = ""
    settled_nanos: int | None = None
    held_nanos: int | None = None
    hold_nanos: int | None = None
    limit_nanos: int | None = None
    resets_ms: int | None = None
    retry_after_ms: int | None = None
    others: int = 0
    """How many more rules refused it."""
    suggest: str | None = None


Decision = Admit | Wait | Refuse
