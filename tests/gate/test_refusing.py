"""What a refusal tells: its rule, its figures, and how often it was asked for."""

from __future__ import annotations

from msgspec.structs import replace

from gate.world import budget, costing, end, house, intent, policy, serve
from spendgate.gate.interface import Admitted, Refused
from spendgate.model_rules import ModelRule
from spendgate.policy import Mode
from spendgate.standing import Hold


async def test_repeats_answered_from_memory_are_told_by_the_next_row(tmp_path):
    """The row of the next decision, refusal or call, carries how many of the same requests had none."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        assert await serve(place.gate, intent(repeats=5, prefix="1"), 1.0) == "admitted"
        assert await serve(place.gate, intent(repeats=37, prefix="2"), 0.1) == "spent"
        assert await serve(place.gate, intent(prefix="3"), 0.1) == "spent"
        assert [row["flags"].partition(",")[0] for row in place.rows.calls()] == ["repeats=5", "repeats=37", ""]


async def test_a_model_rule_refuses_whatever_is_left(tmp_path):
    """A denied model is refused by its rule, with what to use instead; under `observe` it leaves and says so."""
    rule = ModelRule(name="frontier", deny=("claude-opus-*",), suggest="claude-sonnet-4-5", order=0)
    async with house(tmp_path, policy(models=(rule,))) as place:
        answer = await place.gate.hold(intent())
        assert isinstance(answer, Refused)
        assert "claude-sonnet-4-5" in answer.message
        assert answer.message.endswith("Ask in #ai-budget.")

        await place.gate.set_policy(policy(models=(rule,), mode=Mode(default="observe")))
        call = intent()
        assert isinstance(await place.gate.hold(call), Admitted)
        assert place.rows.calls(f"id = '{call.call_id}'")[0]["would_refuse_by"] == "frontier"


async def test_a_spent_budget_is_told_at_the_handshake(tmp_path):
    """`spent` refuses where nothing is left, writes that one row, and holds nothing where something is."""
    async with house(tmp_path, policy(budget(0.05))) as place:
        assert await place.gate.spent(intent(model=None)) is None
        assert place.rows.calls() == []
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.06), end())

        unwritten = await place.gate.spent(intent(model=None), writes=False)
        assert isinstance(unwritten, Refused)
        assert place.rows.states() == {"settled": 1}
        refused = await place.gate.spent(intent(model=None))
        assert isinstance(refused, Refused)
        assert refused.message == unwritten.message
        assert place.rows.states() == {"settled": 1, "refused": 1}


async def test_money_held_and_money_spent_are_told_apart(tmp_path):
    """The message gives both figures, the limit, and says that they are this machine's."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=0))) as place:
        done, running = intent(text_bytes=20_000), intent(text_bytes=100_000)
        await place.gate.hold(done)
        place.gate.sent(done.call_id)
        place.gate.settle(done.call_id, costing(0.1), end())
        await place.gate.hold(running)
        answer = await place.gate.hold(intent(text_bytes=100_000))

        assert isinstance(answer, Refused)
        assert "held for calls that are still running" in answer.message
        assert "On this machine $0.10 spent and $0.525 held of $1.00; this call needs $0.525." in answer.message


async def test_a_row_has_the_status_that_its_client_got(tmp_path):
    """Clients are refused in the shape at which they stop: the row says 402 where one got 402, and 429 where nobody says."""
    async with house(tmp_path, policy(budget(0.0))) as place:
        told: list[Refused] = []

        def answers(refused: Refused) -> int:
            told.append(refused)
            return 402

        shaped, plain = replace(intent(), answers=answers), intent()
        assert await place.gate.hold(shaped) == told[0]
        await place.gate.hold(plain)
        statuses = {row["id"]: row["http_status"] for row in place.rows.calls()}
        assert statuses == {shaped.call_id: 402, plain.call_id: 429}
