"""While something that the ledger was told waits to be written, nobody decides by what the ledger shows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gate.world import MODEL, House, budget, costing, dollars, end, house, intent, policy, replace
from spendgate.errors import LedgerUnavailable
from spendgate.gate.interface import Admitted, Intent, Refused
from spendgate.ledger.check import check
from spendgate.model_rules import ModelRule
from spendgate.policy import OnFailure
from spendgate.standing import Hold

CEILING = 0.035
"""What one call of `intent` costs at most."""


async def opened(place: House, call: Intent | None = None) -> Intent:
    """A call that runs."""
    call = call or intent(may_wait=False)
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    return call


async def ends_while_busy(place: House, call: Intent, cost: float) -> None:
    """The call ends while another gate writes, which is over before its end is tried again."""
    with closing(sqlite3.connect(place.rows.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        place.gate.settle(call.call_id, costing(cost), end())
        for _ in range(3):
            await asyncio.sleep(0)
        other.execute("ROLLBACK")
    assert len(place.gate.backlog) == 1


@contextmanager
def failing(place: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A ledger that cannot be written."""

    def fails(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger's disk is full: free some room")

    with monkeypatch.context() as patch:
        patch.setattr(place.ledger._store, "_run", fails)
        yield


async def until(done: Callable[[], bool]) -> None:
    """Soon."""
    for _ in range(2_000):
        if done():
            return
        await asyncio.sleep(0.005)
    raise AssertionError


async def test_no_call_is_refused_for_one_that_has_ended(tmp_path: Path) -> None:
    """Its end was kept back by another gate's write; the file is free again when the next call asks."""
    async with house(tmp_path, policy(budget(0.05, hold=Hold.CEILING, wait_ms=0))) as place:
        await ends_while_busy(place, await opened(place), 0.001)
        assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_no_call_is_admitted_on_money_that_is_gone(tmp_path: Path) -> None:
    """The end that spends the budget was kept back in the same way."""
    async with house(tmp_path, policy(budget(2.03, wait_ms=0))) as place:
        for model in (MODEL, "claude-sonnet-4-5") * 6:
            call = await opened(place, intent(model=model))
            place.gate.settle(call.call_id, replace(costing(0.005), model=model), end())
        await ends_while_busy(place, await opened(place), 2.00)

        refused = await place.gate.hold(intent(model="claude-sonnet-4-5"))

        assert isinstance(refused, Refused)
        assert refused.refuse.settled_nanos > dollars(2.00)


async def test_a_budget_spent_without_the_ledger_is_spent_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of what was let through meanwhile come first."""
    async with house(tmp_path, policy(budget(1.00, hold=Hold.CEILING), on_failure=OnFailure())) as place:
        allowed = 0
        with failing(place, monkeypatch):
            while isinstance(await place.gate.hold(call := intent(may_wait=False)), Admitted):
                place.gate.sent(call.call_id)
                place.gate.settle(call.call_id, costing(0.03), end())
                allowed += 1
        assert allowed == 33, "one more may cost more than is left"

        refused = [await place.gate.hold(intent(may_wait=False)) for _ in range(20)]

        assert all(isinstance(each, Refused) for each in refused)
        await until(lambda: not place.gate.backlog)
        assert place.rows.states() == {"settled": 33, "refused": 21}


async def test_what_ends_during_a_failure_is_spent_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that the ledger let through before it failed count, too."""
    async with house(tmp_path, policy(budget(1.00, hold=Hold.CEILING), on_failure=OnFailure())) as place:
        running = [await opened(place) for _ in range(int(1.00 / CEILING))]
        with failing(place, monkeypatch):
            for call in running:
                place.gate.settle(call.call_id, costing(1.00 / len(running) + 0.001), end())
            assert isinstance(await place.gate.hold(intent(may_wait=False)), Refused)


async def test_open_calls_end_though_rows_of_others_wait_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What left without the ledger needs room that a full disk does not have; ends of calls that it knows have their reserve."""
    async with house(tmp_path, policy(budget(1.00), on_failure=OnFailure())) as place:
        known, write = await opened(place), place.ledger._store.write

        def full(work: object) -> object:
            if spent:
                raise LedgerUnavailable("the ledger's disk is full: free some room")
            return write(work)  # type: ignore[arg-type]

        spent = True
        monkeypatch.setattr(place.ledger._store, "write", full)
        late = await opened(place)
        place.gate.settle(late.call_id, costing(0.02), end())
        place.gate.settle(known.call_id, costing(0.01), end())
        place.gate.backlog.write_out()

        assert place.rows.states() == {"settled": 1}
        spent = False
        await until(lambda: not place.gate.backlog)
        assert place.rows.states() == {"settled": 2}
        assert place.rows.spent() == dollars(0.03)


async def test_who_waits_is_asked_anew_by_another_policy(tmp_path: Path) -> None:
    """It would leave past a budget that never counts it."""
    old = policy(budget(0.05, name="a", hold=Hold.CEILING, wait_ms=5_000))
    new = policy(budget(0.05, name="b", hold=Hold.CEILING, wait_ms=5_000))
    async with house(tmp_path, old) as place:
        first = await opened(place)
        waiter = intent()
        waiting = asyncio.create_task(place.gate.hold(waiter))
        await asyncio.sleep(0.05)
        await place.gate.set_policy(new)
        place.gate.settle(first.call_id, costing(0.01), end())
        assert isinstance(await waiting, Admitted)
        place.gate.sent(waiter.call_id)
        place.gate.settle(waiter.call_id, costing(CEILING), end())

        assert isinstance(await place.gate.hold(intent(may_wait=False)), Refused)
        sums = [(row["budget"], row["settled"]) for row in balances(place)]
        assert ("b", dollars(0.01 + CEILING)) in sums
        with closing(sqlite3.connect(place.rows.path, isolation_level=None)) as conn:
            assert check(conn) == ()


async def test_who_waits_does_not_leave_with_a_model_that_is_denied_meanwhile(tmp_path: Path) -> None:
    """A rule holds for all that has not left."""
    rule = ModelRule(name="no", deny=("claude-opus-*",), order=0)
    limit = budget(0.05, name="a", hold=Hold.CEILING, wait_ms=5_000)
    async with house(tmp_path, policy(limit)) as place:
        first = await opened(place)
        waiting = asyncio.create_task(place.gate.hold(intent()))
        await asyncio.sleep(0.05)
        await place.gate.set_policy(policy(limit, models=(rule,)))
        refused = await waiting

        assert isinstance(refused, Refused)
        assert refused.refuse.rule == "no"
        place.gate.settle(first.call_id, costing(0.01), end())


def balances(place: House) -> list[dict[str, object]]:
    """The budgets' rows as they are on file."""
    place.rows.written()
    with closing(sqlite3.connect(place.rows.path)) as conn:
        conn.row_factory = sqlite3.Row
        return [dict(row) for row in conn.execute("SELECT * FROM balances WHERE budget <> ''")]


@pytest.mark.parametrize("names", [(), ("person",), ("person", "another")], ids=["no budget", "as before", "one more"])
async def test_a_policy_takes_force_while_an_end_is_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """The end is written first, and the windows count it; the gate once waited for its own transaction then, for good."""
    in_thread = asyncio.to_thread
    async with house(tmp_path, policy(*[budget(1.0, name) for name in names[:1]])) as place:
        call = await opened(place)

        async def ends(*work: Any) -> None:
            await in_thread(*work)
            place.gate.settle(call.call_id, costing(0.01), end())

        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "to_thread", ends)
            await place.gate.set_policy(policy(*[budget(1.0, name) for name in names], help="another"))
        with closing(sqlite3.connect(place.rows.path)) as conn:
            assert check(conn) == ()
            sums = dict(conn.execute("SELECT budget, settled FROM balances WHERE budget <> ''").fetchall())
    assert sums == dict.fromkeys(names, dollars(0.01))
