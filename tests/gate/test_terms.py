"""Terms: what is remembered of a call's policy and prices is what would be found anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gate.world import MODEL, PRICES, budget, costing, end, house, intent, policy
from spendgate.attribution import Evidence
from spendgate.fitting import enforces, scopes
from spendgate.gate import terms as terms_module
from spendgate.gate.interface import Admitted, Refused
from spendgate.gate.signs import Signs
from spendgate.gate.terms import KnownTerms, Terms, terms
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.pricing import PriceBook, utc
from spendgate.providers.interface import Kind, Route
from spendgate.selector import Selector
from spendgate.window import DAY_MS, HOUR_MS, Window

NOW = 1_795_000_000_000
WINDOWS = [None, *[Window.parse(text) for text in ("hour", "day", "week", "month", "rolling 90m")]]
RULES = policy(
    budget(1.0, "person/day", window=Window.parse("day")),
    budget(1.0, "tool", per=("tool",), match=Selector.of({"tool": ["claude*"]})),
    models=(ModelRule(name="no-haiku", deny=("claude-haiku-*",), order=0),),
)


def told(found: Terms) -> dict[str, Any]:
    """All that terms say, the budgets as they are at one instant."""
    said = {name: getattr(found, name) for name in Terms.__slots__ if name not in ("draws", "changes")}
    return {**said, "scopes": found.scopes(NOW), "change": found.changes.asked}


def fresh(call: Any, rules: Policy, prices: PriceBook = PRICES, now_ms: int = NOW) -> Terms:
    """The terms of a call, found anew."""
    return terms(Signs.of(call, prices.since(utc(now_ms))), rules, prices)


BASE = replace(intent(model="gpt-5.1"), route=Route("openai", "openai-chat", Kind.BILLABLE, "/v1/chat/completions"))
OTHERS = [
    pytest.param(replace(BASE, attribution=replace(BASE.attribution, **{name: value})), id=name)
    for name, value in {
        "person": "bob", "machine": "lt-2", "teams": ("payments", "shop"), "groups": ("senior",),
        "tool": "codex", "project": "h.example/a/b", "session": "s2", "session_evidence": Evidence.HEADER, "refused": True,
    }.items()
] + [
    pytest.param(replace(BASE, ask=replace(BASE.ask, **{name: value})), id=f"ask {name}")
    for name, value in {
        "model": "claude-haiku-4-5", "also": ("claude-haiku-4-5",), "api_key": "sk-1", "account": "org-1",
        "billing": "subscription", "service_tier": "flex", "speed": "turbo", "context_window": 1_000_000,
    }.items()
] + [
    pytest.param(replace(BASE, route=replace(BASE.route, **{name: value})), id=f"route {name}")
    for name, value in {
        "provider": "acme", "dialect": "openai-responses", "model": "gpt-5", "prices": "openrouter", "billing": "gateway",
    }.items()
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS)
def test_a_call_that_differs_is_not_taken_for_one_before(other):
    """Whatever terms depend on tells two calls apart, in whichever order they come."""
    for first, second in ((BASE, other), (other, BASE)):
        known = KnownTerms(RULES, PRICES)
        known.of(first, NOW)

        assert told(known.of(second, NOW)) == told(fresh(second, RULES)) != told(fresh(first, RULES))


def test_calls_that_differ_in_size_alone_share_their_terms():
    """Size, id, output and waiting change nothing of what policy and prices say."""
    known = KnownTerms(RULES, PRICES)
    other = intent(text_bytes=9, output_max=None, may_wait=False, repeats=3, searches_max=None, loops=True)

    assert known.of(other, NOW + 1) is known.of(intent(), NOW)


def test_prices_change_with_the_date():
    """A model's terms are those of the call's own instant, back and forth over a change of its price."""
    known, call = KnownTerms(RULES, PRICES), intent(model="claude-opus-4-6", text_bytes=250_000)
    before, after = 1_772_000_000_000, 1_790_000_000_000

    for at_ms in (before, after, before):
        assert known.of(call, at_ms).reach == fresh(call, RULES, now_ms=at_ms).reach
    assert known.of(call, before).reach != known.of(call, after).reach


def test_the_memory_of_terms_is_bounded(monkeypatch):
    """A client that names a new session with each call takes no more memory than so many, and is served right."""
    monkeypatch.setattr(terms_module, "KEPT_MAX", 8)
    known = KnownTerms(RULES, PRICES)
    for number in range(30):
        call = replace(BASE, attribution=replace(BASE.attribution, session=f"s{number}"))
        assert known.of(call, NOW).facts.values["session"] == (f"s{number}",)
        assert len(known._kept) <= 8


@given(
    st.lists(st.sampled_from(WINDOWS), max_size=4, unique=True),
    st.lists(st.integers(-3 * DAY_MS, 40 * DAY_MS) | st.integers(-2, 2).map(lambda hours: hours * HOUR_MS), max_size=12),
)  # fmt: skip
def test_budgets_are_those_of_the_instant(windows, steps):
    """However the clock goes, forwards or back, remembered budgets are those that would be found anew."""
    rules = policy(*[budget(1.0, f"b{order}", window=window) for order, window in enumerate(windows)])
    found, now_ms = fresh(BASE, rules), NOW
    for step_ms in (0, *steps, 0, 1):
        now_ms = max(0, now_ms + step_ms)
        assert found.scopes(now_ms) == scopes(rules, found.facts, now_ms, True)


OPUS, HAIKU = (Selector.of({"model": [pattern]}) for pattern in ("claude-opus-*", "*haiku*"))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param({}, id="no budget by model"),
        pytest.param({"match": OPUS}, id="match"),
        pytest.param({"excepted": HAIKU}, id="except"),
    ],
)
@pytest.mark.parametrize("answered", [None, MODEL, "claude-opus-4-5-20251101", "claude-haiku-4-5", "no-such-model"])
def test_a_charge_counts_by_the_model_that_answered(words, answered):
    """Budgets that tell models apart are charged by the answer's; the others are what they were at the hold."""
    rules = policy(budget(1.0, "a"), budget(1.0, "b", **words))
    found = fresh(intent(), rules)
    facts = found.facts.answered_by(answered) if answered else found.facts

    assert found.charged(answered, NOW) == scopes(rules, facts, NOW, enforces(rules, facts))


async def test_a_new_policy_and_new_prices_take_force_at_once(tmp_path):
    """The next call is decided by the policy and the price list that are in force, not by what is remembered."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        first = intent()
        assert isinstance(await place.gate.hold(first), Admitted)
        place.gate.settle(first.call_id, costing(0.01), end())
        await place.gate.set_policy(policy(models=(ModelRule(name="none", deny=("*",), order=0),)))
        assert isinstance(await place.gate.hold(intent()), Refused)

        await place.gate.set_policy(policy())
        place.gate.set_prices(PriceBook(PRICES._snapshot, origin="another"))
        last = intent()
        await place.gate.hold(last)

        assert place.gate.open_calls[last.call_id].asked.terms.rates.source.startswith("another:")
