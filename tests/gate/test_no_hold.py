"""Taking the hold out of the code makes a promise break: each of the three places where money is held is shown to matter.

Every test runs the same calls twice, as the code is and with one hold taken out, and only the first may keep the budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import crowded
from gate.test_crowd import call as crowd_call
from gate.world import House, budget, costing, dollars, end, house, intent, policy
from spendgate import admission
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, Intent
from spendgate.ledger import holds
from spendgate.ledger.holds import Booking
from spendgate.ledger.interface import CallRow
from spendgate.ledger.known import Known
from spendgate.ledger.open_calls import Drawn
from spendgate.policy import Policy

CALLS = 60
COST = 0.05
LIMIT = 1.0
AT_MOST = 1.05


ALONE = (policy(budget(LIMIT, wait_ms=60_000)), lambda _: intent())
CROWDED = (crowded.rules(crowded.Limited("narrow", limit="$1")), crowd_call)
"""The budget by itself, and as one of thirty that all fit, with calls of as many people."""
BOTH = pytest.mark.parametrize("world", [ALONE, CROWDED], ids=["one budget", "thirty"])
World = tuple[Policy, Callable[[int], Intent]]


async def _one(place: House, call: Intent) -> None:
    if isinstance(await place.gate.hold(call), Admitted):
        place.gate.sent(call.call_id)
        await asyncio.sleep(0.05)
        place.gate.settle(call.call_id, costing(COST), end())


async def _spent(folder: Path, world: World) -> int:
    """What so many calls at once cost together, by the provider's counts; nano-dollars."""
    charged: list[int] = []
    rules, called = world
    async with house(folder, rules) as place:
        settle = place.gate.settle

        def counting(call_id: str, *ending: object) -> None:
            charged.append(dollars(COST))
            settle(call_id, *ending)  # type: ignore[arg-type]  # handed on as it came

        place.gate.settle = counting  # type: ignore[method-assign]  # the provider's side of the account
        await asyncio.gather(*(_one(place, called(number)) for number in range(CALLS)))
    return sum(charged)


def _sizes_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission, "wanted", lambda *_: 0)


def _writes_nothing(patch: pytest.MonkeyPatch) -> None:
    opened = holds.open_call

    def unheld(known: Known, row: CallRow, admit: object, drawn: Drawn, booking: Booking) -> None:
        opened(known, row, admission.Admit(()), ((), [], drawn[2]), booking)

    patch.setattr(holds, "open_call", unheld)


def _asks_nobody(patch: pytest.MonkeyPatch) -> None:
    async def admitted(gate: Gate, asked: Intent) -> Admitted:
        return Admitted(asked.call_id, cut=False)

    patch.setattr(Gate, "hold", admitted)


@BOTH
async def test_with_its_holds_the_budget_is_kept(tmp_path: Path, world: World) -> None:
    """As the code is: at most 5% over, and nine tenths used."""
    assert dollars(0.9) <= await _spent(tmp_path, world) <= dollars(AT_MOST)


@BOTH
@pytest.mark.parametrize("without", [_sizes_nothing, _writes_nothing, _asks_nobody])
async def test_without_a_hold_the_budget_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: Callable[[pytest.MonkeyPatch], None], world: World
) -> None:
    """The size of a hold, its rows in the ledger, the question itself: without any one of them the same test fails."""
    without(monkeypatch)
    assert await _spent(tmp_path, world) > dollars(AT_MOST)
