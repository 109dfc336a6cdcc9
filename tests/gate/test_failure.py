"""A ledger that is busy, full or broken: nobody is hurt beyond what the policy says, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager

import pytest

from gate.world import Hold, budget, costing, dollars, end, house, intent, policy
from spendgate.admission import RefusalKind
from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.failing import WITHOUT_LEDGER
from spendgate.gate.interface import Admitted, Refused
from spendgate.policy import Mode, OnFailure
from spendgate.rates import Quota, Rate
from spendgate.window import Unit, Window

WRITES = ("hold", "sent", "settle", "resize", "refused", "recorded", "leave")


@contextmanager
def broken(ledger, fault, monkeypatch):
    """A ledger whose writes all fail."""

    with monkeypatch.context() as patch:
        for name in WRITES:
            patch.setattr(ledger, name, raising(fault))
        yield


def raising(fault):
    """A method that fails."""

    def fail(*_, **__):
        raise fault

    return fail


async def written(gate):
    """Until the backlog is empty."""
    while len(gate.backlog):
        await asyncio.sleep(0.02)


def settle(gate, call, cost):
    gate.sent(call.call_id)
    gate.settle(call.call_id, costing(cost), end())


async def test_a_busy_ledger_is_tried_again(tmp_path):
    """While another process holds the file for a moment, a call waits for it without a refusal and without stopping the loop."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        other = sqlite3.connect(place.rows.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asking = asyncio.create_task(place.gate.hold(intent()))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.001)
            turns += 1
        assert not asking.done()
        other.execute("ROLLBACK")
        other.close()

        assert isinstance(await asking, Admitted)


async def test_what_a_busy_ledger_could_not_take_is_written_later_in_order(tmp_path, monkeypatch):
    """`sent` and `settle` of an admitted call wait for the ledger in memory and are written once, in their order."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)
        with broken(place.ledger, LedgerBusy("busy"), monkeypatch):
            settle(place.gate, call, 0.05)
            assert len(place.gate.backlog) == 2
        await written(place.gate)

        assert place.rows.states() == {"settled": 1}
        assert place.rows.spent() == dollars(0.05)


async def test_stopping_writes_what_is_queued(tmp_path, monkeypatch):
    """Nothing is lost at shutdown when the ledger is back by then."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)
        with broken(place.ledger, LedgerBusy("busy"), monkeypatch):
            settle(place.gate, call, 0.05)

        assert await place.gate.stop() == 0
        assert place.rows.states() == {"settled": 1}


async def test_a_full_disk_lets_calls_through_and_charges_them_later(tmp_path, monkeypatch):
    """`on_failure: allow`: calls leave, are flagged and counted, and have their rows once the ledger is back."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        with broken(place.ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            calls = [intent() for _ in range(3)]
            for call in calls:
                assert isinstance(await place.gate.hold(call), Admitted)
                settle(place.gate, call, 0.05)
            assert place.gate.fallback.counts.allowed == 3
        await written(place.gate)

        assert place.rows.spent() == dollars(0.15)
        assert all(WITHOUT_LEDGER in row["flags"] for row in place.rows.calls())


@pytest.mark.parametrize("action", ["allow", "refuse"])
async def test_a_spent_budget_stays_spent(tmp_path, monkeypatch, action):
    """What the balances said before the failure still holds: a spent budget is not opened by it."""
    async with house(tmp_path, policy(budget(0.05), on_failure=OnFailure(action=action))) as place:
        call = intent()
        await place.gate.hold(call)
        settle(place.gate, call, 0.06)
        assert isinstance(await place.gate.hold(intent()), Refused)
        with broken(place.ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            answer = await place.gate.hold(intent())

            assert isinstance(answer, Refused)
            assert answer.refuse.kind is RefusalKind.SPENT
        await written(place.gate)
        assert place.rows.states() == {"settled": 1, "refused": 2}


@pytest.mark.parametrize("rolling", [False, True], ids=["life", "rolling"])
async def test_what_another_gate_spent_stays_spent(tmp_path, monkeypatch, rolling):
    """A gate that was just started has seen no balance: while the ledger cannot be written, it reads them there."""
    window = Window(Unit.ROLLING, 3_600_000) if rolling else None
    rules = policy(budget(0.05, window=window))
    async with house(tmp_path, rules) as place:
        call = intent()
        await place.gate.hold(call)
        settle(place.gate, call, 0.06)
    async with house(tmp_path, rules) as place:
        with broken(place.ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            answer = await place.gate.hold(intent())

            assert isinstance(answer, Refused)
            assert (answer.refuse.kind, answer.refuse.settled_nanos) == (RefusalKind.SPENT, dollars(0.06))
            assert isinstance(await place.gate.hold(intent("bob")), Admitted)


async def test_a_ledger_that_cannot_be_read_either_is_on_failures_to_decide(tmp_path, monkeypatch):
    """Nobody is refused for what is not known."""
    async with house(tmp_path, policy(budget(0.05))) as place:
        fault = LedgerUnavailable("the disk is broken")
        with broken(place.ledger, fault, monkeypatch), monkeypatch.context() as patch:
            patch.setattr(place.ledger, "standings", raising(fault))

            assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_refuse_refuses(tmp_path, monkeypatch):
    """`on_failure: refuse`: no call leaves, the refusal says why, and its row is written later."""
    async with house(tmp_path, policy(budget(1.0), on_failure=OnFailure(action="refuse"))) as place:
        with broken(place.ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            answer = await place.gate.hold(intent())

            assert isinstance(answer, Refused)
            assert answer.refuse.kind is RefusalKind.FAILURE
            assert "the disk is full" in answer.message
        await written(place.gate)
        assert place.rows.calls()[0]["refused_why"] == "failure"


async def test_allow_up_to_is_a_limit_for_each_person(tmp_path, monkeypatch):
    """`allow up to $N per person`: each person's calls leave until their holds reach N, and a refusal proves it."""
    rules = policy(on_failure=OnFailure(action="allow", limit_nanos=dollars(0.1)))
    async with house(tmp_path, rules) as place:
        for _ in range(3):
            call = intent()
            await place.gate.hold(call)
            settle(place.gate, call, 0.04)
        with broken(place.ledger, LedgerUnavailable("the disk is full"), monkeypatch):
            said = [await place.gate.hold(intent(person)) for person in ("alice", "alice", "alice", "bob")]

            assert [isinstance(answer, Admitted) for answer in said] == [True, True, False, True]
            refuse = said[2].refuse
            assert refuse.settled_nanos + refuse.hold_nanos > refuse.limit_nanos


async def test_capture_that_fails_asks_the_same_policy(tmp_path):
    """`failing` decides by `on_failure` and leaves a row, whatever failed before the gate was asked."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        assert isinstance(await place.gate.failing(call, "ValueError"), Admitted)
        settle(place.gate, call, 0.05)
        await written(place.gate)

        assert place.rows.states() == {"settled": 1}


@pytest.mark.parametrize("hold", (Hold.EXPECTED, Hold.CEILING))
async def test_a_price_that_fails_is_charged_as_held(tmp_path, monkeypatch, hold):
    """A fault in pricing never breaks an end: the call is charged what it held, at most its bound, and flagged."""
    async with house(tmp_path, policy(budget(1.0, hold=hold))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        monkeypatch.setattr("spendgate.gate.charging.bill", lambda *_: 1 / 0)
        place.gate.settle(call.call_id, costing(0.05), end())

        (row,) = place.rows.calls()
        assert row["cost_nanos"] == min(row["held_nanos"], row["ceiling_nanos"]) > 0
        assert row["basis"] == "estimated"
        assert "not priced: ZeroDivisionError" in row["flags"]


async def test_rates_hold_while_the_ledger_fails(tmp_path, monkeypatch):
    """Calls let through meanwhile count in memory, running ones in `parallel`; refused ones do not; all is written later."""
    rates = (
        Rate(name="often", requests=Quota(most=3, length_ms=3_600_000), wait_ms=0, order=0),
        Rate(name="many", parallel=2, wait_ms=0, order=1),
    )
    async with house(tmp_path, policy(budget(1_000.0, hold=Hold.CEILING), rates=rates)) as place:
        first = intent()
        assert isinstance(await place.gate.hold(first), Admitted)
        with broken(place.ledger, LedgerUnavailable("disk full"), monkeypatch):
            second = intent()
            assert isinstance(await place.gate.hold(second), Admitted)
            answer = await place.gate.hold(intent())
            assert isinstance(answer, Refused)
            assert answer.refuse.rule == "many"
            settle(place.gate, first, 0.01)
            for _ in range(2):
                settle(place.gate, second, 0.01)
                second = intent()
                assert isinstance(await place.gate.hold(second), Admitted)
            settle(place.gate, second, 0.01)
            answer = await place.gate.hold(intent())
            assert isinstance(answer, Refused)
            assert answer.refuse.rule == "often"
        await written(place.gate)
        assert place.rows.states() == {"settled": 4, "refused": 2}
        with sqlite3.connect(place.rows.path) as conn:
            assert conn.execute("SELECT open_calls FROM balances WHERE budget = 'many'").fetchone() == (0,)
        conn.close()


@pytest.mark.parametrize("action", [OnFailure(action="refuse"), OnFailure(limit_nanos=0)], ids=["refuse", "up to $0"])
async def test_where_the_mode_observes_nobody_is_refused(tmp_path, monkeypatch, action):
    """What `on_failure` would refuse leaves, and its row says so; but where no row could be kept, nobody leaves unmetered."""
    rules = policy(budget(1.0), on_failure=action, mode=Mode(default="observe"))
    async with house(tmp_path, rules) as place:
        with broken(place.ledger, LedgerUnavailable("disk full"), monkeypatch):
            call = intent()
            assert isinstance(await place.gate.hold(call), Admitted)
            monkeypatch.setattr("spendgate.gate.backlog.WRITES_MAX", 0)
            full = await place.gate.hold(intent())
            assert isinstance(full, Refused)
            assert "too long to keep more rows" in full.message
            settle(place.gate, call, 0.25)
        await written(place.gate)
        left, refused = place.rows.calls()
        assert (left["state"], left["would_refuse_by"], left["cost_nanos"]) == ("settled", "on_failure", dollars(0.25))
        assert (refused["state"], refused["refused_by"]) == ("refused", "on_failure")
