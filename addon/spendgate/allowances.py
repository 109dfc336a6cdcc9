"""Allowances: for which values of a rule's `per` a call counts, one allowance each."""

from __future__ import annotations

from itertools import product

from spendgate.selector import Facts

EACH_COUNTS = ("group", "machine_group")
"""Attributes of which a call may have several values, each with an allowance of its own."""
ALIAS = "(alias)"
"""The allowance per model of routers, aliases, and calls that do not say their model."""


def values_of(per: tuple[str, ...], facts: Facts, shared_missing: bool = False) -> tuple[str, ...]:
    """The values of `per` that the call has: one allowance each. A call of several groups draws on each group's."""
    if not per:
        return ("",)
    if len(per) == 1:
        return _parts(per[0], facts, shared_missing)
    parts = [_parts(attribute, facts, shared_missing) for attribute in per]
    return tuple("|".join([_escaped(value) for value in values]) for values in product(*parts))


def asked_for(facts: Facts) -> Facts:
    """The facts of a call whose allowance is of a model: what may become several is held in one for all such names, since in
    the allowance of each model that might answer nobody could hold it, and names for routers are easily made up."""
    return Facts({**facts.values, "model": (ALIAS,)}, facts.names, facts.stem)


def _parts(attribute: str, facts: Facts, shared_missing: bool) -> tuple[str, ...]:
    values = facts.values.get(attribute, ())
    if not values:
        return (f"(no {attribute})",) if shared_missing else ()
    if len(values) == 1 or attribute in EACH_COUNTS:
        return values
    # A team's own name comes before its ancestors', a model's family after the name asked for.
    return values[-1:] if attribute == "model" else values[:1]


def _escaped(value: str) -> str:
    """A client chooses its session id: one with a `|` in it must not pass for a combination of two values."""
    return value.replace("%", "%25").replace("|", "%7C") if "|" in value or "%" in value else value
