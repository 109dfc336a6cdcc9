"""What calls of some facts draw on and are counted by: found once, and kept for as long as no window of it ends."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from spendgate.fitting import fitting, scopes_of
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope
from spendgate.tallies import together


class Draws:
    """The budgets that calls of some facts draw on, found once; their scopes for the time in which no window of theirs ends."""

    __slots__ = ("_enforced", "_facts", "_fitting", "_found", "_from_ms", "_on_plan", "_policy", "_rolls", "_until_ms")

    def __init__(self, policy: Policy, facts: tuple[Facts, ...], enforced: bool, *, on_plan: bool = False) -> None:
        """`facts`: the call's, and as of each other model that may have a part in it."""
        self._policy, self._facts, self._enforced, self._on_plan = policy, facts, enforced, on_plan
        self._fitting = tuple([(fitting(policy, each, on_plan=on_plan), each) for each in facts])
        self._found: tuple[Scope, ...] = ()
        self._rolls = False
        self._from_ms = self._until_ms = 0

    def at(self, now_ms: int) -> tuple[Scope, ...]:
        """As `fitting.scopes`."""
        if self._from_ms <= now_ms < self._until_ms:
            return tuple([_slid(scope, now_ms) for scope in self._found]) if self._rolls else self._found
        each = [scopes_of(budgets, facts, now_ms, self._enforced) for budgets, facts in self._fitting]
        found = each[0] if len(each) == 1 else together(each)
        fixed = [scope for scope in found if scope.rolling_ms is None]
        if any(scope.moves or scope.tally for scope in found if scope.rolling_ms is not None):
            return found  # which exceptions and days matter to a window that slides changes with it
        self._found, self._rolls = found, len(fixed) < len(found)
        began_ms, ends_ms = self._policy.steady(now_ms)
        self._from_ms = max([began_ms, *[scope.starts_ms for scope in fixed]])
        self._until_ms = min([ends_ms, *[scope.ends_ms for scope in fixed if scope.ends_ms is not None]])
        return found

    def metered(self) -> Draws:
        """What the same calls draw on once they cost something."""
        return Draws(self._policy, self._facts, self._enforced) if self._on_plan else self


class Flows(NamedTuple):
    """The rates that count a call."""

    scopes: tuple[Scope, ...]
    looking_back: tuple[Scope, ...]
    """Those of `requests` or `tokens`."""
    longest_ms: int
    counts_tokens: bool

    @classmethod
    def of(cls, scopes: tuple[Scope, ...]) -> Flows | None:
        """None: no rate does."""
        limits = [scope.rate for scope in scopes if scope.rate is not None]
        if not limits:
            return None
        looking_back = tuple(scope for scope in scopes if scope.rate is not None and scope.rate.longest_ms)
        return cls(
            scopes,
            looking_back,
            max(each.longest_ms for each in limits),
            any(each.tokens is not None for each in limits),
        )


def _slid(scope: Scope, now_ms: int) -> Scope:
    """The scope at this instant, in the window that it was found in."""
    return scope if scope.rolling_ms is None else replace(scope, starts_ms=now_ms - scope.rolling_ms)
