"""One past call as the replay runs it: what it may cost, what it cost, and what rates count of it.

What no row says is taken from what became of the call, or is what the gate would guess of one that it knows nothing of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from spendgate.flow import Tokens
from spendgate.ledger.history import Step
from spendgate.replay.books import Balance, Entry
from spendgate.replay.past_terms import PastTerms
from spendgate.standing import UNSIZED, Scope, Size
from spendgate.token_means import guessed
from spendgate.tries import earlier_of

FOR_EVER_MS: Final = 2**62
Sizes = tuple[tuple[int, Size], ...]
"""The sizes that a call was tried by, each with how long after it had asked it still was."""


class Replayed:
    """One call that asks, waits or runs."""

    __slots__ = (
        "booked_ms", "entries", "expected_nanos", "lines", "looks_ms", "place", "priced_nanos", "size", "sizes", "step",
        "terms", "until_ms",
    )  # fmt: skip

    def __init__(self, step: Step, terms: PastTerms, size: Size, sizes: Sizes = ()) -> None:
        """`size`: the last one that it was tried by. `sizes`: every one, where there were several."""
        self.step, self.terms, self.size, self.sizes = step, terms, size, sizes
        self.booked_ms = 0
        # As its row has them, until the candidate's prices are others.
        self.priced_nanos, self.expected_nanos = step.cost_nanos, step.estimate_nanos
        self.entries: list[Entry] = []
        self.place: int | None = None
        self.until_ms: int | None = None
        self.looks_ms = -1
        self.lines: list[Balance] = []

    def waits(self) -> bool:
        """Whether it stands in line."""
        return self.place is not None

    def size_at(self, now_ms: int) -> Size:
        """The size that its next try then was by: where it has just asked its first one, later the one that the gate tried it by
        at this instant or next after it."""
        if not self.waits():
            return self.sizes[0][1]
        after_ms = now_ms - self.step.arrived_ms
        return next((size for upto_ms, size in self.sizes if after_ms <= upto_ms), self.sizes[-1][1])

    def resize(self, by: Callable[[Size], Size]) -> None:
        """Change each of its sizes alike."""
        self.size, self.sizes = by(self.size), tuple([(upto_ms, by(size)) for upto_ms, size in self.sizes])

    @property
    def cost_nanos(self) -> int:
        """What the call cost; of one that was refused then or still runs, what it is expected to."""
        step, ended = self.step, self.step.refused_by is None
        if not self.terms.counts:
            # Beyond its plan a call has cost something, though its row says `subscription`.
            return (step.cost_nanos or 0) if self.terms.on_plan and ended else 0
        if self.priced_nanos is not None and ended:
            return self.priced_nanos
        return self.expected_nanos or 0

    @property
    def charge_nanos(self) -> int:
        """What budgets are charged: of a call on a plan its list price."""
        step, cost = self.step, self.cost_nanos
        if cost or not (self.terms.on_plan and self.terms.drawn):
            return cost
        known = step.value_nanos is not None and step.refused_by is None
        return (step.value_nanos if known else step.estimate_nanos) or 0

    @property
    def rates(self) -> tuple[Scope, ...]:
        """The rates that count it."""
        return () if self.terms.flows is None else self.terms.flows.scopes

    def scopes(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets and rates that it draws on at this instant: the same tuple for as long as they are the same, where no rate
        counts it, so that its balances need not be looked for (`Books.locate`)."""
        found, rates = self.terms.scopes(now_ms), self.rates
        return (*found, *rates) if rates else found

    @property
    def need(self) -> Tokens:
        """What rates expect it to use."""
        if self.terms.flows is None or not self.terms.flows.counts_tokens:
            return Tokens()
        if self.size.tokens is not None:
            return Tokens(self.size.tokens, self.size.cache_reads)
        return self.used or guessed(self.step.text_bytes or 0, None, 1)

    @property
    def used(self) -> Tokens | None:
        """What rates count of it once it has ended; None: what was expected."""
        counted = self.terms.flows is not None and self.terms.flows.counts_tokens and self.step.refused_by is None
        return self.step.used if counted else None

    @property
    def left(self) -> bool:
        """Whether it left: one that was held and never sent is counted by no rate. Of one refused then it is assumed."""
        return self.step.sent_ms is not None or self.step.refused_by is not None


def sized(step: Step, terms: PastTerms) -> tuple[Size, bool]:
    """What was known of its size when it asked, and whether its row says so; else it is made of what its row has."""
    if step.size is None:
        if step.estimate_nanos is None:
            return UNSIZED, True
        estimate = step.estimate_nanos
        return Size(step.ceiling_nanos, estimate, typical_nanos=step.typical_nanos, guess_nanos=estimate), False
    size = Size.of_text(step.size)
    known = _worth(size, step, terms)
    return known, known is size


def sizes_of(step: Step, terms: PastTerms) -> Sizes:
    """Every size that it was tried by; none where it was a single one, or its row is from before they were kept."""
    earlier = earlier_of(step.size) if step.size is not None else ()
    if not earlier or step.size is None:
        return ()
    last = Size.of_text(step.size)
    each = [*((tried.upto_ms, tried.beside(last)) for tried in earlier), (FOR_EVER_MS, last)]
    return tuple([(upto_ms, _worth(size, step, terms)) for upto_ms, size in each])


def _worth(size: Size, step: Step, terms: PastTerms) -> Size:
    """The size itself, but on a plan that no budget counted, where nobody asked what it may cost."""
    if size.ceiling_nanos != 0 or not (terms.on_plan and terms.drawn and step.value_nanos):
        return size
    value = step.value_nanos
    return replace(
        size, ceiling_nanos=value, learned_nanos=value, largest_nanos=value, typical_nanos=value, guess_nanos=value
    )
