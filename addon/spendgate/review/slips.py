"""Values that are hardly meant, each by itself: a limit of nothing, two patterns in one text, a factor that makes calls free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from spendgate.money import dollars
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.inclusion import covers
from spendgate.review.reach import FORGEABLE
from spendgate.review.selectors import selectors
from spendgate.selector import Selector, is_glob

_AS_LISTED: Final = 1_000_000
_TINY_MILLIONTHS: Final = 10_000
"""A hundredth of the list price."""
_NEAR: Final = 0.75
"""How alike two words are of which the one is the other, mistyped."""


def slips(policy: Policy, least: tuple[int, int] = (0, 0)) -> Iterator[Doubt]:
    """Each of them. `least`: what input and output of the cheapest model cost, in nano-dollars for a million tokens."""
    yield from _enforced(policy)
    for budget in policy.budgets:
        if budget.limit_nanos == 0 and budget.enforce_action:
            text = f"{budget.name} allows $0: it refuses every call that costs anything"
            yield Doubt(f"budgets.{budget.base_name}", text)
    for rule in policy.models:
        for pattern in rule.deny or rule.allow:
            if "," in pattern:
                text = f"{rule.name}: {pattern!r} is one pattern with a comma in it, and fits nothing; write a list: [a, b]"
                yield Doubt(f"models.{rule.name}", text)
        if claimed := _claimed(rule.excepted):
            text = f"{rule.name} excepts by {claimed} alone, which a client can forge: nobody need come under it"
            yield Doubt(f"models.{rule.name}", text)
    for number, entry in enumerate(policy.adjust, 1):
        where = f"pricing.adjust[{number}]"
        if (claimed := _chosen(entry.match)) and entry.factor_millionths != _AS_LISTED:
            text = f"{where} goes by {claimed}, which a client can forge: whoever claims it has that price"
            yield Doubt("pricing", text)
        factor = entry.factor_millionths
        if factor is not None and 0 < factor < _TINY_MILLIONTHS:
            text = f"{where} takes off more than 99%: its calls cost next to nothing, and no budget stops them"
            yield Doubt("pricing", text)
        for cheap in _cheapest(dict(entry.rates), least):
            yield Doubt("pricing", f"{where}: {cheap}: its calls cost next to nothing, and no budget stops them")
    unknown = policy.unknown_model
    for cheap in _cheapest({"input": unknown.input_nanos, "output": unknown.output_nanos}, least):
        yield Doubt(
            "pricing", f"pricing.unknown_model: {cheap}: a model whose price nobody knows would be the cheapest"
        )
    yield from _one_address(policy)


def _cheapest(rates: Mapping[str, int], least: tuple[int, int]) -> Iterator[str]:
    for word, listed in zip(("input", "output"), least, strict=True):
        if rates.get(word, listed) < listed:
            yield f"{word} of {dollars(rates[word])} is less than any model is listed at ({dollars(listed)} and more)"


def _one_address(policy: Policy) -> Iterator[Doubt]:
    """People with one e-mail address: of what is known by it alone, as usage on a bill, nobody can tell whose it is."""
    first: dict[str, str] = {}
    for person in policy.roster.people:
        name = first.setdefault(person.email.casefold(), person.name) if person.email else person.name
        if name != person.name:
            text = f"{person.name} has the email of {name}: of an owner or usage known by it alone nobody can tell whose it is"
            yield Doubt(f"people.{person.name}", text)


def _enforced(policy: Policy) -> Iterator[Doubt]:
    """Whom `enforce` takes in by what a client claims: whoever claims something else is let go. Not where another one of its
    selectors takes these in, too."""
    for selector in policy.mode.enforce if policy.mode.default == "observe" else ():
        claimed = sorted({clause.attribute for clause in selector.clauses} & FORGEABLE)
        sure = (each for each in policy.mode.enforce if not {clause.attribute for clause in each.clauses} & FORGEABLE)
        if claimed and not any(covers(each, selector) for each in sure):
            names = " and ".join(claimed)
            yield Doubt(
                "mode", f"enforce goes by {names}, which a client can forge: whoever claims another is only recorded"
            )


def mistyped_tools(policy: Policy, known: frozenset[str]) -> Iterator[Doubt]:
    """Tools that are nearly called as one that is known: any word may be a tool, so a mistyped one is about nothing."""
    seen: set[tuple[str, str]] = set()
    for subject, name, _, selector, _ in selectors(policy):
        for text in selector.texts("tool"):
            near = [] if text in known or is_glob(text) else get_close_matches(text, known, n=1, cutoff=_NEAR)
            if near and (name, text) not in seen:
                seen.add((name, text))
                yield Doubt(subject, f"{name}: no tool is known as {text}; did you mean {near[0]}?")


def _chosen(match: Selector) -> str:
    """What a client says of its calls as it likes; which account it is the answer says where it is charged."""
    return " and ".join(sorted({clause.attribute for clause in match.clauses} & FORGEABLE - {"account"}))


def _claimed(excepted: Selector) -> str:
    """What a call must claim, and nothing else, to be excepted."""
    names = {clause.attribute for clause in excepted.clauses}
    return " and ".join(sorted(names)) if names and names <= FORGEABLE else ""
