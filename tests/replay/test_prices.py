"""A candidate's prices are those of its replay: past calls cost what they would have cost under its `pricing.adjust`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.gate.test_adjusting import adjust, served, unstating
from tests.gate.world import budget, costing, dollars, house, policy, replace, stating, used
from tests.replay.test_live import even, rules
from tests.replay.virtual import Scripted, again, play, refused_live

from spendgate.contracts import Account, Adjustment, Billing
from spendgate.gate import waiting
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.replay.outcome import Outcome
from spendgate.replay.repricing import resized
from spendgate.standing import Size

AMPLE = policy(budget(500))
HALF = (adjust("0.5"),)
LESS, DEARER = (adjust("0.8"),), (adjust("1.7"),)
RATES = (adjust(rates={"input": 3, "output": 15}),)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `test_live`."""
    monkeypatch.setattr(waiting, "POLL_MS", (1, 1))


def decisions(refusals: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Rule, kind, what was settled and the limit."""
    return {call: (rule, why, settled, limit) for call, (rule, why, settled, _, _, limit) in refusals.items()}


@pytest.mark.parametrize(
    ("then", "now"),
    [((), LESS), (LESS, ()), ((), RATES), (RATES, DEARER), (DEARER, RATES)],
    ids=["adjusted", "adjusted no more", "set", "dearer than set", "set anew"],
)
def test_a_candidate_refuses_what_a_gate_at_its_prices_would_have(
    tmp_path: Path, then: tuple[Adjustment, ...], now: tuple[Adjustment, ...]
) -> None:
    """Played under one price and replayed at another: the decisions, and every settled sum, are those of a live gate there."""
    past, live = tmp_path / "past", tmp_path / "live"
    past.mkdir()
    live.mkdir()
    play(past, policy(budget(500), adjust=then), even(1, 100))
    play(live, rules(adjust=now), even(1, 100))
    _, found = again(past, rules(adjust=now))
    expected = refused_live(live)
    assert expected
    assert decisions(found) == decisions(expected)


@pytest.mark.parametrize("adjusted", [HALF, RATES], ids=["half", "rates"])
def test_the_policy_in_force_prices_again_what_it_priced(tmp_path: Path, adjusted: tuple[Adjustment, ...]) -> None:
    """Under the same adjustment nothing costs anything else, also where it stands in another place of the file."""
    play(tmp_path, rules(adjust=adjusted), even(2, 60))
    outcome, found = again(tmp_path, rules(adjust=(adjust("9", {"provider": ["openai"]}), *adjusted)))
    assert found == refused_live(tmp_path)
    assert (outcome.repriced, outcome.unpriced) == (0, 0)
    assert outcome.cost_nanos == outcome.cost_then_nanos


def one(folder: Path, rules: Policy) -> Outcome:
    """The whole ledger under these rules."""
    return again(folder, rules)[0]


def test_costs_are_exact(tmp_path: Path) -> None:
    """From the counts, rounded once: half of an odd nano-dollar is even, and the sum is that of the calls."""
    play(tmp_path, AMPLE, [Scripted(1_000 * number, "alice", 0.1, 50) for number in range(3)])
    with Reader(tmp_path / "ledger.db") as reader:
        values = [step.value_nanos or 0 for step in reader.history(0)]
    outcome = one(tmp_path, policy(budget(500), adjust=(adjust("0.333333"),)))
    assert outcome.cost_nanos == sum(round(Fraction(value) * Fraction(333_333, 1_000_000)) for value in values)
    assert (outcome.repriced, outcome.unpriced, outcome.cost_then_nanos) == (3, 0, sum(values))


def test_what_no_adjustment_is_about_is_left_alone(tmp_path: Path) -> None:
    """Other providers, other days: nothing is priced anew, nothing is unknown."""
    play(tmp_path, AMPLE, [Scripted(0, "alice", 0.1, 50)])
    for entry in (adjust("0.5", {"provider": ["openai"]}), adjust("0.5", {"person": ["bob"]})):
        outcome = one(tmp_path, policy(budget(500), adjust=(entry,)))
        assert (outcome.repriced, outcome.unpriced, outcome.cost_nanos) == (0, 0, dollars(0.1))


async def test_what_cannot_be_told_is_counted(tmp_path: Path) -> None:
    """A call without counts keeps its cost, whatever rates are set; what its provider stated is what it billed."""
    async with house(tmp_path, AMPLE) as place:
        await served(place, unstating(model="claude-sonnet-4-5"), used(final=False))
        await served(place, stating(unstating()), replace(costing(0.1), stated_cost_nanos=dollars(0.09)))
    outcome = one(tmp_path, policy(budget(500), adjust=RATES))
    assert (outcome.repriced, outcome.unpriced) == (0, 1)
    assert outcome.cost_nanos == outcome.cost_then_nanos


async def test_a_call_without_counts_follows_a_factor(tmp_path: Path) -> None:
    """It was charged the median of its kind at the price of then, and would be at the candidate's."""
    async with house(tmp_path, policy(budget(500), adjust=HALF)) as place:
        for _ in range(3):
            await served(place, unstating(), costing(0.1))
        await served(place, unstating(), used(final=False))
    assert one(tmp_path, policy(budget(500), adjust=(adjust("0.8"),))).cost_nanos == dollars(4 * 0.08)
    assert one(tmp_path, AMPLE).cost_nanos == dollars(4 * 0.1)
    rates = one(tmp_path, policy(budget(500), adjust=RATES))
    assert (rates.cost_nanos, rates.unpriced) == (3 * dollars(0.06) + dollars(0.05), 1)


async def test_a_model_of_ones_own_has_the_price_that_the_candidate_sets(tmp_path: Path) -> None:
    """Where the candidate sets none nobody knows what it would have cost: it keeps its cost, and is counted."""
    reading = replace(used(input_tokens=1_000, output_tokens=10), model="acme-large")
    async with house(tmp_path, policy(budget(500), adjust=RATES)) as place:
        await served(place, unstating(model="acme-large"), reading)
    anew = one(tmp_path, policy(budget(500), adjust=(adjust(rates={"input": 1, "output": 8}),)))
    assert (anew.cost_nanos, anew.unpriced) == (1_000 * 1_000 + 10 * 8_000, 0)
    for candidate in (AMPLE, policy(budget(500), adjust=HALF)):
        kept = one(tmp_path, candidate)
        assert (kept.cost_nanos, kept.unpriced) == (1_000 * 3_000 + 10 * 15_000, 1)


async def test_a_guessed_price_is_only_replaced_by_a_whole_one(tmp_path: Path) -> None:
    """As in the gate: a factor leaves `pricing.unknown_model` alone."""
    reading = replace(used(input_tokens=1_000, output_tokens=10), model="acme-large")
    async with house(tmp_path, AMPLE) as place:
        await served(place, unstating(model="acme-large"), reading)
    guess = 1_000 * 15_000 + 10 * 75_000
    assert one(tmp_path, policy(budget(500), adjust=HALF)).cost_nanos == guess
    assert one(tmp_path, policy(budget(500), adjust=RATES)).cost_nanos == 1_000 * 3_000 + 10 * 15_000


async def test_a_candidate_says_what_becomes_of_personal_accounts(tmp_path: Path) -> None:
    """Ignored then, they are counted from their counts, or refused; counted then, they are left out."""

    def whose(personal: str) -> Policy:
        own = (Account(provider="anthropic", account="org-1"),)
        return policy(budget(500), billing=Billing.model_validate({"accounts": own, "personal": personal}))

    for then in ("ignore", "count"):
        folder = tmp_path / then
        folder.mkdir()
        async with house(folder, whose(then)) as place:
            await served(place, unstating(account="me"), replace(costing(0.1), account="me"))
            await served(place, unstating(account="org-1"), replace(costing(0.2), account="org-1"))
        assert one(folder, whose("ignore")).cost_nanos == dollars(0.2)
        assert one(folder, whose("count")).cost_nanos == dollars(0.3)
        refused = one(folder, whose("refuse"))
        assert (refused.refused, refused.cost_nanos) == (1, dollars(0.2))
        assert list(refused.rules) == [("billing.personal", "rule")]
        assert one(folder, policy(budget(500))).cost_nanos == dollars(0.3), "no account is listed: none is personal"
        own = tuple(Account(provider="anthropic", account=name) for name in ("org-1", "me"))
        both = policy(budget(500), billing=Billing.model_validate({"accounts": own, "personal": "refuse"}))
        known = then == "count"  # the row of an ignored call keeps no account
        found = one(folder, both)
        assert (found.refused, found.cost_nanos) == ((0, dollars(0.3)) if known else (1, dollars(0.2)))


def test_a_size_at_another_price_is_no_smaller_than_it_is() -> None:
    """Each amount is rounded up; counts stay."""
    size = Size(
        101, 11, largest_nanos=13, typical_nanos=None, guess_nanos=7, spread_nanos=3, output_nanos=5, seen=4, own_seen=3
    )
    half = resized(size, Fraction(1, 2))
    assert half == Size(
        51, 6, largest_nanos=7, typical_nanos=None, guess_nanos=4, spread_nanos=2, output_nanos=3, seen=4, own_seen=3
    )
    assert resized(size, Fraction(1)) is size
