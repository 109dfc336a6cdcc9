"""A call that waits is decided again in the lines that it stood in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gate.world import budget, policy
from tests.replay.virtual import Scripted, again, play, refused_live

from spendgate.gate import waiting
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.window import Unit, Window

ALICE = Selector.of({"person": ["alice"]})
HOUR, DAY = Window(Unit.HOUR), Window(Unit.DAY)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks each millisecond, as a replay looks whenever something changes."""
    monkeypatch.setattr(waiting, "POLL_MS", (1, 1))


def test_who_has_been_kept_by_a_budget_stays_in_its_line(tmp_path: Path) -> None:
    """Alice's second call waits for room among all, and for her first. There is room at 1.0 s: carol's, behind it, has its turn
    at 1.6 s all the same, when alice's gives up, and dave's finds none before its own time is over."""
    script = [
        Scripted(1, "alice", 0.001, 9_000),
        Scripted(2, "bob", 0.001, 9_000),
        Scripted(3, "bob", 0.001, 997),
        Scripted(100, "alice", 0.001, 500),
        Scripted(150, "carol", 0.001, 1_300),
        Scripted(1_200, "dave", 0.001, 500),
    ]
    words = {"hold": Hold.CEILING, "wait_ms": 1_500}
    rules = policy(
        budget(0.12, "all", per=(), window=DAY, **words),
        budget(0.04, "one at once", per=("person",), window=HOUR, match=ALICE, **words),
    )
    play(tmp_path, rules, script)
    live = refused_live(tmp_path)
    assert [(call, rule) for call, (rule, *_) in live.items()] == [("call-00003", "one at once"), ("call-00005", "all")]
    assert again(tmp_path, rules)[1] == live
