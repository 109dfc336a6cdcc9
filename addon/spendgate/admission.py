"""Admission: may this call leave, what is held for it, or why not. Values and one pure function.

`decide` sees the standings of every budget that fits the call, as one transaction read them, and answers Admit, Wait or
Refuse with its figures. The ledger writes what it answers in that same transaction (design.md, promise 2).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from spendgate import limits
from spendgate.rates import over
from spendgate.sizing import wanted
from spendgate.standing import Hold, KindStanding, Scope, Size, Standing


class RefusalKind(StrEnum):
    """Why a call did not leave; the words are in the ledger (design.md, promise 4)."""

    SPENT = "spent"
    HELD = "held"
    RULE = "rule"
    UNBOUNDED = "unbounded"
    FAILURE = "failure"


class Admit(Struct, frozen=True):
    """The call may leave; `holds` are (scope, nano-dollars), one for each standing."""

    holds: tuple[tuple[Scope, int], ...]
    would_refuse: Refuse | None = None
    """What would have been refused but for `observe` or `warn`."""


class Wait(Struct, frozen=True):
    """Others' holds, or others of a rate's `parallel`, are in the way; try again when one ends, for at most `wait_ms` in all."""

    scope: Scope
    wait_ms: int
    refusal: Refuse
    """What to answer if it still does not fit then."""
    also: tuple[Scope, ...] = ()
    """The other budgets that block it: the call keeps its place in the line of each."""


class Refuse(Struct, frozen=True):
    """The call may not leave. Figures of that moment, in nano-dollars; None where the kind has none."""

    kind: RefusalKind
    rule: str
    """Name of the budget, model rule or rate."""
    reason: str
    """One clause for a person, without the amounts: `model claude-opus-4-5 is not allowed`."""
    value: str = ""
    settled_nanos: int | None = None
    held_nanos: int | None = None
    """What others' calls kept from it: their holds, by ceiling the most that they can cost."""
    hold_nanos: int | None = None
    limit_nanos: int | None = None
    resets_ms: int | None = None
    retry_after_ms: int | None = None
    others: int = 0
    """How many more rules refused it."""
    suggest: str | None = None
    bounded: bool = False
    """`hold_nanos` is the most that the call can cost, not a guess."""
    limit_from: str = ""
    """Where the limit comes from, for a person; empty for one that the policy has as it is."""
    billed_nanos: int = 0
    """The part of `settled_nanos` that was billed and not captured."""
    rate: bool = False
    """By a rate: `retry_after_ms` is how long until it has room, None where that is as soon as others end."""

    @property
    def passes(self) -> bool:
        """Whether the very same call may leave by waiting alone: by a rate, or while others' holds are in the way."""
        if self.rate or self.kind is RefusalKind.HELD:
            return True
        return self.retry_after_ms is not None and self.kind in (RefusalKind.RULE, RefusalKind.FAILURE)


Decision = Admit | Wait | Refuse

_KINDS_BY_DURATION = (
    RefusalKind.RULE,
    RefusalKind.UNBOUNDED,
    RefusalKind.SPENT,
    RefusalKind.HELD,
    RefusalKind.FAILURE,
)


def decide(
    standings: tuple[Standing, ...], kind: KindStanding, size: Size, *, now_ms: int, patient: bool = True
) -> Decision:
    """Whether a call of this size may leave now, and what each budget holds for it (a rate nothing).

    Every enforced scope must have room. `patient` is whether the call can still wait: an impatient one asks for the last time,
    pays no heed to those before it, and is refused as `held` where others' holds are in the way.
    """
    verdicts: list[_Verdict] = []
    clear = True
    for standing in standings:
        # A tally counts what the budget before it holds.
        tallied = standing.scope.tally
        verdict = _Verdict(standing, verdicts[-1].hold_nanos) if tallied else _verdict(standing, kind, size, now_ms)
        clear = clear and verdict.refusal is None and not standing.ahead
        verdicts.append(verdict)
    if clear:
        return Admit(tuple([(verdict.standing.scope, verdict.hold_nanos) for verdict in verdicts]))
    enforced = [verdict for verdict in verdicts if verdict.standing.scope.enforced]
    final = [v.refusal for v in enforced if v.refusal is not None and not _may_end(v.refusal)]
    if final:
        return who_refuses(final)
    blocked = [v for v in enforced if v.refusal is not None or (patient and v.standing.ahead)]
    if not blocked:
        holds = tuple((verdict.standing.scope, verdict.hold_nanos) for verdict in verdicts)
        would = [verdict.refusal for verdict in verdicts if verdict.refusal is not None]
        return Admit(holds, would_refuse=who_refuses(would) if would else None)
    named = who_refuses([v.refusal or _behind(v, now_ms) for v in blocked])
    if not patient:
        return named
    shortest, *also = sorted((verdict.standing.scope for verdict in blocked), key=lambda scope: scope.wait_ms)
    return Wait(shortest, shortest.wait_ms, named, tuple(also))


def who_refuses(refusals: Iterable[Refuse]) -> Refuse:
    """Of refusals in file order the one that lasts longest, counting the others.

    First a model rule, then what has no bound, then what is spent and rates (latest reset, never is latest), then what others
    hold, or `parallel`. Raises ValueError for none.
    """
    every = tuple(refusals)
    first = min(every, key=_lasts)
    return replace(first, others=len(every) - 1 + sum(refuse.others for refuse in every))


def _lasts(refuse: Refuse) -> tuple[int, bool, int]:
    kind = refuse.kind
    if refuse.rate:
        kind = RefusalKind.HELD if refuse.resets_ms is None else RefusalKind.SPENT
    return _KINDS_BY_DURATION.index(kind), refuse.resets_ms is not None, -(refuse.resets_ms or 0)


def _may_end(refuse: Refuse) -> bool:
    """Whether it is in the way only until some other call ends, so that waiting in line is of use."""
    return refuse.kind is RefusalKind.HELD or (refuse.rate and refuse.resets_ms is None)


class _Verdict(Struct, frozen=True):
    """One budget's answer: what it would hold, and why the call may not leave, if it may not."""

    standing: Standing
    hold_nanos: int
    refusal: Refuse | None = None


def _verdict(standing: Standing, kind: KindStanding, size: Size, now_ms: int) -> _Verdict:
    scope = standing.scope
    if scope.rate is not None:
        return _Verdict(standing, 0, by_rate(standing, now_ms))
    if scope.hold is Hold.CEILING:
        return _by_ceiling(standing, size, now_ms)
    return _by_expectation(standing, kind, size, now_ms)


def by_rate(standing: Standing, now_ms: int) -> Refuse | None:
    """None where the rate has room for one more call."""
    found = over(standing)
    if found is None:
        return None
    resets_ms = None if found.wait_ms is None else now_ms + found.wait_ms
    scope = standing.scope
    return Refuse(
        RefusalKind.RULE, scope.budget, found.reason, value=scope.value, resets_ms=resets_ms,
        retry_after_ms=found.wait_ms, rate=True,
    )  # fmt: skip


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
    hold, held, left = wanted(standing, kind, size), standing.held_nanos, standing.limit_nanos - standing.settled_nanos
    if held == 0:
        hold = min(hold, max(usual, left))
    if usual <= left and held + hold <= left:
        return _Verdict(standing, hold)
    refusal = _in_the_way(standing, hold, usual, now_ms)
    return _Verdict(standing, hold if standing.scope.enforced else _likely(size), refusal)


def _likely(size: Size) -> int:
    """What a call is booked with where its hold cannot be what keeps it back."""
    return size.learned_nanos if size.learned_nanos is not None else size.guess_nanos or 0


def _in_the_way(standing: Standing, hold: int, least: int, now_ms: int) -> Refuse | None:
    """None where `hold` fits; `spent` where not even `least` would fit with all other calls gone; else `held`."""
    limit, settled = standing.limit_nanos, standing.settled_nanos
    if settled + least > limit:
        return _refuse(RefusalKind.SPENT, standing, least, now_ms)
    if settled + _others(standing) + hold > limit:
        return _refuse(RefusalKind.HELD, standing, hold, now_ms)
    return None


def _behind(verdict: _Verdict, now_ms: int) -> Refuse:
    """For a call that would fit, but for those that came before it."""
    scope = verdict.standing.scope
    if scope.rate is None:
        return _refuse(RefusalKind.HELD, verdict.standing, verdict.hold_nanos, now_ms)
    reason = f"{verdict.standing.ahead:,} calls wait for their turn before this one"
    return Refuse(RefusalKind.RULE, scope.budget, reason, value=scope.value, rate=True)


def _others(standing: Standing) -> int:
    """What the calls in flight keep from this one: their holds, and by ceiling their bounds.

    The two differ for calls that left under a policy with another `hold`: they may still cost more than they hold.
    """
    if standing.scope.hold is Hold.CEILING:
        return max(standing.ceiling_nanos, standing.held_nanos)
    return standing.held_nanos


_REASONS = {
    RefusalKind.SPENT: "the budget is spent",
    RefusalKind.HELD: "the rest of the budget is held for calls that are still running",
    RefusalKind.UNBOUNDED: "nothing bounds what this call can cost",
}

BILLED_TOO = ", in part by what was billed and not captured here"
"""What a reason ends with where a budget with `counts: billed` has such a part."""


def _refuse(kind: RefusalKind, standing: Standing, hold: int | None, now_ms: int) -> Refuse:
    scope = standing.scope
    source = limits.told(scope, standing.limit) if standing.limit is not None else ""
    reason = _REASONS[kind] + (BILLED_TOO if standing.billed_nanos > 0 else "")
    return Refuse(
        kind,
        scope.budget,
        f"{reason} (limit: {source})" if source else reason,
        value=scope.value,
        settled_nanos=standing.settled_nanos,
        held_nanos=_others(standing),
        hold_nanos=hold,
        limit_nanos=standing.limit_nanos,
        resets_ms=scope.ends_ms if scope.rolling_ms is None else now_ms + scope.rolling_ms,
        bounded=scope.hold is Hold.CEILING,
        limit_from=source,
        billed_nanos=standing.billed_nanos,
    )
