"""Calls that nothing joins to a key or user of the bill: what is billed under others may be theirs, and counts once.

A call without a key (a login, a signed request) is on the bill under some key all the same. Of one provider, day and model what
such calls cost is taken off what the bill has and no call: from rows of the same person and of nobody known, by their size, those
of keys that no call was made with first. Never from what is proven not to be theirs (an id of the provider's, a key that
`--map` has elsewhere, a product that runs at the provider), nor from rows of another person or model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from spendgate.ledger.compared import Running
from spendgate.reconcile.comparing import Compared
from spendgate.reconcile.folding import Part, Raw
from spendgate.reconcile.groups import GroupKey
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.naming import day_of, model_of
from spendgate.reconcile.vectors import shares

ELSEWHERE: frozenset[Kind] = frozenset({Kind.PLAN, Kind.GATEWAY})
"""Calls that are on no bill under a key of their own: they cover nothing of it."""
At = tuple[int, str, str]
"""Day, provider, model."""
ByPerson = dict[str, int]
"""Nano-dollars; "": of nobody known."""


class Row(Struct):
    """What the bill has and no call, of one account: nano-dollars that may be those of unjoined calls. Set off in place."""

    person: str
    used: bool
    """Whether the ledger has calls of its key or user."""
    nanos: int


def unjoined(found: Compared, open_: Iterable[Running] = ()) -> dict[At, ByPerson]:
    """What calls that nothing joins to the bill have cost, above the lines that have no key either. Open ones count with what
    they hold."""
    groups, names = found.assembled.groups, found.assembled.names
    billed = {
        name: frozenset(key.account for key, group in groups.items() if group.lines and key.provider == name)
        for name in names
    }
    costs: dict[At, dict[str, ByPerson]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for raw, nanos in _costs(found, open_):
        who = names.get(raw.provider)
        if who is not None and not who.is_joined(raw, billed[raw.provider]):
            model = raw.model if raw.provider in found.assembled.by_model else ""
            costs[raw.day_ms, raw.provider, model][who.of_call(raw)][raw.person] += nanos
    left: dict[At, ByPerson] = {}
    for at, accounts in costs.items():
        whole: ByPerson = defaultdict(int)
        for account, by_person in accounts.items():
            rows = [Row(person, used=True, nanos=nanos) for person, nanos in sorted(by_person.items()) if nanos > 0]
            own = groups.get(GroupKey(at[0], at[1], account, at[2]))
            _spread(own.net if own is not None else 0, rows)
            for row in rows:
                whole[row.person] += row.nanos
        left[at] = {person: nanos for person, nanos in whole.items() if nanos}
    return left


def _costs(found: Compared, open_: Iterable[Running]) -> Iterator[tuple[Raw, int]]:
    for raw, kinds in found.captured.sums.items():
        yield raw, cost_of(kinds)
    for call in open_:
        at = day_of(call.left_ms), call.provider, call.api_key, call.person, model_of(call.model)
        yield Raw(*at, ""), call.held_nanos


def cost_of(kinds: Mapping[Kind, Part]) -> int:
    """What calls have cost that a bill can have under a key of their own."""
    return sum(part.cost for kind, part in kinds.items() if kind not in ELSEWHERE)


def set_off(unjoined: ByPerson, rows: Sequence[Row]) -> None:
    """Take what these calls have cost off the rows, exactly; the same rows in the same order give the same."""
    left = dict(sorted(unjoined.items()))
    for used in (False, True):
        for whose in sorted(left):  # a person's own first: nobody's rows are then shared by what is left of all
            left[whose] = _spread(left[whose], [row for row in rows if row.used is used and row.person == whose])
        nobodys = [row for row in rows if row.used is used and not row.person]
        over = _spread(sum(left.values()), nobodys)
        left = dict(zip(left, shares(over, [Fraction(nanos) for nanos in left.values()]), strict=True))
    for used in (False, True):  # calls of nobody known may be anybody's
        left[""] = _spread(left.get("", 0), [row for row in rows if row.used is used])


def _spread(nanos: int, rows: Sequence[Row]) -> int:
    """Take so much off these rows, by their size; what is left of it."""
    taken = min(max(nanos, 0), sum(row.nanos for row in rows))
    for row, share in zip(rows, shares(taken, [Fraction(row.nanos) for row in rows]), strict=True):
        row.nanos -= share
    return nanos - taken
