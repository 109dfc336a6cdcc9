"""The gate over a real ledger: who is admitted, who waits, what is charged, and that every refusal can be proved."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gate.world import budget, costing, dollars, end, house, intent, policy, replace, used
from spendgate.admission import Hold, RefusalKind
from spendgate.exchange import State
from spendgate.gate.interface import Admitted, End, Gone, Refused, Seen
from spendgate.policy import Mode, ModelRule
from spendgate.providers.interface import Reading


async def serve(gate, call, cost, *, seconds=0.05):
    """Ask for one call and, if it may leave, let it run and settle; what became of it."""
    answer = await gate.hold(call)
    if isinstance(answer, Admitted):
        gate.sent(call.call_id)
        await asyncio.sleep(seconds)
        gate.settle(call.call_id, costing(cost), end())
        return "admitted"
    return answer.refuse.kind.value if isinstance(answer, Refused) else "gone"


def prove(row):
    """Assert that a refused row's figures satisfy the inequality of its kind."""
    settled, hold = row["refused_settled_nanos"], row["refused_hold_nanos"]
    held = row["refused_held_nanos"] if row["refused_why"] == "held" else 0
    assert settled + held + hold > row["refused_limit_nanos"]


async def test_equal_calls_use_a_budget_exactly(tmp_path):
    """A hundred concurrent calls of $0.05, cold, against $1: twenty are admitted, nothing is over, each refusal is proved."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=60_000))) as place:
        said = Counter(await asyncio.gather(*(serve(place.gate, intent(), 0.05) for _ in range(100))))

        assert said == {"admitted": 20, "spent": 80}
        assert place.rows.spent() == dollars(1)
        for row in place.rows.calls("state = 'refused'"):
            prove(row)


async def test_ceiling_admits_exactly_what_fits(tmp_path):
    """A thousand concurrent calls with a bound of $0.10 against $5: exactly fifty, and not one nano-dollar over."""
    async with house(tmp_path, policy(budget(5.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        calls = [intent(text_bytes=15_000, output_max=1_000) for _ in range(1_000)]
        said = Counter(await asyncio.gather(*(serve(place.gate, call, 0.1, seconds=0.5) for call in calls)))

        assert said == {"admitted": 50, "spent": 950}
        assert place.rows.spent() == dollars(5)


async def test_hidden_input_does_not_pass_the_budget(tmp_path):
    """Calls that cost twenty times what their request shows, cold: at most 5% over."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=60_000))) as place:
        calls = [intent(text_bytes=200, output_max=10) for _ in range(100)]
        said = Counter(await asyncio.gather(*(serve(place.gate, call, 0.05) for call in calls)))

        assert said["admitted"] == 20
        assert place.rows.spent() <= dollars(1.05)


async def test_holding_nothing_would_overshoot(tmp_path, monkeypatch):
    """The mutation: with the hold forced to nothing the same calls pass the budget."""
    monkeypatch.setattr("spendgate.admission.wanted", lambda *_: 0)
    async with house(tmp_path, policy(budget(1.0))) as place:
        said = Counter(await asyncio.gather(*(serve(place.gate, intent(), 0.05) for _ in range(100))))

        assert said["admitted"] > 21


async def test_a_newcomer_is_not_refused_for_what_another_model_costs(tmp_path):
    """A little budget with most of it left admits a first call of a model, whatever calls of other models needed."""
    async with house(tmp_path, policy()) as place:
        for _ in range(4):
            other = intent("bob", model="claude-sonnet-4-5")
            await place.gate.hold(other)
            place.gate.sent(other.call_id)
            place.gate.settle(other.call_id, replace(costing(0.3), model="claude-sonnet-4-5"), end())
        await place.gate.set_policy(policy(budget(0.04)))
        spent = intent()
        await place.gate.hold(spent)
        place.gate.sent(spent.call_id)
        place.gate.settle(spent.call_id, Reading(stated_cost_nanos=dollars(0.0057), final=True), end())
        newcomer = intent()
        answer = await place.gate.hold(newcomer)

        assert isinstance(answer, Admitted)
        assert place.rows.calls(f"id = '{newcomer.call_id}'")[0]["held_nanos"] == dollars(0.04) - dollars(0.0057)


async def test_people_do_not_wait_for_each_other(tmp_path):
    """While one person's budget is held, another's call leaves at once."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        assert isinstance(await place.gate.hold(intent("alice", text_bytes=150_000)), Admitted)
        waiting = asyncio.create_task(place.gate.hold(intent("alice", text_bytes=150_000)))
        await asyncio.sleep(0.01)

        assert isinstance(await place.gate.hold(intent("bob", text_bytes=150_000)), Admitted)
        assert not waiting.done()
        waiting.cancel()


async def test_a_settled_call_wakes_the_next_in_line(tmp_path):
    """Waiters are served first come first served, as soon as a hold is gone."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first, order = intent(text_bytes=150_000), []
        await place.gate.hold(first)

        async def wait(name):
            call = intent(text_bytes=150_000)
            assert isinstance(await place.gate.hold(call), Admitted)
            order.append(name)
            place.gate.settle(call.call_id, Reading(), end(sent=False))

        waiters = []
        for name in ("second", "third", "fourth"):
            waiters.append(asyncio.create_task(wait(name)))
            await asyncio.sleep(0.01)
        place.gate.settle(first.call_id, Reading(), end(sent=False))
        await asyncio.gather(*waiters)

        assert order == ["second", "third", "fourth"]


async def test_what_others_hold_is_refused_as_held(tmp_path):
    """After its wait a call that others' holds keep out is refused as `held`, provably, and may try again."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60))) as place:
        await place.gate.hold(intent(text_bytes=150_000))
        answer = await place.gate.hold(intent(text_bytes=150_000))

        assert isinstance(answer, Refused)
        assert answer.refuse.kind is RefusalKind.HELD
        assert answer.refuse.retry_after_ms >= 1_000
        (row,) = place.rows.calls("state = 'refused'")
        assert row["waited_ms"] >= 60
        prove(row)


async def test_a_call_that_may_not_wait_is_answered_at_once(tmp_path):
    """Without `may_wait` the refusal comes without a wait."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=3_600_000))) as place:
        await place.gate.hold(intent(text_bytes=150_000))
        answer = await place.gate.hold(intent(text_bytes=150_000, may_wait=False))

        assert isinstance(answer, Refused)
        assert place.rows.calls("state = 'refused'")[0]["waited_ms"] == 0


async def test_a_waiter_whose_client_has_gone_takes_no_hold(tmp_path):
    """A client that leaves while its call waits has a failed row, no hold, and nobody waits behind it."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first, gone = intent(text_bytes=150_000), []
        await place.gate.hold(first)
        waiting = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000, gone=lambda: bool(gone))))
        await asyncio.sleep(0.02)
        gone.append(True)
        answer = await waiting
        place.gate.settle(first.call_id, Reading(), end(sent=False))

        assert isinstance(answer, Gone)
        assert place.rows.states() == {"failed": 2}
        assert isinstance(await place.gate.hold(intent(text_bytes=150_000)), Admitted)


async def test_a_cancelled_waiter_gives_up_its_place(tmp_path):
    """Cancelling a waiting call frees its place in the line for those behind it."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first = intent(text_bytes=150_000)
        await place.gate.hold(first)
        cancelled = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000)))
        await asyncio.sleep(0.01)
        behind = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000)))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        place.gate.settle(first.call_id, Reading(), end(sent=False))

        assert isinstance(await behind, Admitted)


@pytest.mark.parametrize(
    ("reading", "how", "expected"),
    [
        pytest.param(costing(0.05), end(), ("settled", "reported", dollars(0.05)), id="reported"),
        pytest.param(Reading(), end(sent=False), ("failed", None, 0), id="nothing was sent"),
        pytest.param(Reading(free=True), end(status=529), ("settled", "reported", 0), id="the provider says free"),
        pytest.param(
            used(final=False, input_tokens=1_000, output_tokens=1, output_bytes=300),
            end(complete=False, error="client"), ("interrupted", "estimated", 1_000 * 5_000 + 100 * 25_000),
            id="broken off: counted input, estimated output",
        ),
        pytest.param(
            used(final=False, input_tokens=1_000, output_tokens=1), end(complete=False, error="client"),
            ("interrupted", "estimated", 1_000 * 5_000 + 25_000), id="broken off after the first counts",
        ),
        pytest.param(
            Reading(output_bytes=300), end(), ("settled", "estimated", 500 * 5_000 + 100 * 25_000),
            id="a whole answer of a provider that never counts",
        ),
        pytest.param(
            Reading(stated_cost_nanos=123, final=True), end(), ("settled", "reported", 123), id="the provider's own price"
        ),
    ],
)  # fmt: skip
async def test_a_call_is_charged_once_by_what_is_known(tmp_path, reading, how, expected):
    """From `sent` on a call is never free; what the provider counted is charged, what it did not is estimated and says so."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)
        if how.sent:
            place.gate.sent(call.call_id)
        for _ in range(2):
            place.gate.settle(call.call_id, reading, how)

        (row,) = place.rows.calls()
        assert (row["state"], row["basis"], row["cost_nanos"]) == expected
        assert not place.gate.open_calls


async def test_a_blind_end_under_ceiling_is_charged_the_ceiling(tmp_path):
    """A call held by its ceiling, of whose use nothing is known, is charged that ceiling."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, Reading(), end(complete=False, status=None))

        (row,) = place.rows.calls()
        assert (row["basis"], row["cost_nanos"]) == ("ceiling", row["ceiling_nanos"])


async def test_subscription_traffic_costs_no_budget(tmp_path):
    """A subscription call has cost 0, its value at list price, and passes where the budget is spent."""
    async with house(tmp_path, policy(budget(0.0001))) as place:
        call = intent(billing="subscription")
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.05), end())

        (row,) = place.rows.calls()
        assert (row["cost_nanos"], row["value_nanos"]) == (0, dollars(0.05))


async def test_an_unknown_model_is_never_free(tmp_path):
    """A model without a price is charged at the policy's `pricing.unknown_model`, and flagged."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent(model="nobody-knows-1")
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        reading = Reading(used(input_tokens=1_000, output_tokens=100).parts, "nobody-knows-1", final=True)
        place.gate.settle(call.call_id, reading, end())

        (row,) = place.rows.calls()
        assert row["cost_nanos"] == 1_000 * 15_000 + 100 * 75_000
        assert "unknown price" in row["flags"]


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


async def test_what_is_free_has_a_row(tmp_path):
    """An exchange that held nothing is recorded with its state."""
    async with house(tmp_path, policy()) as place:
        call = intent()
        seen = Seen(
            call.call_id, call.started_ms, call.host, call.route, call.ask, call.attribution, State.FREE, 10, end()
        )
        place.gate.record(seen)

        assert place.rows.states() == {"free": 1}


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
        assert "On this machine $0.10 spent and $0.52 held of $1.00; this call needs $0.52." in answer.message


async def test_first_counts_free_what_is_not_needed(tmp_path):
    """A stream's first counts bring its hold down to what is still to be expected, and let the next one leave."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=60_000))) as place:
        first = intent(text_bytes=100_000, output_max=10_000)
        await place.gate.hold(first)
        place.gate.sent(first.call_id)
        waiting = asyncio.create_task(place.gate.hold(intent(text_bytes=1_000, output_max=10_000)))
        await asyncio.sleep(0.01)
        assert not waiting.done()

        assert place.gate.progress(first.call_id, used(final=False, input_tokens=1_000, output_tokens=1)) is None
        assert isinstance(await waiting, Admitted)


async def test_a_stream_is_cut_where_its_money_ends(tmp_path):
    """With `cut` a stream may use what is left, and gets a notice when it would pass it; without, it never does."""
    for cut in (True, False):
        folder = tmp_path / str(cut)
        folder.mkdir()
        async with house(folder, policy(budget(0.1, cut=cut))) as place:
            call = intent(output_max=32_000)
            answer = await place.gate.hold(call)
            assert isinstance(answer, Admitted)
            assert answer.cut is cut
            place.gate.sent(call.call_id)
            notices = [
                place.gate.progress(call.call_id, used(final=False, input_tokens=1_000, output_tokens=tokens))
                for tokens in (1, 1_000, 3_700, 4_000)
            ]

            assert notices[:3] == [None] * 3
            assert (notices[3] is not None) is cut


async def test_a_new_budget_counts_what_its_window_holds(tmp_path):
    """A policy that brings a new budget finds in it what was spent before it took force."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(2), end())
        await place.gate.set_policy(policy(budget(10.0), budget(1.0, "tool", per=("tool",))))
        answer = await place.gate.hold(intent())

        assert isinstance(answer, Refused)
        assert (answer.refuse.rule, answer.refuse.settled_nanos) == ("tool", dollars(2))


async def test_a_second_gate_learns_from_the_first(tmp_path):
    """A gate that starts on a ledger with settled calls knows their sizes."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        for _ in range(3):
            await serve(place.gate, intent(), 0.05, seconds=0)
    async with house(tmp_path, policy(budget(100.0))) as place:
        call = intent()
        await place.gate.hold(call)

        assert place.rows.calls(f"id = '{call.call_id}'")[0]["estimate_nanos"] == dollars(0.05)


async def test_clock_steps_free_nothing_and_end_no_wait(tmp_path):
    """The wall clock set back an hour frees no money, and a wait lasts as long as the boot clock says."""
    async with house(tmp_path, policy(budget(0.1, wait_ms=50))) as place:
        call = intent()
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(0.1), end())
        place.time.wall_ms -= 3_600_000
        answer = await place.gate.hold(intent())

        assert isinstance(answer, Refused)
        assert answer.refuse.kind is RefusalKind.SPENT


def test_an_end_is_all_that_settling_needs():
    """`End` has no field that could hold content."""
    assert End.__slots__ == (
        "ended_ms", "sent", "complete", "http_status", "first_byte_ms", "duration_ms", "response_bytes", "error",
    )  # fmt: skip
