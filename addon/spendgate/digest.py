"""The digest of a week: what was spent, by whom and on what, what was refused, what needs somebody's eye. Pure, frozen values.

Amounts are nano-dollars, instants epoch milliseconds. A call belongs to a week by the instant at which its hold was granted; the
weeks are the policy's (`timezone`, `week_starts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct

from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.window import Bounds, Unit, Window, bounds, local_date, zone_of

WEEKS_BEFORE: Final = 8
OUTLIER_TIMES: Final = 3
OUTLIER_MORE_NANOS: Final = 20 * NANOS_PER_DOLLAR
WEEKS_LEAST: Final = 3
TOP: Final = 5
MODELS: Final = 8
SOON_DAYS: Final = 14
STALE_DAYS: Final = 30
TOLD_HOUR: Final = 8
"""On the first day of a week the one before it is told of, at this hour of the file's zone."""
_WEEK: Final = Window(Unit.WEEK)


class Sums(Struct, frozen=True):
    """What calls of one kind add up to. Texts are None where the calls had none."""

    person: str
    team: str | None
    model: str | None
    api_key: str | None = None
    prices: str | None = None
    would_refuse_by: str | None = None
    calls: int = 0
    cost_nanos: int = 0
    estimated_nanos: int = 0
    """The part of the cost that no provider has reported."""


class Stopped(Struct, frozen=True):
    """Calls of one person that one rule refused. `requests` counts one that was asked again once; `held_back_nanos` is what these
    would have held."""

    person: str
    team: str | None
    rule: str
    why: str
    calls: int
    requests: int
    held_back_nanos: int


class Raise(Struct, frozen=True):
    """An exception or a grant that held in the week, or holds now. `used_nanos`: what calls under it have cost so far."""

    kind: str
    budget: str
    whom: str
    add_nanos: int | None
    limit_nanos: int | None
    used_nanos: int
    until_ms: int
    reason: str
    by: str
    ends_soon: bool


class BudgetEnd(Struct, frozen=True):
    """A budget in the window that runs. `gone_on`: the day on which it is used up at the pace so far; None: it lasts."""

    budget: str
    value: str
    window: str
    spent_nanos: int
    limit_nanos: int
    gone_on: date | None
    resets_on: date


class Prices(Struct, frozen=True):
    """The price list in use; `days` is its age, None where it has no date of its own."""

    said: str
    days: int | None

    @property
    def stale(self) -> bool:
        """Whether somebody should look."""
        return self.days is not None and self.days > STALE_DAYS


class Gathered(Struct, frozen=True):
    """All that a digest is made of."""

    sums: tuple[Sums, ...]
    before: tuple[Sums, ...]
    """Of the week before."""
    earlier: tuple[Mapping[str, int], ...]
    """What each person spent in each of the eight weeks before, the latest first."""
    stopped: tuple[Stopped, ...]
    raised: tuple[Raise, ...]
    budgets: tuple[BudgetEnd, ...]
    prices: Prices
    machine: str


class Spender(Struct, frozen=True):
    """One person's week. `before_nanos`: the week before."""

    person: str
    calls: int
    spent_nanos: int
    before_nanos: int


class Outlier(Struct, frozen=True):
    """Somebody whose week is unlike their own. `median_nanos` None: they had not spent anything in the weeks before."""

    person: str
    spent_nanos: int
    median_nanos: int | None
    weeks: int


class ModelShare(Struct, frozen=True):
    """One model's part of what was spent, in tenths of a percent; of the calls, where nothing was."""

    model: str
    calls: int
    spent_nanos: int
    share: int
    before_share: int


class SharedKey(Struct, frozen=True):
    """A key (by its fingerprint) that several people used."""

    api_key: str
    people: tuple[str, ...]
    spent_nanos: int


class Refused(Struct, frozen=True):
    """What one rule refused, over everybody."""

    rule: str
    why: str
    people: int
    calls: int
    requests: int
    held_back_nanos: int


class Digest(Struct, frozen=True):
    """The whole of it."""

    team: str
    """Whose; empty: everybody's."""
    machine: str
    timezone: str
    policy_hash: str
    owner: str
    starts_ms: int
    ends_ms: int
    first_day: date
    last_day: date
    people: int
    calls: int
    spent_nanos: int
    before_nanos: int
    spenders: tuple[Spender, ...]
    outliers: tuple[Outlier, ...]
    models: tuple[ModelShare, ...]
    budgets: tuple[BudgetEnd, ...]
    """Those that do not last, the soonest first."""
    budgets_lasting: int
    raised: tuple[Raise, ...]
    prices: Prices
    guessed: tuple[tuple[str, int, int], ...]
    """Models that no price list has: calls, and what the policy's own price makes of them."""
    estimated_nanos: int
    keys: tuple[SharedKey, ...]
    refused: tuple[Refused, ...]
    would_refuse: tuple[tuple[str, int, int], ...]
    """Rules that only record: calls that they would have refused, and what those cost."""

    @property
    def held_back_nanos(self) -> int:
        """What all refusals have stopped."""
        return sum(each.held_back_nanos for each in self.refused)


# -- when -----------------------------------------------------------------------------------------------------------


def week_of(policy: Policy, at_ms: int) -> Bounds:
    """The policy's week that holds this instant."""
    return bounds(_WEEK, policy.calendar(), at_ms)


def week_before(policy: Policy, week: Bounds) -> Bounds:
    """The one that ends where this one starts."""
    return week_of(policy, week.starts_ms - 1)


def week_to_tell(policy: Policy, now_ms: int) -> Bounds:
    """The latest week of which the digest is due: it has ended, and the first day after it has come to 08:00."""
    running = week_of(policy, now_ms)
    first = local_date(policy.timezone, running.starts_ms)
    due = datetime(first.year, first.month, first.day, TOLD_HOUR, tzinfo=zone_of(policy.timezone))
    ended = week_before(policy, running)
    return ended if now_ms >= int(due.timestamp() * 1000) else week_before(policy, ended)


def gone_on(zone: str, window: Bounds, spent_nanos: int, limit_nanos: int, now_ms: int) -> date | None:
    """The day on which a limit is reached if the rest of its window costs what its first part did; None: it lasts."""
    if spent_nanos <= 0 or limit_nanos < 0:
        return None
    if spent_nanos >= limit_nanos:
        return local_date(zone, now_ms)
    gone_ms = window.starts_ms + max(0, now_ms - window.starts_ms) * limit_nanos // spent_nanos
    return local_date(zone, gone_ms) if window.ends_ms is not None and gone_ms < window.ends_ms else None


def soon(zone: str, until_ms: int, now_ms: int) -> bool:
    """Whether something that ends then is about to."""
    return now_ms < until_ms and local_date(zone, until_ms - 1) <= local_date(zone, now_ms) + timedelta(days=SOON_DAYS)


def of_team(policy: Policy, team: str) -> Callable[[str, str | None], bool]:
    """Whether somebody, with the team that their call had, belongs to this one or to one below it; empty: everybody does."""
    below = {each.name for each in policy.roster.teams if team in each.lineage}
    return lambda person, own: not team or own in below
