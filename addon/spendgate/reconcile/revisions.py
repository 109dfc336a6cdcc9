"""What a bill says now and did not say before: whether that is a part of the gap of its own, and what shows it. Pure."""

from __future__ import annotations

from spendgate.plural import counted
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import ASKED
from spendgate.reconcile.result import Confidence
from spendgate.reconcile.vectors import add, zeros


def nearer_before(group: Group, earlier: Group | None, own_nanos: int) -> bool:
    """Whether what the bill said before is nearer to what was captured, in tokens, then in nano-dollars."""
    before = 0 if earlier is None else earlier.net
    nearer = _tokens_off(group, earlier or Group(group.key, group.account)), abs(before - own_nanos)
    return before != group.net and nearer < (_tokens_off(group, group), abs(group.net - own_nanos))


def changed(day: BilledDay, fewer: int, *, less: bool) -> tuple[str, Confidence]:
    """What shows a revision: a provider's change, or a newer export that was of a part. `fewer`: lines that the newer lacks."""
    told = (
        f"import {day.now_name} has another sum than {day.before_name}, an earlier one, which was nearer to the ledger"
    )
    if fewer > 0:
        lack = counted(fewer, "line")
        told += f": {lack} of the earlier one are not in it; check whether it was downloaded with a filter or in part"
        return told, Confidence.RESIDUAL
    return f"{told}{'; check whether the newer one is of all of the day' if less else ''}", Confidence.EXACT


def _tokens_off(group: Group, billed: Group) -> int:
    """How many tokens a version of the bill has other than the ledger: prices do not blur that. Zero where it does not count."""
    counts = zeros()
    for side in billed.billed.values():
        add(counts, side.counts)
    if not any(counts):
        return 0
    for kinds in group.parts.values():
        for kind, part in kinds.items():
            if kind in ASKED:
                add(counts, [-each for each in part.counts])
    return sum(map(abs, counts))
