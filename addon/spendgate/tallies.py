"""Tallies: balances that only count, beside the one that limits: what was spent under an exception, what a day has settled.

A scope is followed by its tallies wherever scopes are told.
"""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.exceptions import Extra
from spendgate.standing import Credit, Scope

_Key = tuple[str, str, str, str, int]
"""`Scope.balance`."""


def counting(scope: Scope, name: str) -> Scope:
    """The same allowance as a balance that only counts."""
    return replace(scope, budget=name, limit_nanos=0, wait_ms=0, cut=False, tally=True)


def tally_name(budget: str, extra: Extra) -> str:
    """No budget's own name has a colon."""
    return f"{budget}: {extra.spec.reason}"


def together(each: list[tuple[Scope, ...]]) -> tuple[Scope, ...]:
    """What a call draws on of which several models may have a part: the scopes of each, every balance once.

    An exception is then usable where it is for each of them, since nobody knows how much of the cost will be whose.
    """
    found: dict[_Key, Scope] = {}
    days: dict[_Key, list[Scope]] = {}
    for scopes in each:
        own: _Key = ("", "", "", "", 0)
        for scope in scopes:
            key = scope.balance
            if not scope.tally:
                own, known = key, found.get(key)
                found[key] = scope if known is None else _narrowed(known, scope)
            elif scope.kept_ms and scope not in days.setdefault(own, []):
                days[own].append(scope)
    return tuple([
        part for key, scope in found.items() for part in (scope, *days.get(key, ()), *counted_in(scope.credits))
    ])  # fmt: skip


def _narrowed(one: Scope, other: Scope) -> Scope:
    """One allowance as two models' calls meet it: the same but for what they may use."""
    both = zip(one.credits, other.credits, strict=True)
    return replace(one, credits=tuple([replace(a, usable=a.usable and b.usable) for a, b in both]))


def counted_in(lifted: tuple[Credit, ...]) -> tuple[Scope, ...]:
    """The tally that a call counts in: of one exception, since two must not both be used up by it. One that holds once comes
    last, for it may have its window elsewhere."""
    usable = sorted([credit for credit in lifted if credit.usable], key=lambda credit: credit.once)
    return tuple([credit.tally for credit in usable[:1]])
