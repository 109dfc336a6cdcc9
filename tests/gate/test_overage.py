"""A seat that is past its plan: its calls cost money from the answer on that says so."""

from __future__ import annotations

from pathlib import Path

from gate.world import House, budget, end, house, intent, policy, replace
from spendgate.gate.interface import Admitted, Intent, Refused
from spendgate.gate.overage import KEPT_MAX, WINDOW_MS, Overage
from spendgate.providers.reading import Reading


def seat(account: str = "org", **ask: object) -> Intent:
    """A turn of a flat plan."""
    call = intent(text_bytes=4_000, account=account, **ask)
    return replace(call, route=replace(call.route, billing="subscription", provider="claude-ai", prices="anthropic"))


def said(overage: bool | None) -> Reading:
    """An answer without counts that says this of the plan."""
    return Reading(output_bytes=300, ended=True, overage=overage)


async def turn(place: House, call: Intent, overage: bool | None) -> dict[str, object]:
    """One turn, whose row it gives."""
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, said(overage), replace(end(), ended_ms=place.time.now_ms()))
    return next(row for row in place.rows.calls() if row["id"] == call.call_id)


async def test_what_is_beyond_a_plan_is_charged(tmp_path: Path) -> None:
    """The first answer that says so is charged and flagged, those after it are held as `overage`, until one says it is over."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        before = await turn(place, seat(), None)
        first = await turn(place, seat(), True)
        later = await turn(place, seat(), True)
        another = await turn(place, seat("other"), None)
        last = await turn(place, seat(), False)
        after = await turn(place, seat(), None)
    cost = 1_000 * 5_000 + 100 * 25_000
    rows = (before, first, later, another, last, after)
    assert [row["cost_nanos"] for row in rows] == [0, cost, cost, 0, cost, 0]
    assert [row["value_nanos"] for row in rows] == [cost] * 6
    words = ["subscription", "subscription", "overage", "subscription", "overage", "subscription"]
    assert [row["billing"] for row in rows] == words
    assert ["beyond the plan" in str(row["flags"]) for row in rows] == [False, True, False, False, False, False]
    assert {row["basis"] for row in rows} == {"estimated"}


async def test_an_error_beyond_a_plan_costs_nothing(tmp_path: Path) -> None:
    """Its head may say so, too: the account is known as past its plan, and the row is no charge."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = seat()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(
            call.call_id,
            Reading(free=True, final=True, overage=True),
            replace(end(status=429), ended_ms=place.time.now_ms()),
        )
        row = place.rows.calls()[0]
        later = await turn(place, seat(), None)
    assert (row["cost_nanos"], "beyond the plan" in str(row["flags"])) == (0, False)
    assert later["billing"] == "overage"


async def test_a_spent_budget_stops_what_is_beyond_a_plan(tmp_path: Path) -> None:
    """And nothing that the plan includes."""
    async with house(tmp_path, policy(budget(0.005))) as place:
        await turn(place, seat(), True)
        refused = await place.gate.hold(seat())
        within = await place.gate.hold(seat("other"))
    assert isinstance(refused, Refused)
    assert isinstance(within, Admitted)


def test_a_plan_that_begins_anew_is_a_plan_again() -> None:
    """At the instant that the provider named, else after the shorter window: a refused account gets no answer that says so."""
    day_ms = 86_400_000
    for until_ms, lasts_ms in ((90_000, 80_000), (None, WINDOW_MS), (5_000, WINDOW_MS), (9 * day_ms, WINDOW_MS)):
        overage = Overage()
        overage.saw(seat(), replace(said(True), overage_until_ms=until_ms), 10_000)
        billed = [overage.known(seat(), 10_000 + after_ms).route.billing for after_ms in (1, lasts_ms - 1, lasts_ms)]
        assert billed == ["overage", "overage", "subscription"], until_ms


async def test_a_refused_seat_is_let_through_when_its_plan_begins_anew(tmp_path: Path) -> None:
    """A spent budget stops it for no longer than it is past its plan."""
    async with house(tmp_path, policy(budget(0.005))) as place:
        await turn(place, seat(), True)
        before = await place.gate.hold(seat())
        place.time.wall_ms += WINDOW_MS
        after = await place.gate.hold(seat())
    assert isinstance(before, Refused)
    assert isinstance(after, Admitted)


def test_memory_is_bounded() -> None:
    """A client may name any account."""
    overage = Overage()
    for number in range(KEPT_MAX + 1):
        overage.saw(seat(f"org{number}"), said(True), 1)
    assert len(overage._past) == KEPT_MAX
    assert overage.known(seat("org0"), 2).route.billing == "subscription"
    assert overage.known(seat(f"org{KEPT_MAX}"), 2).route.billing == "overage"
