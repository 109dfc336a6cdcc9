"""Filling: a new budget counts what its window already holds, each call once, whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from ledger.kit import DAY, HOUR, NOW, admit, open_ledger, row, scope, settled, standing_of
from spendgate.ledger import Ledger
from spendgate.ledger.counted import Counted
from spendgate.ledger.queries import Reader
from spendgate.ledger.rows import PastCall
from spendgate.standing import Hold, Scope

OLD, NEW, SLIDING = scope("old"), scope("new", words="w1"), scope("sliding", rolling_ms=HOUR)
BUDGETS = (Counted("old", "", NOW - DAY), Counted("new", "w1", NOW - HOUR), Counted("sliding", "", NOW - HOUR))


def scopes_of(call: PastCall) -> tuple[Scope, ...]:
    """The new policy: the old budget still, and two more for opus."""
    return (OLD, NEW, SLIDING) if "opus" in call.row.kind else (OLD,)


def make(ledger: Ledger, name: str, cost: int | None, at: int = NOW, **changes: object) -> None:
    """A call under the old policy; open when it has no cost."""
    ledger.hold(row(name, **changes), (OLD,), admit(500), at)
    if cost is not None:
        ledger.settle(name, settled(cost, OLD))


def test_new_budgets_count_what_was_spent_and_is_held(ledger: Ledger) -> None:
    """Settled calls as charges, open ones as holds; other kinds, failed calls and older windows not; the old budget unchanged."""
    make(ledger, "a", 100)
    make(ledger, "b", None)
    make(ledger, "haiku", 30, kind="claude-code|haiku")
    make(ledger, "long ago", 7_000, at=NOW - 2 * DAY)
    assert ledger.prepare(BUDGETS, scopes_of, NOW) == 4
    for each in (NEW, SLIDING):
        standing = standing_of(ledger, each)
        assert (standing.settled_nanos, standing.held_nanos, standing.open_calls) == (100, 500, 1)
    assert standing_of(ledger, OLD).settled_nanos == 7_130


def test_a_ceiling_budget_is_filled_with_the_bounds_of_open_calls(ledger: Ledger, reader: Reader) -> None:
    """A call that left on a small hold holds the most it can cost, one without a bound its hold; both leave nothing."""
    ceiling = replace(NEW, hold=Hold.CEILING)
    make(ledger, "bounded", None, ceiling_nanos=2_000)
    make(ledger, "unbounded", None)
    ledger.prepare(BUDGETS[1:2], lambda call: (ceiling,), NOW)
    assert standing_of(ledger, ceiling).held_nanos == standing_of(ledger, ceiling).ceiling_nanos == 2_500
    assert standing_of(ledger, OLD).held_nanos == 1_000
    assert reader.check() == ()
    for name in ("bounded", "unbounded"):
        ledger.settle(name, settled(80, OLD, ceiling))
    after = standing_of(ledger, ceiling)
    assert (after.settled_nanos, after.held_nanos, after.ceiling_nanos, after.open_calls) == (160, 0, 0, 0)


def test_filling_is_repeatable(ledger: Ledger) -> None:
    """A second pass adds only what came since, so it can run again just before the policy is swapped."""
    make(ledger, "a", 100)
    assert ledger.prepare(BUDGETS, scopes_of, NOW) == 2
    assert ledger.prepare(BUDGETS, scopes_of, NOW) == 0
    make(ledger, "b", 50)
    assert ledger.prepare(BUDGETS, scopes_of, NOW) == 2
    assert standing_of(ledger, NEW).settled_nanos == 150


def test_open_call_settles_into_a_budget_its_gate_does_not_know(ledger: Ledger, tmp_path: Path) -> None:
    """Another gate, still on the old policy, ends the call: the new budget is charged all the same, once."""
    other = open_ledger(tmp_path)
    make(other, "b", None)
    ledger.prepare(BUDGETS, scopes_of, NOW)
    other.settle("b", settled(80, OLD))
    other.close()
    assert [standing_of(ledger, each).settled_nanos for each in (OLD, NEW, SLIDING)] == [80, 80, 80]
    assert [standing_of(ledger, each).held_nanos for each in (OLD, NEW, SLIDING)] == [0, 0, 0]


def test_calls_of_another_gate_under_the_old_policy_are_caught_up(ledger: Ledger, tmp_path: Path) -> None:
    """What the other gate admits between this gate's swap and its own is counted when it swaps."""
    other = open_ledger(tmp_path)
    ledger.prepare(BUDGETS, scopes_of, NOW)
    make(other, "late", 60)
    other.prepare(BUDGETS, scopes_of, NOW)
    other.close()
    assert standing_of(ledger, NEW).settled_nanos == 60


def test_budget_that_returns_counts_what_it_missed(ledger: Ledger) -> None:
    """Removed from the policy and put back, a budget has the calls in between too."""
    make(ledger, "a", 100)
    ledger.prepare(BUDGETS, scopes_of, NOW)
    ledger.prepare(BUDGETS[:1], lambda call: (OLD,), NOW)
    make(ledger, "b", 50)
    ledger.prepare(BUDGETS, scopes_of, NOW)
    assert standing_of(ledger, NEW).settled_nanos == 150


def test_a_clock_that_was_ahead_leaves_no_hole(ledger: Ledger, reader: Reader) -> None:
    """A budget that was first filled under a wrong clock, a day ahead, counts what its true window holds."""
    make(ledger, "a", 100)
    ahead = (Counted("sliding", "", NOW + DAY - HOUR),)
    assert ledger.prepare(ahead, scopes_of, NOW + DAY) == 0
    assert ledger.prepare(BUDGETS[2:], scopes_of, NOW) == 1
    assert ledger.prepare(BUDGETS[2:], scopes_of, NOW) == 0
    assert standing_of(ledger, SLIDING).settled_nanos == 100
    assert reader.check() == ()


def test_who_counts_for_a_budget_may_be_read_anew(ledger: Ledger, reader: Reader) -> None:
    """Its words are the same, but the roster has changed: calls that were passed over are counted, the others not twice."""
    make(ledger, "a", 100)
    make(ledger, "b", 50, kind="claude-code|haiku")
    counted = Counted("new", "w1", NOW - HOUR, "one")
    assert ledger.prepare((counted,), scopes_of, NOW) == 1
    assert ledger.prepare((counted,), lambda call: (NEW,), NOW) == 0
    assert ledger.prepare((replace_reader(counted),), lambda call: (NEW,), NOW) == 1
    assert standing_of(ledger, NEW).settled_nanos == 150
    assert reader.check() == ()


def replace_reader(counted: Counted) -> Counted:
    """The same budget under another roster."""
    return Counted(counted.budget, counted.words, counted.since_ms, "two")


def test_many_chunks(ledger: Ledger) -> None:
    """Chunks meet without gap or overlap."""
    for number in range(450):
        make(ledger, str(number), 1)
    assert ledger.prepare(BUDGETS, scopes_of, NOW) == 900
    assert standing_of(ledger, NEW).settled_nanos == 450


def test_learning_reads_settled_calls_with_reported_counts(ledger: Ledger) -> None:
    """`recent` gives the newest ones, oldest first, as they were opened and counted; later ones by row."""
    for number in range(4):
        make(ledger, str(number), 10 * number, text_bytes=number, groups=("senior", "canary"))
    make(ledger, "open", None)
    recent = ledger.recent(3)
    assert [(call.row.id, call.row.text_bytes, call.cost_nanos, call.usage.output_tokens) for call in recent] == [
        ("1", 1, 10, 5), ("2", 2, 20, 5), ("3", 3, 30, 5),
    ]  # fmt: skip
    assert recent[0].row.groups == ("senior", "canary")
    assert [call.row.id for call in ledger.recent(9, after_seq=recent[1].seq)] == ["3"]


def test_what_is_new_looks_no_further_back_than_it_counts(ledger: Ledger) -> None:
    """A balance that counts from this hour on, beside one of a year that has counted all: old calls are not looked at again."""
    for number in range(5):
        make(ledger, f"old {number}", 100, at=NOW - 2 * HOUR)
    make(ledger, "new", 100)
    year = Counted("old", "", NOW - 365 * DAY)
    seen: list[str] = []

    def looked(call: PastCall) -> tuple[Scope, ...]:
        seen.append(call.row.id)
        return (OLD, NEW)

    ledger.prepare((year,), looked, NOW)
    seen.clear()
    assert ledger.prepare((year, Counted("new", "w1", NOW - HOUR)), looked, NOW) == 1
    assert seen == ["new"]
    assert standing_of(ledger, NEW).settled_nanos == 100
