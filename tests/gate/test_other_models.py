"""Other models that a request names: rules and budgets are asked for each, and each is charged for what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gate.world import PRICES, budget, end, house, intent, policy
from spendgate.gate.asked import Asked
from spendgate.gate.billing import item_of
from spendgate.gate.interface import Admitted, Refused
from spendgate.gate.terms import KnownTerms
from spendgate.model_rules import ModelRule
from spendgate.pricing import utc
from spendgate.providers.reading import Part, Reading
from spendgate.selector import Selector
from spendgate.standing import Hold
from spendgate.usage import Usage

NOW = 1_795_000_000_000
HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-4-6"
OPUS_ALONE = Selector.of({"model": ["claude-opus-*"]})


@pytest.mark.parametrize("also", [(OPUS,), ("claude-sonnet-4-5", OPUS), ("",)], ids=["it", "the second", "not named"])
@pytest.mark.parametrize("words", [{"deny": ("claude-opus-*",)}, {"allow": ("claude-haiku-*",)}], ids=["deny", "allow"])
def test_a_rule_is_asked_for_each(also: tuple[str, ...], words: dict[str, tuple[str, ...]]) -> None:
    """What is not allowed does not come in as another model's advisor or fallback."""
    rules = policy(models=(ModelRule(name="m", order=0, **words),))
    known = KnownTerms(rules, PRICES)
    assert known.of(intent(model=HAIKU), NOW).refusal is None
    refusal = known.of(intent(model=HAIKU, also=also), NOW).refusal
    assert refusal is not None and refusal.rule == "m"


def test_a_bound_is_of_the_dearest() -> None:
    """Any of them may answer, so the ceiling is that of the dearest; one without a price costs the policy's."""
    known = KnownTerms(policy(), PRICES)

    def output(model: str, *also: str) -> int:
        return known.of(intent(model=model, also=also), NOW).reach.upto(None).output

    assert output(HAIKU) < output(OPUS) == output(HAIKU, OPUS) == output(OPUS, HAIKU)
    assert output(HAIKU, "") == output(HAIKU, "nobody-knows") == policy().unknown_model.output_nanos > output(OPUS)


async def test_a_spent_budget_of_the_other_model_refuses(tmp_path: Path) -> None:
    """The advisor's budget holds the call, is charged the advisor's part alone, and once spent stops the next one."""
    rules = policy(budget(100, "all", per=()), budget(1, "opus", per=(), match=OPUS_ALONE))
    async with house(tmp_path, rules) as world:
        call = intent(model=HAIKU, also=(OPUS,), loops=True)
        answer = await world.gate.hold(call)
        assert isinstance(answer, Admitted)
        world.gate.sent(call.call_id)
        worked = Part(Usage(input_tokens=1_000, output_tokens=1_000), HAIKU)
        advised = Part(Usage(input_tokens=10_000, output_tokens=100_000), OPUS)
        world.gate.settle(call.call_id, Reading((worked, advised), HAIKU, final=True), end())
        again = await world.gate.hold(intent(model=HAIKU, also=(OPUS,), loops=True))
        assert isinstance(again, Refused)
        assert again.refuse.rule == "opus"
        cost = PRICES.price("anthropic", OPUS, advised.usage, at=utc(NOW))
        assert again.refuse.settled_nanos == getattr(cost, "nanos", None)
        assert isinstance(await world.gate.hold(intent(model=HAIKU)), Admitted)


async def test_a_budget_without_bound_is_the_others_too(tmp_path: Path) -> None:
    """An advisor may be asked again and again: under `hold: ceiling` its budget refuses what has no bound."""
    rules = policy(budget(100, "opus", per=(), match=OPUS_ALONE, hold=Hold.CEILING))
    async with house(tmp_path, rules) as world:
        assert isinstance(await world.gate.hold(intent(model=HAIKU, loops=True)), Admitted)
        refused = await world.gate.hold(intent(model=HAIKU, also=(OPUS,), loops=True))
        assert isinstance(refused, Refused)
        assert refused.refuse.kind.value == "unbounded"


@pytest.mark.parametrize(
    ("answers", "known"), [(f"{HAIKU}-20991231", True), (HAIKU, True), ("nobody-knows", False), (None, True)]
)
def test_an_unknown_one_that_answers_has_no_price_of_the_first(answers: str | None, known: bool) -> None:
    """Its own name is all that tells what it costs; a spelling of the model that was asked for is that model."""
    call = intent(model=HAIKU, also=("nobody-knows",))
    asked = Asked(call, KnownTerms(policy(), PRICES).of(call, NOW))
    part = Part(Usage(input_tokens=10, output_tokens=10), answers)
    assert item_of(asked, part, Reading((part,), answers), PRICES, NOW).known is known
    alone = intent(model=HAIKU)
    asked = Asked(alone, KnownTerms(policy(), PRICES).of(alone, NOW))
    assert item_of(asked, part, Reading((part,), answers), PRICES, NOW).known


async def test_who_only_might_have_answered_is_charged_nothing(tmp_path: Path) -> None:
    """A fallback that was not needed had its budget's hold, and gives it back."""
    rules = policy(budget(1, "opus", per=(), match=OPUS_ALONE))
    async with house(tmp_path, rules) as world:
        for _ in range(3):
            call = intent(model=HAIKU, also=(OPUS,))
            assert isinstance(await world.gate.hold(call), Admitted)
            world.gate.sent(call.call_id)
            reading = Reading((Part(Usage(input_tokens=10, output_tokens=100_000)),), HAIKU, final=True)
            world.gate.settle(call.call_id, reading, end())
        assert {row["model"] for row in world.rows.calls()} == {HAIKU}
        assert world.rows.spent() > 1_000_000_000
        assert isinstance(await world.gate.hold(intent(model=OPUS)), Admitted)


def test_a_path_and_a_body_that_differ_are_both_asked() -> None:
    """Gateways differ in which of the two they obey; the same model in two spellings is one."""
    rules = policy(models=(ModelRule(name="m", order=0, deny=("claude-opus-*",)),))
    known = KnownTerms(rules, PRICES)

    def refusal(path: str, body: str) -> object:
        asked = intent(model=body)
        return known.of(replace(asked, route=replace(asked.route, model=path)), NOW).refusal

    assert refusal(HAIKU, HAIKU) is None
    assert refusal(HAIKU, "anthropic/claude-haiku-4.5") is None
    assert refusal(HAIKU, OPUS) is not None
    assert refusal(OPUS, HAIKU) is not None


@pytest.mark.parametrize(("deployment", "passes"), [("prod-chat", False), ("gpt-4o", True), ("gpt-5-pro", False)])
@pytest.mark.parametrize("unresolved", ["deny", "allow"])
def test_a_deployment_of_azures_is_asked_as_an_alias(deployment: str, passes: bool, unresolved: str) -> None:
    """Unless it is called as models are."""
    rules = policy(models=(ModelRule(name="m", order=0, deny=("gpt-5-pro*",), unresolved=unresolved),))
    asked = intent(model=deployment)
    found = KnownTerms(rules, PRICES).of(replace(asked, route=replace(asked.route, provider="azure")), NOW)
    alias = deployment == "prod-chat"
    assert (found.refusal is None) is (passes or (alias and unresolved == "allow"))
