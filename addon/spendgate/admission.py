"""Admission: may this call leave, what is held for it, or why not. Values and one pure function.

`decide` sees the standings of every budget that fits the call, as one transaction read them, and answers Admit, Wait or
Refuse with its figures. The ledger writes what it answers in that same transaction (design.md, promise 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import ceil, isqrt


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
    words: str = ""
    """Fingerprint of what the budget counts (per, match, except, window, zone; never its limit): with other words it is
    another budget, whose balances are filled from the ledger."""


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

    @property
    def usual_nanos(self) -> int | None:
        """`typical_nanos` where its own kind has shown it often enough for a final word, else None."""
        return self.typical_nanos if self.own_seen >= OWN_SEEN_LEAST else None

    @property
    def bound_nanos(self) -> int | None:
        """Its ceiling, and where it has none its guess; None: not even that is known."""
        return self.ceiling_nanos if self.ceiling_nanos is not None else self.guess_nanos

    @property
    def uncounted_nanos(self) -> int | None:
        """What it is charged where nothing was counted: the median of its own kind, else no more than its bound.

        None: nothing is known. A hold is no measure of this: `UNKNOWN_AT_ONCE` makes it a share of a budget.
        """
        if self.usual_nanos is not None:
            return self.usual_nanos
        return min((each for each in (self.typical_nanos, self.bound_nanos) if each is not None), default=None)


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
    also: tuple[Scope, ...] = ()
    """The other budgets that block it: the call keeps its place in the line of each."""


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
    bounded: bool = False
    """`hold_nanos` is the most that the call can cost, not a guess."""


Decision = Admit | Wait | Refuse

_KINDS_BY_DURATION = (
    RefusalKind.RULE,
    RefusalKind.UNBOUNDED,
    RefusalKind.SPENT,
    RefusalKind.HELD,
    RefusalKind.FAILURE,
)

PROVEN_SHARE = Fraction(2, 5)
"""Slow start: of a kind, at most this share of the calls that have settled may be in flight on what was learned from them;
more must hold their bound. At least one may."""
DEVIATIONS = 3
"""How many standard deviations of the sum of all calls in flight must have room beside their mean. Both figures are chosen by
`scripts/simulate`: the least overshoot that still uses nine tenths of a budget within ten call durations."""

OWN_SEEN_LEAST = 3
"""A median of fewer settled calls of the very tool and model is a guess: it sizes a hold, but refuses nothing as `spent`."""

SURPRISE = 6
"""One call in flight may lie so many times as far above the mean as the dearest seen: a dozen calls show little of a long tail,
and nothing is added where all cost the same. By `scripts/simulate`: with fewer more goes over, with more waits end in vain."""

UNKNOWN_AT_ONCE = 12
"""A call of which nothing is known holds at least this part of what is left, whatever its bound says: a provider may bill input
that the request does not show, and a wrong bound must not let a hundred calls through before the first one has settled."""


def decide(
    standings: tuple[Standing, ...], kind: KindStanding, size: Size, *, now_ms: int, patient: bool = True
) -> Decision:
    """Whether a call of this size may leave now, and what each budget holds for it.

    Every enforced scope must have room. `patient` is whether the call can still wait: an impatient one asks for the last time,
    pays no heed to those before it, and is refused as `held` where others' holds are in the way.
    """
    verdicts = [_verdict(standing, kind, size, now_ms) for standing in standings]
    enforced = [verdict for verdict in verdicts if verdict.standing.scope.enforced]
    final = [v.refusal for v in enforced if v.refusal is not None and v.refusal.kind is not RefusalKind.HELD]
    if final:
        return who_refuses(final)
    blocked = [v for v in enforced if v.refusal is not None or (patient and v.standing.ahead)]
    if not blocked:
        holds = tuple((verdict.standing.scope, verdict.hold_nanos) for verdict in verdicts)
        would = [verdict.refusal for verdict in verdicts if verdict.refusal is not None]
        return Admit(holds, would_refuse=who_refuses(would) if would else None)
    named = who_refuses([v.refusal or _refuse(RefusalKind.HELD, v.standing, v.hold_nanos, now_ms) for v in blocked])
    if not patient:
        return named
    shortest, *also = sorted((verdict.standing.scope for verdict in blocked), key=lambda scope: scope.wait_ms)
    return Wait(shortest, shortest.wait_ms, named, tuple(also))


def who_refuses(refusals: Iterable[Refuse]) -> Refuse:
    """Of refusals in file order the one that lasts longest, counting the others.

    First a model rule, then what has no bound, then what is spent (latest reset, never is latest), then what others hold.
    Raises ValueError for none.
    """
    every = tuple(refusals)
    first = min(every, key=_lasts)
    return replace(first, others=len(every) - 1 + sum(refuse.others for refuse in every))


def _lasts(refuse: Refuse) -> tuple[int, bool, int]:
    return _KINDS_BY_DURATION.index(refuse.kind), refuse.resets_ms is not None, -(refuse.resets_ms or 0)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One budget's answer: what it would hold, and why the call may not leave, if it may not."""

    standing: Standing
    hold_nanos: int
    refusal: Refuse | None = None


def _verdict(standing: Standing, kind: KindStanding, size: Size, now_ms: int) -> _Verdict:
    if standing.scope.hold is Hold.CEILING:
        return _by_ceiling(standing, size, now_ms)
    return _by_expectation(standing, kind, size, now_ms)


def _by_ceiling(standing: Standing, size: Size, now_ms: int) -> _Verdict:
    """Room for the most that the call can cost, or none."""
    if size.ceiling_nanos is None:
        return _Verdict(standing, _likely(size), _refuse(RefusalKind.UNBOUNDED, standing, None, now_ms))
    return _Verdict(standing, size.ceiling_nanos, _in_the_way(standing, size.ceiling_nanos, size.ceiling_nanos, now_ms))


def _by_expectation(standing: Standing, kind: KindStanding, size: Size, now_ms: int) -> _Verdict:
    """Room for what the call is expected to cost, beside what the calls in flight may still cost.

    With nothing else held the hold is cut down to what is left, so that one call always goes while a usual one still fits; what
    is usual, only its own kind can say.
    """
    usual = 1 if size.usual_nanos is None else size.usual_nanos
    hold = wanted(standing, kind, size)
    if standing.held_nanos == 0:
        hold = min(hold, max(usual, standing.scope.limit_nanos - standing.settled_nanos))
    refusal = _in_the_way(standing, hold, usual, now_ms)
    if refusal is not None and not standing.scope.enforced:
        hold = _likely(size)
    return _Verdict(standing, hold, refusal)


def _likely(size: Size) -> int:
    """What a call is booked with where its hold cannot be what keeps it back."""
    return size.learned_nanos if size.learned_nanos is not None else size.guess_nanos or 0


def wanted(standing: Standing, kind: KindStanding, size: Size) -> int:
    """What a call would hold under `expected` beside the calls in flight, in nano-dollars, whether there is room or not.

    Nothing learned: its guessed bound, and at least a share of what is left. Ample room for the bounds of all: what calls of
    its kind cost on average. Else so much that all holds together cover the mean of all calls in flight and one SURPRISE, or
    their `_risk` if that is more. In slow start the kind counts as unknown.
    """
    limit = standing.scope.limit_nanos
    bound = size.guess_nanos if size.guess_nanos is not None else limit
    unproven = max(bound, size.largest_nanos or 0, (limit - standing.settled_nanos) // UNKNOWN_AT_ONCE)
    if size.learned_nanos is None:
        return unproven
    if _ample(standing, size):
        return size.learned_nanos
    seen = max(1, size.seen, kind.settled)
    same = min(kind.open_calls, standing.open_calls)
    if same + 1 > max(1, ceil(PROVEN_SHARE * seen)):
        return unproven
    strangers = standing.held_nanos * (standing.open_calls - same) // max(1, standing.open_calls)
    mean = size.learned_nanos
    surprise = mean + SURPRISE * max(0, (size.largest_nanos or 0) - mean)
    needed = max(_risk(mean, size.spread_nanos, same + 1, seen), same * mean + min(unproven, surprise))
    return max(mean, strangers + needed - standing.held_nanos)


def _risk(mean: int, spread: int, calls: int, seen: int) -> int:
    """Mean plus deviations of what `calls` calls cost together, after `seen` samples; rounded up.

    The variance of a sum of `calls` whose mean is known from `seen` samples is spread² (calls + calls²/seen). One spread of the
    mean's own size is added for what so few samples cannot have shown; it fades with their number.
    """
    variance = (DEVIATIONS * spread) ** 2 * seen + mean**2
    return calls * mean + isqrt(variance * (calls * seen + calls**2)) // seen + 1 if variance else calls * mean


def _ample(standing: Standing, size: Size) -> bool:
    """Whether even the bounds of all in flight leave room for this call's bound, and nothing seen disproves that bound."""
    bound = size.ceiling_nanos
    if bound is None or (size.largest_nanos or 0) > bound:
        return False
    others = max(standing.ceiling_nanos, standing.held_nanos)
    return standing.settled_nanos + others + bound <= standing.scope.limit_nanos


def _in_the_way(standing: Standing, hold: int, least: int, now_ms: int) -> Refuse | None:
    """None where `hold` fits; `spent` where not even `least` would fit with all other calls gone; else `held`."""
    limit, settled = standing.scope.limit_nanos, standing.settled_nanos
    if settled + least > limit:
        return _refuse(RefusalKind.SPENT, standing, least, now_ms)
    if settled + standing.held_nanos + hold > limit:
        return _refuse(RefusalKind.HELD, standing, hold, now_ms)
    return None


_REASONS = {
    RefusalKind.SPENT: "the budget is spent",
    RefusalKind.HELD: "the rest of the budget is held for calls that are still running",
    RefusalKind.UNBOUNDED: "nothing bounds what this call can cost",
}


def _refuse(kind: RefusalKind, standing: Standing, hold: int | None, now_ms: int) -> Refuse:
    scope = standing.scope
    return Refuse(
        kind,
        scope.budget,
        _REASONS[kind],
        value=scope.value,
        settled_nanos=standing.settled_nanos,
        held_nanos=standing.held_nanos,
        hold_nanos=hold,
        limit_nanos=scope.limit_nanos,
        resets_ms=scope.ends_ms if scope.rolling_ms is None else now_ms + scope.rolling_ms,
        bounded=scope.hold is Hold.CEILING,
    )
