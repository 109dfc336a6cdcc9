"""What a replay refuses is what the live gate refused: the same calls, by the same rule, with the same figures."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from tests.gate.world import budget, dollars, policy
from tests.replay.virtual import START_MS, Scripted, again, play, refused_live

from spendgate.adaptive import Mean
from spendgate.exceptions import BudgetException
from spendgate.gate import waiting
from spendgate.ledger.queries import Reader
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Quota, Rate
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.window import DAY_MS, HOUR_MS, Unit, Window

HOUR = Window(Unit.HOUR)
SEEDS = (1, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in (0, *range(2, 20))))
PEOPLE = ("alice", "bob", "carol", "dave")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks each millisecond: a replay looks whenever something changes, the gate up to 100 ms later."""
    monkeypatch.setattr(waiting, "POLL_MS", (1, 1))


def morning(seed: int, calls: int = 200, *, crowd_ms: int = 700) -> list[Scripted]:
    """A few people's calls over some hours, of three tools, some at once; no two ask in the same millisecond."""
    rng, at_ms, made = random.Random(seed), 0, []
    for _ in range(calls):
        at_ms += 1 + rng.randrange(crowd_ms if rng.random() < 0.8 else 60_000)
        person = rng.choice(PEOPLE)
        tool = rng.choice(("claude-code", "codex", "cursor"))
        model = rng.choice(("claude-opus-4-5", "claude-sonnet-4-5"))
        cost = round(min(0.9, rng.lognormvariate(-3.2, 1.0)), 4)
        made.append(
            Scripted(at_ms, person, cost, rng.randrange(37, 9_000), tool, f"{person}-{rng.randrange(3)}", model)
        )
    return made


def rules(**words: object) -> Policy:
    """Five kinds of window, holds of both kinds, waits that end and waits that do not."""
    made = [
        budget(2.5, "person", window=HOUR, wait_ms=4_000),
        budget(1.2, "quick", window=Window(Unit.ROLLING, 600_000), wait_ms=0),
        budget(0.9, "session", per=("session",), wait_ms=2_000),
        budget(9, "everybody", per=(), window=Window(Unit.DAY), wait_ms=1_000),
        budget(4, "by tool", per=("person", "tool"), window=Window(Unit.MONTH), hold=Hold.CEILING, wait_ms=3_000),
        budget(0.5, "told", per=("person",), window=HOUR, enforce_action=False),
    ]
    return policy(*made, **words)


def moving(**words: object) -> Policy:
    """Limits that move: by the mean, by exceptions of each kind; plans at list price; and rates, beside what does not move."""
    made = [
        budget(2.5, "person", window=HOUR, wait_ms=4_000),
        budget(1, "quick", window=Window(Unit.ROLLING, 300_000), wait_ms=500),
        budget(2, "runaway", window=Window(Unit.DAY), mean=Mean(6000, 3, dollars(1), dollars(4)), wait_ms=1_000),
        budget(9, "weekly", per=(), window=Window(Unit.WEEK), mean=Mean(2000, 3, dollars(2), dollars(25)), wait_ms=0),
        budget(2.2, "plans", window=HOUR, counts="value", wait_ms=0),
        budget(4, "by tool", per=("person", "tool"), window=Window(Unit.MONTH), hold=Hold.CEILING, wait_ms=3_000),
    ]
    start, end = START_MS + 3 * DAY_MS, START_MS + 4 * DAY_MS
    raised = (
        exception("person", {"person": ["bob"]}, add_nanos=dollars(1), from_ms=start + HOUR_MS // 4, until_ms=end),
        exception("quick", {"tool": ["codex"]}, add_nanos=dollars(0.4), from_ms=start, until_ms=start + HOUR_MS),
        exception("quick", {"person": ["carol"]}, add_nanos=dollars(0.7), once=True, until_ms=end),
        exception("runaway", {"person": ["alice"]}, limit_nanos=dollars(5), until_ms=start + HOUR_MS // 2),
        exception("by tool", {"model": ["claude-sonnet-*"]}, add_nanos=dollars(1), until_ms=end),
    )
    cursor = Selector.of({"tool": ["cursor"]})
    rates = (
        Rate(
            name="loop", per=("person",), requests=Quota(most=6, length_ms=60_000), parallel=3, wait_ms=1_500, order=0
        ),
        Rate(name="tokens", match=cursor, tokens=Quota(most=90_000, length_ms=120_000), wait_ms=0, order=1),
    )
    return policy(*made, **{"exceptions": raised, "rates": rates, **words})


def exception(name: str, match: dict[str, list[str]], **words: Any) -> BudgetException:
    """An exception of one budget."""
    return BudgetException(budget=name, match=Selector.of(match), reason=f"{name} {match}", approved_by="cto", **words)


MINUTE_MS = 60_000


def nights(boot_ms: int) -> int:
    """Each of the first three minutes is another day's."""
    return boot_ms + DAY_MS * min(3, boot_ms // MINUTE_MS)


def days(seed: int, calls: int = 150) -> list[Scripted]:
    """Three days with a little spend, and then a busy morning, some of it on plans. In boot time."""
    before = [
        Scripted(day * MINUTE_MS + 1_000 * number, person, 0.3 + 0.1 * day, 211, "codex", f"{person}-0")
        for day in range(3)
        for number, person in enumerate(PEOPLE)
    ]
    rng = random.Random(seed)
    busy = [
        replace(call, at_ms=3 * MINUTE_MS + call.at_ms, billing="subscription" if rng.random() < 0.2 else "metered")
        for call in morning(seed, calls)
    ]
    return [*before, *busy]


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_that_move_and_rates_refuse_again_what_they_refused(tmp_path: Path, seed: int) -> None:
    """Means of days, exceptions by person, tool, model and for one window, plans at list price, and rates: nothing differs.

    Nor where the calls before some instant are not decided again, but only fill what they count in.
    """
    play(tmp_path, moving(), days(seed), wall_ms=nights)
    outcome, found = again(tmp_path, moving())
    live = refused_live(tmp_path)
    assert found == live
    assert len({rule for rule, *_ in live.values()}) >= 3
    assert (outcome.newly_refused, outcome.no_longer_refused) == (0, 0)
    assert outcome.cost_nanos == outcome.cost_then_nanos
    since_ms, late = quiet(tmp_path)
    outcome, found = again(tmp_path, moving(), since_ms)
    assert found == {call: said for call, said in live.items() if call in late}
    assert found and outcome.before > len(live) // 4


def quiet(folder: Path) -> tuple[int, set[str]]:
    """The first instant after half of the calls at which none of those before still runs, and the calls from then on."""
    with Reader(folder / "ledger.db") as reader:
        every = list(reader.history(0))
    ends_ms = list(accumulate((step.ended_ms or 0 for step in every), max))
    place = next(at for at in range(len(every) // 2, len(every)) if ends_ms[at - 1] < every[at].arrived_ms)
    return every[place].arrived_ms, {step.id for step in every[place:]}


@pytest.mark.parametrize(
    "seed",
    [0, 1, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in (*range(2, 20), 23, 29, 60))],
)
def test_the_policy_in_force_refuses_again_what_it_refused(tmp_path: Path, seed: int) -> None:
    """Under the same policy nothing differs: neither a call nor a figure, of what was spent and of what others held."""
    play(tmp_path, rules(), morning(seed))
    outcome, found = again(tmp_path, rules())
    live = refused_live(tmp_path)
    assert live and found == live
    assert (outcome.newly_refused, outcome.no_longer_refused) == (0, 0)
    assert outcome.refused == outcome.refused_then == len(live)
    assert outcome.cost_nanos == outcome.cost_then_nanos


def even(seed: int, calls: int = 150) -> list[Scripted]:
    """As `morning`, but each tool's calls cost the same: first one after the other, so that all is learned, then crowds."""
    rng = random.Random(seed)
    costs = {"claude-code": 0.05, "codex": 0.11, "cursor": 0.02}
    made = [
        Scripted(1_000 * number, "warm", costs[tool], 137, tool, f"warm-{number}")
        for number, tool in enumerate(list(costs) * 12)
    ]
    at_ms = 3_600_000
    for _ in range(calls):
        at_ms += 1 + rng.randrange(900 if rng.random() < 0.8 else 40_000)
        person, tool = rng.choice(PEOPLE), rng.choice(tuple(costs))
        made.append(
            Scripted(at_ms, person, costs[tool], rng.randrange(37, 9_000), tool, f"{person}-{rng.randrange(3)}")
        )
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_a_candidate_refuses_what_a_gate_under_it_would_have(tmp_path: Path, seed: int) -> None:
    """The same calls, once under a policy that lets nearly all through and replayed, once live under the candidate.

    What a call is expected to need rests on the calls that settled; those that a candidate refuses would have taught it nothing.
    So holds may differ by a little, and with costs that vary a call that waits may then be decided otherwise.
    """
    then, live = tmp_path / "then", tmp_path / "live"
    then.mkdir()
    live.mkdir()
    play(then, policy(budget(500)), even(seed))
    play(live, rules(), even(seed))
    assert not refused_live(then)
    outcome, found = again(then, rules())
    expected = refused_live(live)
    assert expected and _decisions(found) == _decisions(expected)
    assert outcome.newly_refused == len(expected)


def fallbacks(seed: int, calls: int = 150) -> list[Scripted]:
    """As `even`, but a third of the calls name other models, too: known ones, one that may become any, one that is not known."""
    rng = random.Random(seed)
    others = (
        ("claude-opus-4-5",),
        ("claude-haiku-4-5", "claude-opus-4-5"),
        ("",),
        ("claude-sonnet-4-5",),
        ("odd name",),
    )
    return [
        replace(call, model="claude-haiku-4-5", also=rng.choice(others) if rng.random() < 0.33 else ())
        for call in even(seed, calls)
    ]


def about_models() -> Policy:
    """A rule and a budget that only the other models of a request come under."""
    opus = Selector.of({"model": ["claude-opus-*"]})
    bob = ModelRule(name="no-opus", match=Selector.of({"person": ["bob"]}), deny=("claude-opus-*",), order=0)
    made = (budget(0.9, "opus", match=opus, window=HOUR, wait_ms=0), budget(4, "all", window=HOUR, wait_ms=1_000))
    return policy(*made, models=(bob,))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_other_models_of_a_request_are_asked_again(tmp_path: Path, seed: int) -> None:
    """A call that names fallbacks is refused by rules and budgets about any of them: by the policy of then and by a candidate."""
    then, live = tmp_path / "then", tmp_path / "live"
    then.mkdir()
    live.mkdir()
    play(then, policy(budget(500)), fallbacks(seed))
    play(live, about_models(), fallbacks(seed))
    expected = refused_live(live)
    assert {"no-opus", "opus"} <= {rule for rule, *_ in expected.values()}
    assert again(live, about_models())[1] == expected
    outcome, found = again(then, about_models())
    assert _decisions(found) == _decisions(expected)
    assert outcome.newly_refused == len(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_candidates_rates_and_exceptions_on_a_history_without(tmp_path: Path, seed: int) -> None:
    """As above, of a candidate that holds loops back and lets bob have more for a while. Rates of tokens are not among them: what
    a gate would have expected, nobody learned."""
    then, live = tmp_path / "then", tmp_path / "live"
    then.mkdir()
    live.mkdir()
    raised = exception("person", {"person": ["bob"]}, add_nanos=dollars(0.4), until_ms=START_MS + DAY_MS)
    loop = Rate(
        name="loop", per=("person",), requests=Quota(most=6, length_ms=60_000), parallel=2, wait_ms=1_500, order=0
    )
    candidate = policy(budget(0.7, "person", window=HOUR, wait_ms=4_000), exceptions=(raised,), rates=(loop,))
    play(then, policy(budget(500)), even(seed))
    play(live, candidate, even(seed))
    outcome, found = again(then, candidate)
    expected = refused_live(live)
    assert {"loop", "person"} <= {rule for rule, *_ in expected.values()}
    assert _decisions(found) == _decisions(expected)
    assert outcome.newly_refused == len(expected)


def _decisions(refusals: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Rule, kind, what was settled and the limit."""
    return {call: (rule, why, settled, limit) for call, (rule, why, settled, _, _, limit) in refusals.items()}


def test_the_same_history_gives_the_same_outcome(tmp_path: Path) -> None:
    """Nothing of a replay depends on when or how often it is run."""
    play(tmp_path, policy(budget(500)), morning(1, 120))
    first, second = again(tmp_path, rules())[0], again(tmp_path, rules())[0]
    assert (first.rules, first.people, first.differing) == (second.rules, second.people, second.differing)
    assert first.refused == second.refused > 0


def test_what_came_before_fills_the_windows(tmp_path: Path) -> None:
    """Calls before the time asked about are not decided, and count: a day that was nearly spent is nearly spent."""
    script = [Scripted(60_000 * number, "alice", 0.6, 100) for number in range(4)]
    day = policy(budget(2, window=Window(Unit.DAY)))
    play(tmp_path, policy(budget(500)), script)
    late, found = again(tmp_path, day, since_ms=START_MS + 150_000)
    assert (late.before, late.calls) == (3, 1)
    assert found["call-00003"][:3] == ("person", "spent", 1_800_000_000)
