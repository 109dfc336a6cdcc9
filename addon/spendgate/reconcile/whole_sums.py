"""Groups of one sum of several days: both sides of all its days at once, with nothing told apart.

Neither a quantity nor a price follows from one sum, so that what is left of it has no cause: only what rows of the ledger say of
themselves (a plan's, a gateway's, twice the same response) and the last digits of its amounts are taken out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.accounts import POOL, Account
from spendgate.reconcile.bills import Bill, BilledDay
from spendgate.reconcile.folding import Whole
from spendgate.reconcile.groups import Group, GroupKey, half_unit
from spendgate.reconcile.naming import LIST
from spendgate.reconcile.periods import OneSum, is_search_sum, is_sum
from spendgate.reconcile.vectors import SEARCHES
from spendgate.statement import Line

SUM: Final = "sum"
"""As the match of a group: of several days, of which its key has the first."""


def without_sums(
    bill: Bill, wholes: Mapping[tuple[str, int], Whole]
) -> tuple[tuple[BilledDay, ...], dict[GroupKey, Group]]:
    """The days without the sums that are compared at once, and the groups of these.

    Apart, they do not make the grain of what is told by day any coarser.
    """
    sums = {(one.period.provider, one.period.from_ms): one for one in bill.sums}
    days, groups = [], {}
    for day in bill.days:
        at = day.provider, day.day_ms
        if at in sums:
            one, whole = sums[at], wholes.get(at) or Whole()
            searched = any(part.counts[SEARCHES] for part in whole.kinds.values())
            group = _group(one, [line for line in day.lines if _is_part(line, one, searched=searched)], whole)
            groups[group.key] = group
            rest, before = (
                tuple(line for line in lines if not _is_part(line, one, searched=searched))
                for lines in (day.lines, day.before)
            )
            days.append(replace(day, lines=rest, before=before))
        else:
            days.append(day)
    return tuple(days), groups


def _is_part(line: Line, one: OneSum, *, searched: bool) -> bool:
    """Whether it is compared with the calls of these days; `searched`: these have web searches, whose cost is in theirs."""
    return is_sum(line) or (searched and is_search_sum(line) and line.ends_ms == one.period.until_ms)


def _group(one: OneSum, lines: list[Line], whole: Whole) -> Group:
    key = GroupKey(one.period.from_ms, one.period.provider, POOL, "", SUM)
    group = Group(key, Account(POOL))
    finest = min(half_unit(line.amount) for line in lines)
    for line in lines:
        group.take_line(line, True, finest)
    for kind, part in whole.kinds.items():
        group.take_part(LIST, "", kind, part)
    return group
