"""Exceptions: a budget that allows more for a while, for some. Values, and one compiled for the hot path; no clock, no disk.

An exception begins and ends by the instant of a call's hold. Which allowances it can concern at all is told by those attributes
that an allowance decides (its `per`; teams and groups of its one person, groups of its one machine); whether it is used, by the
call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from spendgate.roster import Values
from spendgate.selector import EVERY, Chosen, Facts, Selector
from spendgate.standing import Credit, Scope

_WORDS_LENGTH = 16
_DECIDED_BY = {"person": ("team", "group"), "machine": ("machine_group",)}


class BudgetException(Values):
    """One exception of the file. Instants in epoch milliseconds, amounts in nano-dollars; one of add and limit is given."""

    budget: str
    """Unique name of the budget: `person/month`."""
    match: Chosen = EVERY
    add_nanos: int | None = None
    limit_nanos: int | None = None
    once: bool = False
    from_ms: int = 0
    until_ms: int
    """The first instant at which it holds no more."""
    reason: str
    approved_by: str

    def holds(self, at_ms: int) -> bool:
        """Whether a call that is held then may use it."""
        return self.from_ms <= at_ms < self.until_ms


class Granted(BudgetException):
    """A grant, as it bears on its budget. It is no part of the file."""

    grant: str
    """Its id."""
    told: str
    """`until Fri 27 Nov 2026 18:00 UTC by pay-lead: release week`."""


@dataclass(frozen=True, slots=True)
class Extra:
    """An exception of one budget, compiled: `decided` are the clauses that an allowance decides, `asked` are left to the call."""

    spec: BudgetException
    decided: Selector
    asked: Selector
    counted: bytes
    """What its tally counts, and since when: part of the tally's words."""
    once_words: str

    @classmethod
    def of(cls, spec: BudgetException, per: Collection[str], counted: bytes) -> Extra:
        """Of a budget that is kept `per` these attributes and counts so."""
        # An allowance per model is its family's; a pattern may be about one spelling alone.
        known = {*per, *(more for each in per for more in _DECIDED_BY.get(each, ()))} - {"model"}
        match = repr(sorted(spec.match.as_data().items())).encode()
        return cls(
            spec,
            Selector(tuple(clause for clause in spec.match.clauses if clause.attribute in known)),
            Selector(tuple(clause for clause in spec.match.clauses if clause.attribute not in known)),
            match + b"%d-%d" % (spec.from_ms, spec.until_ms),
            hashlib.sha256(counted + match).hexdigest()[:_WORDS_LENGTH],
        )

    def concerns(self, own: Facts) -> bool:
        """Whether calls of this allowance can ever fit; `own` are a call's facts, with the allowance's own value of `per`."""
        return not self.decided.clauses or self.decided.lets_off(own)

    def usable(self, own: Facts, at_ms: int) -> bool:
        """Whether this call may use it; `concerns` is given."""
        return self.spec.holds(at_ms) and (not self.asked.clauses or self.asked.lets_off(own))

    def matters(self, starts_ms: int, at_ms: int) -> bool:
        """Whether it holds, or has held in the window that starts then: only there can something have been spent under it."""
        return self.spec.from_ms <= at_ms and self.spec.until_ms > starts_ms

    def credit(self, tally: Scope, usable: bool) -> Credit:
        """What it is to one call."""
        spec = self.spec
        return Credit(
            spec.reason,
            spec.approved_by,
            tally,
            spec.add_nanos or 0,
            spec.limit_nanos,
            spec.once,
            self.once_words,
            usable,
            bool(self.asked.clauses),
            spec.told if isinstance(spec, Granted) else "",
        )
