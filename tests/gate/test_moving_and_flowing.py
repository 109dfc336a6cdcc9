"""Limits that move beside all else that a call meets: rates, other models that have a part in it, groups of machines."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gate.test_moving_limits import NOON, policy, set_clock
from gate.world import costing, dollars, end, house, intent, serve
from spendgate.fitting import scopes
from spendgate.gate.drawing import Draws
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.check import check
from spendgate.providers.reading import Part, Reading
from spendgate.selector import Facts
from spendgate.usage import Usage

OPUS, HAIKU = "claude-opus-4-5", "claude-haiku-4-5"
BY_MODEL = """\
budgets:
  - {name: person, per: person, limit: $1 per month, wait: 0s}
  - {name: runaway, per: person, limit: 4x mean of 7d per week, at_most: $50, wait: 0s}
exceptions:
  - {budget: person, match: {model: "claude-haiku-*"}, add: $2, until: 2026-12-31, reason: small, approved_by: cto}
  - {budget: person, match: {person: alice}, add: $3, until: 2026-12-31, reason: alice, approved_by: cto}
"""


def faults(folder: Path) -> tuple[str, ...]:
    """Every fault of the ledger against itself: sums against rows."""
    with closing(sqlite3.connect(next(folder.rglob("ledger.db")), isolation_level=None)) as conn:
        return check(conn)


async def test_an_exception_and_a_rate_on_one_call(tmp_path: Path) -> None:
    """The exception lets it spend, the rate counts it; which is in the way is named, and the sums are those of the rows."""
    words = """\
budgets: [{name: person, per: person, limit: $10 per month, wait: 0s}]
rates: [{name: loop, per: person, requests: 3 per hour, parallel: 2, wait: 0s}]
exceptions: [{budget: person, match: {person: alice}, add: $20, until: 2026-12-31, reason: launch, approved_by: cto}]
"""
    async with house(tmp_path, policy(words)) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, intent(), 12, seconds=0) == "admitted"
        running = [intent(), intent()]
        assert [isinstance(await place.gate.hold(each), Admitted) for each in running] == [True, True]
        refused = await place.gate.hold(intent())
        assert isinstance(refused, Refused)
        assert (refused.refuse.rule, refused.refuse.rate) == ("loop", True)
        for each in running:
            place.gate.settle(each.call_id, Reading((), OPUS, final=True), end(sent=False))
        assert await serve(place.gate, intent(), 18, seconds=0) == "admitted"
        spent = await place.gate.hold(intent())
        assert isinstance(spent, Refused)
        assert (spent.refuse.rule, spent.refuse.limit_nanos, spent.refuse.settled_nanos) == (
            "person",
            dollars(30),
            dollars(30),
        )
        assert "by the exception 'launch'" in spent.message
    assert faults(tmp_path) == ()


def test_of_several_models_each_balance_is_drawn_on_once() -> None:
    """An exception for one of the models is not this call's; one for the person is, and its tally stands behind its budget."""
    rules = policy(BY_MODEL)
    facts = Facts.of(person="alice", model=HAIKU)
    alone = Draws(rules, (facts,), True).at(NOON)
    both = Draws(rules, (facts, facts.answered_by(OPUS)), True).at(NOON)
    assert [scope.budget for scope in alone] == ["person", "person: small", "runaway", "runaway: by day"]
    assert [scope.budget for scope in both] == ["person", "person: alice", "runaway", "runaway: by day"]
    assert [(credit.reason, credit.usable) for credit in both[0].credits] == [("small", False), ("alice", True)]
    keys = [(scope.budget, scope.value, scope.window, scope.words) for scope in both]
    assert len(set(keys)) == len(keys)


async def test_a_call_of_several_models_holds_once_and_is_charged_each_part(tmp_path: Path) -> None:
    """What it holds is its hold, whichever models may answer; each part counts under the exceptions that are its own."""
    async with house(tmp_path, policy(BY_MODEL)) as place:
        set_clock(place.time, NOON)
        call = intent(model=HAIKU, also=(OPUS,), loops=True)
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        parts = (
            Part(Usage(input_tokens=1_000, output_tokens=100), HAIKU),
            Part(Usage(input_tokens=1_000, output_tokens=100), OPUS),
        )
        place.gate.settle(call.call_id, Reading(parts, HAIKU, final=True), end())
        place.gate.backlog.write_out()
        [row] = place.rows.calls()
        assert row["state"] == "settled"
        with closing(sqlite3.connect(next(tmp_path.rglob("ledger.db")))) as conn:
            sums = dict(conn.execute("SELECT budget, settled FROM balances WHERE budget LIKE 'person%'").fetchall())
        assert sums["person"] == row["cost_nanos"] == sums["person: small"] + sums["person: alice"]
        assert sums["person: small"] > 0
    assert faults(tmp_path) == ()


@pytest.mark.parametrize(("group", "raised"), [(("ci",), True), (("desk",), False), (("desk", "ci"), True)])
def test_an_exception_for_a_group_of_machines(group: tuple[str, ...], raised: bool) -> None:
    """Each group has an allowance of its own, and the exception is for one of them."""
    rules = policy(
        "machines: {ci: {match: ['ci-*']}, desk: {match: ['d-*']}}\n"
        "budgets: [{name: group, per: machine_group, limit: $1 per day}]\n"
        "exceptions: [{budget: group, match: {machine_group: ci}, add: $2, until: 2026-12-31, reason: r, approved_by: a}]\n"
    )
    found = scopes(rules, Facts.of(machine_group=group), NOON, True)
    by_value = {scope.value: [credit.reason for credit in scope.credits] for scope in found if not scope.tally}
    assert by_value == {each: ["r"] if each == "ci" else [] for each in group}
    assert any(scope.tally for scope in found) is raised


async def test_without_the_ledger_both_go_on(tmp_path: Path) -> None:
    """In memory the limit as it was last found holds, and rates count what was let through."""
    words = """\
budgets: [{name: person, per: person, limit: $10 per month, wait: 0s}]
rates: [{name: loop, per: person, requests: 2 per hour}]
exceptions: [{budget: person, match: {person: alice}, add: $20, until: 2026-12-31, reason: launch, approved_by: cto}]
"""
    async with house(tmp_path, policy(words)) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, intent(), 1.5, seconds=0) == "admitted"
        place.gate.backlog.write_out()
        running = intent()
        assert isinstance(await place.gate.hold(running), Admitted)
        found = [place.gate._without_ledger(place.gate._asked(intent()), "the ledger is away") for _ in range(3)]
        assert [isinstance(each, Admitted) for each in found] == [True, True, False]
        assert isinstance(found[2], Refused)
        assert found[2].refuse.rule == "loop"
        for call in (running.call_id, found[0].call_id, found[1].call_id):
            place.gate.settle(call, costing(9.5), end())
        spent = place.gate._without_ledger(place.gate._asked(intent("alice", text_bytes=2_001)), "the ledger is away")
        assert isinstance(spent, Refused)
        assert (spent.refuse.rule, spent.refuse.limit_nanos) == ("person", dollars(30))
