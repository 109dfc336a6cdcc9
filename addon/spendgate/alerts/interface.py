"""What alerts are made from and what they are. Values only: nano-dollars, epoch milliseconds."""

from __future__ import annotations

from msgspec import Struct

from spendgate.alert_rules import Severity
from spendgate.selector import Facts
from spendgate.standing import Scope


class Charged(Struct, frozen=True):
    """A call that has ended, in the order in which calls end."""

    facts: Facts
    """With the model that answered."""
    booked_ms: int
    """When its hold was granted: the instant by which it belongs to a day, a window, an hour of work."""
    at_ms: int
    """When it was charged, which is when anybody can know."""
    cost_nanos: int
    balances: tuple[tuple[Scope, int], ...] = ()
    """Each budget that it was charged to, its limit as it is now, with what that window has settled since."""
    value_nanos: int = 0
    """Of a call that costs nothing what budgets that count a plan's calls by their list price were charged."""

    @property
    def charge_nanos(self) -> int:
        """What budgets were charged."""
        return self.cost_nanos or self.value_nanos


class Refused(Struct, frozen=True):
    """A call that a budget refuses, before it is told so."""

    facts: Facts
    at_ms: int
    scope: Scope
    """The budget's, whose name the refusal has, its limit as it is now."""
    settled_nanos: int


class Figures(Struct, frozen=True):
    """What was measured, and the mark that it reached; None where a form has no such figure."""

    spent_nanos: int | None = None
    mark_nanos: int | None = None
    calls: int | None = None
    of_calls: int | None = None


class Reached(Struct, frozen=True):
    """A measure at its mark. It is told once for each `window`, until `again_ms`; None: never again."""

    window: str
    since_ms: int
    """From when on the calls behind it were booked."""
    again_ms: int | None
    figures: Figures


class Alert(Struct, frozen=True):
    """One alert."""

    rule: str
    """The rule's name; of a threshold the budget's name and the share, `person/month 80%`."""
    form: str
    """`threshold`, `spike`, `burn`, `share`, `pace` or `spend`."""
    value: str
    """Of the rule's `per`: `alice`; empty where it has none."""
    severity: Severity
    at_ms: int
    window: str
    person: str | None
    """Who hears of it: whose call made it, where the rule is about one person; None where it is about several."""
    team: tuple[str, ...]
    """The team that it is about, and its ancestors."""
    figures: Figures
    text: str
    """One sentence for people, with the figures."""
    command: str
    """Shows the calls behind it."""
    again_ms: int | None = None
    """Until when it is not told again; None: never again."""
