"""From a policy's text to the running gate: exceptions, limits by the mean, and subscription traffic at list price."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from gate.test_failure import raising
from gate.world import Time, costing, dollars, end, house, intent, serve, used
from ledger.desk import at
from spendgate.config.policy_file import parse_policy
from spendgate.errors import LedgerUnavailable
from spendgate.gate.interface import Admitted, Collected, Refused
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import EVERY_CALL
from spendgate.policy import Policy
from spendgate.providers.reading import Result
from spendgate.providers.results import response_key

HEAD = 'version: 1\nowner: ops@acme.example\nhelp: "Ask in #ai-budget."\n'
PERSON = "budgets: [{name: person, per: person, limit: $1 per month, wait: 0s}]\n"
NOON = at("2026-12-07T12:00Z")
DAY = 86_400_000


def policy(text: str) -> Policy:
    """A policy from its text."""
    return parse_policy(f"{HEAD}{text}".encode())


def exception(words: str) -> str:
    """An exception for alice in her month."""
    who = "budget: person, match: {person: alice}, reason: release week, approved_by: cto@acme.example"
    return f"{PERSON}exceptions: [{{{who}, {words}}}]\n"


def on_plan(**words):
    """A call of a subscription."""
    made = intent(**words)
    return replace(made, ask=replace(made.ask, billing="subscription"))


def set_clock(time: Time, now_ms: int) -> None:
    """The wall says so from now on."""
    time.wall_ms = now_ms


async def test_a_running_gate_raises_the_limit_and_stops_at_the_instant(tmp_path):
    """What fits only by the exception goes until its last millisecond; then the same session, whose terms the gate remembers, is
    refused with the figures of that moment; in the next month only the limit itself is left."""
    ends = at("2026-12-16T00:00Z")
    async with house(tmp_path, policy(exception('add: $2, until: "2026-12-15"'))) as place:
        set_clock(place.time, ends - 10_000)
        assert [await serve(place.gate, intent(), 0.9, seconds=0) for _ in range(2)] == ["admitted"] * 2
        set_clock(place.time, ends - 100)
        running = intent()
        assert isinstance(await place.gate.hold(running), Admitted)
        set_clock(place.time, ends)
        place.gate.settle(running.call_id, costing(1.3), end())
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert "On this machine $3.10 spent of $3.00" in answer.message
        by = "the exception 'release week', approved by cto@acme.example (as claimed)."
        assert f"The limit: $2.00 of it is what was spent under {by}" in answer.message
        set_clock(place.time, ends + 31 * DAY)
        assert await serve(place.gate, intent(), 0.9, seconds=0) == "admitted"
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert (answer.refuse.limit_nanos, answer.refuse.limit_from) == (dollars(1), "")
    rows = place.rows.calls("state = 'refused'")
    assert "release week" in rows[0]["refused_reason"]
    assert rows[0]["refused_limit_nanos"] == dollars(3)


async def test_remembered_terms_know_when_an_exception_begins_and_ends(tmp_path):
    """The same call is refused just before `from`, goes from then on, and with `until` what was not spent is gone."""
    begins, ends = at("2026-12-10T10:30Z"), at("2026-12-16T17:45Z")
    words = exception('add: $2, from: "2026-12-10T10:30Z", until: "2026-12-16T17:45Z"')
    async with house(tmp_path, policy(words)) as place:
        set_clock(place.time, begins - 10_000)
        assert await serve(place.gate, intent(), 1.0, seconds=0) == "admitted"
        set_clock(place.time, begins - 20)
        assert await serve(place.gate, intent(), 0.9, seconds=0) == "spent"
        set_clock(place.time, begins)
        assert await serve(place.gate, intent(), 0.9, seconds=0) == "admitted"
        set_clock(place.time, ends)
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert (answer.refuse.settled_nanos, answer.refuse.limit_nanos) == (dollars(1.9), dollars(1.9))
        set_clock(place.time, ends - 1_000)
        assert await serve(place.gate, intent(), 0.9, seconds=0) == "admitted"


async def test_an_exception_that_comes_while_calls_wait_lets_them_go(tmp_path):
    """A new policy with an exception takes force in a running gate: what was spent is filled in, and the refused call goes."""
    async with house(tmp_path, policy(PERSON)) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, intent(), 1.0, seconds=0) == "admitted"
        assert await serve(place.gate, intent(), 0.1, seconds=0) == "spent"
        await place.gate.set_policy(policy(exception('add: $2, from: "2026-12-01", until: "2026-12-15"')))
        assert await serve(place.gate, intent(), 0.1, seconds=0) == "admitted"
        await place.gate.set_policy(policy(PERSON))
        assert await serve(place.gate, intent(), 0.1, seconds=0) == "spent"


async def test_a_limit_by_the_mean_is_told_in_its_refusal(tmp_path):
    """$0.70 a day on three days of seven: 4x is $1.20; the refusal says so, and the row keeps it."""
    words = "limit: 4x mean of 7d per day, at_most: $200, wait: 0s"
    async with house(tmp_path, policy(f"budgets: [{{name: runaway, per: person, {words}}}]\n")) as place:
        for back in (3, 2, 1):
            set_clock(place.time, NOON - back * DAY)
            assert await serve(place.gate, intent(), 0.7, seconds=0) == "admitted"
        set_clock(place.time, NOON)
        assert await serve(place.gate, intent(), 1.2, seconds=0) == "admitted"
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert "On this machine $1.20 spent of $1.20" in answer.message
        assert (
            "The limit: 4x mean of 7d, which is $0.30 a day. It resets Tue 8 Dec 2026 00:00 UTC. Ask in #ai-budget."
            in (answer.message)
        )
        spent = await place.gate.spent(intent())
        assert spent is not None and "4x mean of 7d" in spent.message


async def test_a_stream_is_cut_where_the_raised_limit_ends(tmp_path):
    """A running answer passes $1, which an exception has raised by $2, and is ended only beyond $3."""
    words = "hold: expected, cut: true, limit: $1 per month, wait: 0s"
    who = (
        "budget: person, match: {person: alice}, until: 2100-12-31, reason: release week, approved_by: cto@acme.example"
    )
    text = f"budgets: [{{name: person, per: person, {words}}}]\nexceptions: [{{{who}, add: $2}}]\n"
    async with house(tmp_path, policy(text)) as place:
        set_clock(place.time, NOON)
        call = intent()
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        assert place.gate.progress(call.call_id, replace(costing(2.0), final=False)) is None
        cut = place.gate.progress(call.call_id, replace(costing(3.5), final=False))
        assert cut is not None
        place.gate.settle(call.call_id, costing(3.5), end())


async def test_a_background_call_on_a_plan_is_corrected_at_list_price(tmp_path):
    """What its result turns out to be worth counts where `counts: value` says so, and nowhere else."""
    async with house(tmp_path, policy(BOTH)) as place:
        set_clock(place.time, NOON)
        call = on_plan(background=True)
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.settle(call.call_id, replace(used(final=False), response_id="resp_1"), end())
        place.gate.backlog.write_out()
        first = place.rows.calls("state = 'settled'")[0]
        assert first["cost_nanos"] == 0
        assert first["value_nanos"] > 0
        read_back = Result(response_key("resp_1"), replace(costing(0.4), response_id="resp_1"), awaited=True)
        found = Collected(
            NOON + 5_000,
            call.host,
            replace(call.route, billing="subscription"),
            call.ask,
            call.attribution,
            (read_back,),
        )
        place.gate.collect(found)
        place.gate.backlog.write_out()
        value, paid = (standing(place, name) for name in ("value", "paid"))
        assert (value.settled_nanos, paid.settled_nanos) == (dollars(0.4), 0)
        assert check(place.ledger._store.conn) == ()


def standing(place, budget):
    """What the ledger has of alice's budget now."""
    scopes = place.gate._known.of(on_plan() if budget == "value" else intent(), NOON).scopes(NOON)
    with Reader(place.rows.path) as reader:
        found = reader.standings(scopes, NOON)
    return next(each for each in found if each.scope.budget == budget)


async def test_a_handshake_is_not_refused_where_an_exception_is_for_a_model(tmp_path):
    """A spent budget refuses a connection; not one whose calls may yet name the model that has $2 more."""
    who = "budget: person, until: 2100-12-31, reason: release week, approved_by: cto@acme.example, add: $2"
    by_model = f'{PERSON}exceptions: [{{{who}, match: {{model: "gpt-5*"}}}}]\n'
    by_person = f"{PERSON}exceptions: [{{{who}, match: {{person: bob}}}}]\n"
    for text, refused in ((by_model, False), (by_person, True), (PERSON, True)):
        folder = tmp_path / str(len(text))
        folder.mkdir()
        async with house(folder, policy(text)) as place:
            set_clock(place.time, NOON)
            assert await serve(place.gate, intent(), 1.0, seconds=0) == "admitted"
            assert (await place.gate.spent(intent()) is not None) == refused


@pytest.mark.parametrize("readable", [True, False])
async def test_while_the_ledger_fails_the_last_limit_holds(tmp_path, monkeypatch, readable):
    """A budget that its mean or exception leaves room in is not spent in memory either; one that is used up stays so."""
    async with house(tmp_path, policy(exception('add: $2, until: "2100-12-31"'))) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, intent(), 1.5, seconds=0) == "admitted"
        place.gate.backlog.write_out()
        running = await place.gate.hold(intent())
        place.gate.settle(running.call_id, costing(0), end())
        if not readable:
            monkeypatch.setattr(place.ledger, "standings", raising(LedgerUnavailable("the disk is broken")))
        left = await place.gate.failing(intent(), "it is away")
        assert isinstance(left, Admitted)
        place.gate.settle(left.call_id, costing(2), end())
        answer = await place.gate.failing(intent(), "it is away")
        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.limit_nanos) == ("person", dollars(3))


BOTH = """\
budgets:
  - {name: paid, per: person, limit: $9 per month, wait: 0s}
  - {name: value, per: person, limit: $1 per month, counts: value, wait: 0s}
"""


async def test_value_counts_subscription_traffic_at_list_price(tmp_path):
    """Its row costs nothing and has its value; `counts: value` holds, counts and refuses it, the captured budget never sees it;
    metered traffic counts in both."""
    async with house(tmp_path, policy(BOTH)) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, on_plan(), 0.4, seconds=0) == "admitted"
        assert await serve(place.gate, intent(), 0.7, seconds=0) == "admitted"
        answer = await place.gate.hold(on_plan())
        assert isinstance(answer, Refused)
        assert answer.refuse.rule == "value"
        assert answer.refuse.settled_nanos == dollars(1.1)
        rows = place.rows.calls("state = 'settled'")
        assert [(row["cost_nanos"], row["value_nanos"]) for row in rows] == [
            (0, dollars(0.4)), (dollars(0.7), dollars(0.7)),
        ]  # fmt: skip
        personal = replace(on_plan(), ask=replace(intent().ask, billing="personal"))
        assert isinstance(await place.gate.hold(personal), Admitted)


async def test_a_running_call_on_a_plan_holds_value_and_no_money(tmp_path):
    """It holds in the budget that counts value; `spend` and `status` show no money held for it, or at risk."""
    async with house(tmp_path, policy(BOTH)) as place:
        set_clock(place.time, NOON)
        call = on_plan()
        assert isinstance(await place.gate.hold(call), Admitted)
        assert standing(place, "value").held_nanos > 0
        with Reader(place.rows.path) as reader:
            (total,) = reader.spend((), EVERY_CALL, ZoneInfo("UTC"))
            assert (total.calls, total.held_nanos, reader.open_above_holds()) == (1, 0, 0)


async def test_a_new_value_budget_counts_what_plans_used_and_hold(tmp_path):
    """Subscription calls of the window, ended and running, are filled in at list price, also by a gate that still runs the old
    policy; the captured budget gets none of it."""
    async with house(tmp_path, policy(BOTH.splitlines()[0] + "\n" + BOTH.splitlines()[1] + "\n")) as place:
        set_clock(place.time, NOON)
        assert await serve(place.gate, on_plan(), 0.6, seconds=0) == "admitted"
        running = on_plan()
        assert isinstance(await place.gate.hold(running), Admitted)
        await place.gate.set_policy(policy(BOTH))
        place.gate.settle(running.call_id, costing(0.3), end())
        place.gate.backlog.write_out()
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Admitted)
        standings = {
            each.scope.budget: each for each in place.ledger.resize(answer.call_id, place_holds(place, answer), NOON)
        }
        assert standings["value"].settled_nanos == dollars(0.9)
        assert standings["paid"].settled_nanos == 0
        assert check(place.ledger._store.conn) == ()


def place_holds(place, answer):
    """What the call holds now."""
    return place.gate.open_calls[answer.call_id].holds


async def test_an_orphan_on_a_plan_costs_nothing_and_counts_its_value(tmp_path):
    """A gate that dies over a subscription call leaves a row that cost nothing, charged at list price where value counts."""
    async with house(tmp_path, policy(BOTH)) as place:
        set_clock(place.time, NOON)
        call = on_plan()
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.backlog.write_out()
    async with house(tmp_path, policy(BOTH)) as place:
        (row,) = place.rows.calls("state = 'interrupted'")
        assert row["cost_nanos"] == 0
        assert row["value_nanos"] > 0
        assert check(place.ledger._store.conn) == ()
