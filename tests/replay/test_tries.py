"""A call that waits is decided again by the sizes that it was tried by, and in the lines that it stood in."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gate.world import budget, policy
from tests.replay.virtual import Scripted, again, play, refused_live

from spendgate.gate import waiting
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.tries import earlier_of
from spendgate.window import Unit, Window

ALICE = Selector.of({"person": ["alice"]})
HOUR, DAY = Window(Unit.HOUR), Window(Unit.DAY)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks each millisecond, as a replay looks whenever something changes."""
    monkeypatch.setattr(waiting, "POLL_MS", (1, 1))


def dear(all_usd: float) -> Policy:
    """Two calls of a person at once; and a day's budget of all, in whose line nobody may wait."""
    return policy(
        budget(0.1, "person", window=HOUR, hold=Hold.CEILING, wait_ms=4_000),
        budget(all_usd, "all", per=(), window=DAY, wait_ms=0),
    )


SURPRISED = [
    *[Scripted(300 * number, f"warm-{number}", 0.02, 137) for number in range(4)],
    Scripted(5_000, "bob", 0.5, 2_000),
    Scripted(5_100, "alice", 0.02, 6_000),
    Scripted(5_200, "alice", 0.02, 6_000),
    Scripted(5_300, "alice", 0.02, 100),
    Scripted(5_350, "dave", 0.02, 6_000),
    Scripted(5_360, "dave", 0.02, 3_500),
    Scripted(5_370, "dave", 0.02, 500),
    Scripted(6_000, "carol", 0.01, 500),
]
"""While alice's third call and dave's wait for one of their own to end, bob's costs 25 times what any did: from then on such a
call holds so much that the day has no room for it."""


@pytest.mark.parametrize(
    ("all_usd", "refused", "sizes"),
    [
        pytest.param(
            0.65, {"call-00007": ("all", "held"), "call-00010": ("all", "held")}, [3, 3], id="refused when it grew"
        ),
        pytest.param(2, {"call-00007": ("person", "held")}, [4, 4], id="grew and left, or waited in vain"),
    ],
)
def test_what_others_show_meanwhile_is_known_from_then_on(
    tmp_path: Path, all_usd: float, refused: dict[str, tuple[str, str]], sizes: list[int]
) -> None:
    """By the last size alone they would have been refused when they came. Nor is anything decided before it was asked."""
    play(tmp_path, dear(all_usd), SURPRISED)
    live = refused_live(tmp_path)
    assert {call: told[:2] for call, told in live.items()} == refused
    with Reader(tmp_path / "ledger.db") as reader:
        each = [1 + len(earlier_of(step.size or "")) for step in reader.history(0)]
        assert not list(reader.verify(None))
    assert [number for number in each if number > 1] == sizes
    outcome, found = again(tmp_path, dear(all_usd))
    assert found == live
    assert (outcome.newly_refused, outcome.no_longer_refused) == (0, 0)


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
