"""Which rules may be about every call of another one, and whether they are: found without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from spendgate.budget import Budget
from spendgate.model_rules import ModelRule
from spendgate.rates import Rate
from spendgate.review.doubt import Doubt
from spendgate.selector import Selector

_PAIRS_MAX: Final = 200_000
"""So many are compared within a second."""


class Pairs[R: (Budget, ModelRule, Rate)]:
    """The rules that may be about every call of another one, in the order of the file, without comparing each with each.

    A rule with a `match` can be only where its first attribute has all that the other's has: found by one of those texts.
    """

    def __init__(self, rules: Sequence[R]) -> None:
        self._everywhere: list[R] = []
        self._by_text: dict[tuple[str, str], list[R]] = {}
        self._left, self._cut = _PAIRS_MAX, False
        for rule in rules:
            if not rule.match.clauses:
                self._everywhere.append(rule)
                continue
            first = rule.match.clauses[0]
            for text in {text.casefold() for text in first.texts}:
                self._by_text.setdefault((first.attribute, text), []).append(rule)

    def of(self, rule: Budget | ModelRule | Rate) -> Iterator[R]:
        """Those that are worth comparing; none any more after `_PAIRS_MAX`."""
        keys = [(clause.attribute, clause.texts[0].casefold()) for clause in rule.match.clauses]
        found = self._everywhere.copy()
        for key in keys:
            found += self._by_text.get(key, [])
        for other in sorted(found, key=_order) if keys else found:
            if self._left == 0:
                self._cut = True
                return
            self._left -= 1
            yield other

    def left_out(self, key: str) -> Iterator[Doubt]:
        """That not all were compared, where they were not."""
        if self._cut:
            text = (
                f"too many {key} that are about the same calls: of the last ones nobody has looked which change nothing"
            )
            yield Doubt(key, text)


def _order(rule: Budget | ModelRule | Rate) -> int:
    return rule.order


def counts_all_of(other: Budget | ModelRule | Rate, rule: Budget | ModelRule | Rate) -> bool:
    """Whether every call that `rule` is about is one of `other`, too."""
    excepts = other.excepted.clauses and not (rule.excepted.clauses and _wider(rule.excepted, other.excepted))
    return not excepts and _wider(other.match, rule.match)


def _wider(other: Selector, own: Selector) -> bool:
    """Whether every call that fits `own` fits `other`."""
    asked = {name: {text.casefold() for text in texts} for name, texts in own.as_data().items()}
    theirs = other.as_data().items()
    return all(name in asked and asked[name] <= {text.casefold() for text in texts} for name, texts in theirs)
