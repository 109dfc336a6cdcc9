"""The promises about money again, under thirty budgets that all fit, and for five hundred people at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

import crowded
from crowded import Limited, agree
from gate.world import House, costing, dollars, end, house, intent, prove, replace, serve
from spendgate.attribution import Attribution, Evidence
from spendgate.gate.interface import Admitted, Intent, Refused
from spendgate.ledger.queries import Reader
from spendgate.standing import Hold


def call(number: int, **ask: Any) -> Intent:
    """A call of one of the five hundred, in a session of its own."""
    who = Attribution(
        person=f"p{number % crowded.PEOPLE}", team=f"t{number % crowded.TEAMS}", teams=(f"t{number % crowded.TEAMS}",),
        machine="lt-1", tool="claude-code", session=f"s{number % crowded.PEOPLE}", person_evidence=Evidence.SOCKET_OWNER,
    )  # fmt: skip
    return replace(intent(**ask), attribution=who)


def proved(place: House) -> int:
    """Every refusal's figures show why; how many there are."""
    rows = place.rows.calls("state = 'refused'")
    for row in rows:
        prove(row)
    return len(rows)


def consistent(place: House) -> dict[str, tuple[int, int]]:
    """Every balance is the sum over its calls; of each budget what is settled and held."""
    place.rows.written()
    with Reader(place.rows.path) as reader:
        assert reader.check() == ()
    return agree(place.rows.path)


@pytest.mark.parametrize(
    "of",
    [
        *("person", "everyone", "session"),
        *(pytest.param(of, marks=pytest.mark.heavy) for of in ("team", "tool", "person and tool")),
    ],
)
async def test_under_ceiling_none_of_thirty_budgets_is_passed(tmp_path, of):
    """A thousand concurrent calls of 500 people with a bound of $0.10, against $5 for all or $0.10 each: exactly what fits
    leaves, not a nano-dollar over in any window; while calls run, each of the thirty counters is its settled and open holds."""
    per = {each.name: each.per for each in crowded.AMPLE}[of]
    values = {"": 1, "tool": 1, "team": crowded.TEAMS}.get(per, crowded.PEOPLE)
    limit = "$5" if values == 1 else "$0.10"
    rules = crowded.rules(Limited(f"narrow {of}", per, limit, "ceiling", "60s"))
    async with house(tmp_path, rules) as place:
        calls = [call(number, text_bytes=15_000, output_max=1_000) for number in range(1_000)]
        running = [asyncio.create_task(serve(place.gate, each, 0.1, seconds=1)) for each in calls]
        await asyncio.sleep(0.5)
        meanwhile = consistent(place)
        said = Counter(await asyncio.gather(*running))

        fits = 50 if values == 1 else values
        assert said == {"admitted": fits, "spent": 1_000 - fits}
        assert proved(place) == 1_000 - fits
        afterwards = consistent(place)
        assert set(afterwards.values()) == {(fits * dollars(0.1), 0)}
        # Of the thirty not one lags behind the others while calls run.
        narrow = {counter for budget, counter in meanwhile.items() if budget.startswith("narrow")}
        assert len(narrow) == 1
        assert 0 < sum(next(iter(narrow))) <= fits * dollars(0.1)


async def test_equal_calls_use_a_budget_exactly_among_thirty(tmp_path):
    """A hundred concurrent calls of $0.05, cold, of as many people, against $1 for all: twenty are admitted, nothing is over."""
    rules = crowded.rules(Limited("narrow", limit="$1", wait="60s"))
    async with house(tmp_path, rules) as place:
        said = Counter(await asyncio.gather(*(serve(place.gate, call(number), 0.05) for number in range(100))))

        assert said == {"admitted": 20, "spent": 80}
        assert proved(place) == 80
        assert set(consistent(place).values()) == {(dollars(1), 0)}


async def test_a_call_without_a_bound_is_refused_by_one_ceiling_among_thirty(tmp_path):
    """And admitted where no budget holds by the ceiling."""
    async with house(tmp_path, crowded.rules(Limited("firm", "person", hold="ceiling"))) as place:
        answer = await place.gate.hold(call(1, searches_max=None))
        assert isinstance(answer, Refused)
        assert answer.refuse.kind.value == "unbounded"
        assert answer.refuse.rule.startswith("firm/")
        assert not crowded.booked(place.rows.path)
    async with house(tmp_path, crowded.rules()) as place:
        assert isinstance(await place.gate.hold(call(1, searches_max=None)), Admitted)


async def test_who_waits_for_others_holds_is_refused_with_what_they_hold(tmp_path):
    """`held`: the figures of that moment are those of the budget that is named, and others of the thirty did not refuse."""
    rules = crowded.rules(Limited("firm", "person", "$1", "ceiling", "50ms"))
    async with house(tmp_path, rules) as place:
        for _ in range(2):
            assert isinstance(await place.gate.hold(call(1, text_bytes=80_000, output_max=100)), Admitted)
        answer = await place.gate.hold(call(1, text_bytes=80_000, output_max=10_000))

        assert isinstance(answer, Refused)
        (row,) = place.rows.calls("state = 'refused'")
        assert row["refused_why"] == "held"
        assert row["refused_by"].startswith("firm/")
        assert (row["refused_settled_nanos"], row["refused_held_nanos"]) == (0, 2 * (80_000 * 5_000 + 100 * 25_000))
        assert proved(place) == 1
        # Nobody else's purse is touched by it.
        assert isinstance(await place.gate.hold(call(2, text_bytes=80_000, output_max=10_000)), Admitted)
        consistent(place)


async def test_calls_end_in_every_way_among_thirty(tmp_path):
    """Settled, failed before it left, broken off, ended twice: each budget is charged once, by the same sum."""
    async with house(tmp_path, crowded.rules(Limited("firm", "team", "$10,000", "ceiling"))) as place:
        spent = 0
        for number in range(200):
            each = call(number)
            assert isinstance(await place.gate.hold(each), Admitted)
            if number % 4 == 1:
                place.gate.settle(
                    each.call_id, replace(costing(0), final=False), end(sent=False, complete=False, status=None)
                )
                continue
            place.gate.sent(each.call_id)
            cost = 0.01 * (1 + number % 7)
            ending = end(complete=number % 4 != 2, error="client" if number % 4 == 2 else None)
            place.gate.settle(each.call_id, costing(cost), ending)
            # A second end changes nothing.
            place.gate.settle(each.call_id, costing(9), end())
            spent += dollars(cost)
        assert (
            place.rows.states() == {"settled": 100, "failed": 50, "interrupted": 50}
            or sum(place.rows.states().values()) == 200
        )
        assert place.rows.spent() == spent
        assert set(consistent(place).values()) == {(spent, 0)}


def test_the_thirty_are_what_they_are_said_to_be():
    """Five kinds of window, both kinds of hold where asked for, five hundred people; and one call draws on all thirty."""
    policy = crowded.rules(Limited("firm", "person", "$1", "ceiling"))
    assert len({each.window for each in policy.budgets}) == 5
    assert {each.hold for each in policy.budgets} == {Hold.EXPECTED, Hold.CEILING}
    assert len(policy.roster.people) == 500
    assert len({(scope.budget, scope.value) for scope in crowded.drawn(policy, 7, 1_790_000_000_000)}) == 30
