"""What a call is charged whose provider gave no counts: hanging up saves nothing, under any `hold`."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gate.world import Hold, budget, costing, end, house, intent, policy, used
from spendgate.providers.interface import Head
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.reading import Reading

HUNG_UP = end(complete=False, status=None, error="client")


async def run(place, reading, how, **words):
    """One call from hold to settlement; its row."""
    call = intent(**words)
    await place.gate.hold(call)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, reading, how)
    (row,) = place.rows.calls(f"id = '{call.call_id}'")
    return row


@pytest.mark.parametrize(
    ("reading", "how"),
    [
        pytest.param(Reading(), HUNG_UP, id="before the first byte"),
        pytest.param(Reading(output_bytes=9), HUNG_UP, id="after the first word"),
        pytest.param(Reading(), end(complete=False, status=None, error="server"), id="the provider went away"),
        pytest.param(Reading(), end(), id="an answer that shows nothing"),
    ],
)
async def test_a_cold_call_without_counts_is_charged_its_ceiling(tmp_path, reading, how):
    """With nothing learned, a call of which nothing was counted costs the most it can, not the share of a budget it held."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        row = await run(place, reading, how)

        assert row["held_nanos"] > 100 * row["ceiling_nanos"]
        assert row["cost_nanos"] == row["value_nanos"] == row["ceiling_nanos"] > 500 * 5_000
        assert row["basis"] == "ceiling"
        assert "no counts" in row["flags"]


async def test_a_cold_call_without_counts_costs_no_more_than_was_held(tmp_path):
    """Where less was left than its ceiling, a call that held the rest is charged that rest, an estimate."""
    async with house(tmp_path, policy(budget(0.02))) as place:
        row = await run(place, Reading(), HUNG_UP)

        assert row["cost_nanos"] == row["held_nanos"] == 20_000_000 < row["ceiling_nanos"]
        assert row["basis"] == "estimated"


async def test_a_cold_call_without_a_ceiling_is_charged_its_guess(tmp_path):
    """Where nothing bounds a call, what it was guessed to cost at most is charged, whatever the budget made of that."""
    async with house(tmp_path, policy(budget(1_000.0))) as place:
        row = await run(place, Reading(), HUNG_UP, loops=True)

        assert row["ceiling_nanos"] is None
        assert row["cost_nanos"] == row["estimate_nanos"] == 10 * 10_000 * 5_000 + 1_000 * 25_000 < row["held_nanos"]
        assert row["basis"] == "estimated"


async def test_a_call_of_which_nothing_is_known_is_charged_what_was_seen(tmp_path):
    """A model without price and window holds a twelfth of what is left; what it sent and got is all there is to charge."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        row = await run(place, Reading(output_bytes=30), HUNG_UP, model="nobody-knows-1", output_max=None)

        assert row["held_nanos"] == 100_000_000_000 // 12
        assert row["cost_nanos"] == 500 * 15_000 + 10 * 75_000
        assert (row["basis"], "no counts" in row["flags"]) == ("estimated", True)


async def test_what_other_models_cost_is_charged_up_to_the_ceiling(tmp_path):
    """A tool's dear calls to one model make a small call to another, hung up, no dearer than it can be."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        for _ in range(5):
            await run(place, costing(2.0, output_share=1.0), end(), output_max=None)
        row = await run(place, Reading(), HUNG_UP, model="claude-sonnet-4-5", output_max=50)

        assert row["cost_nanos"] == row["ceiling_nanos"] < row["held_nanos"]


async def test_a_known_kind_without_counts_is_charged_its_median(tmp_path):
    """Once calls of the kind have been counted, one that hangs up costs what they usually do."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        for amount in (0.02, 0.05, 0.05, 0.05, 0.3):
            await run(place, costing(amount, output_share=1.0), end())
        row = await run(place, Reading(), HUNG_UP)

        assert (row["basis"], row["cost_nanos"]) == ("estimated", 50_000_000)


async def test_what_was_streamed_is_the_least(tmp_path):
    """A broken-off answer that was longer than usual is charged for what was seen of it."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        for _ in range(3):
            await run(place, costing(0.001), end(), output_max=None)
        row = await run(place, Reading(output_bytes=30_000), HUNG_UP, output_max=None)

        assert row["cost_nanos"] == 500 * 5_000 + 10_000 * 25_000


@pytest.mark.parametrize("how", [HUNG_UP, end()], ids=["hung up", "complete"])
@pytest.mark.parametrize("reading", [Reading(), Reading(output_bytes=300)], ids=["nothing seen", "text seen"])
async def test_under_ceiling_an_answer_without_counts_costs_the_ceiling(tmp_path, reading, how):
    """Bytes are no bound: where the provider counted nothing, a budget that holds ceilings is charged the ceiling."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        row = await run(place, reading, how)

        assert (row["basis"], row["cost_nanos"]) == ("ceiling", row["ceiling_nanos"])
        assert "no counts" in row["flags"]


@pytest.mark.parametrize("complete", [False, True], ids=["hung up", "complete"])
@pytest.mark.parametrize("seen", [0, 300, 600_000])
async def test_under_ceiling_output_that_is_not_counted_costs_the_most_it_can(tmp_path, seen, complete):
    """After the first counts of a stream unseen thinking may be billed: counted input, and all the output asked for."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        reading = used(final=False, input_tokens=100, output_tokens=1, output_bytes=seen)
        row = await run(place, reading, end(complete=complete))

        assert row["cost_nanos"] == 100 * 5_000 + 1_000 * 25_000 < row["ceiling_nanos"]
        assert row["basis"] == "ceiling"
        assert "output not counted" in row["flags"]


async def test_under_ceiling_counted_input_costs_no_more_than_the_ceiling(tmp_path):
    """Where the ceiling covers more output than is left beside the counted input, the ceiling is the charge."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        row = await run(place, used(final=False, input_tokens=2_500, output_tokens=1), HUNG_UP)

        assert (row["basis"], row["cost_nanos"]) == ("ceiling", row["ceiling_nanos"])


@pytest.mark.parametrize("how", [end(), HUNG_UP], ids=["complete", "hung up"])
@pytest.mark.parametrize("hold", (Hold.EXPECTED, Hold.CEILING))
async def test_an_estimate_passes_no_window_and_no_bound(tmp_path, hold, how):
    """Of a long body that is only referred to or packed no more is input than the model can take, and the call costs no more."""
    async with house(tmp_path, policy(budget(100.0, hold=hold))) as place:
        row = await run(place, Reading(output_bytes=300_000), how, text_bytes=8_000_000, opaque_input=True)

        assert row["input_tokens"] == 200_000
        assert row["cost_nanos"] <= row["ceiling_nanos"] == 200_000 * 5_000 + 1_000 * 25_000


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        pytest.param("whisper-1", 360_000_000 // 3, id="by the hour"),
        pytest.param("gpt-4o-transcribe", 12_000 * 6_000 + 1_000 * 10_000, id="by tokens"),
    ],
)
@pytest.mark.parametrize("how", [end(), HUNG_UP], ids=["complete", "hung up"])
async def test_a_recording_without_counts_is_charged_by_how_long_it_is(tmp_path, model, cost, how):
    """Twenty minutes, written down as plain text: not the bytes of the file."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        call = intent(
            model=model, text_bytes=19_200_000, output_max=None, opaque_input=True,
            packed_bytes=19_200_000, packed_tokens=12_000, audio_ms=1_200_000,
        )  # fmt: skip
        call = replace(call, route=replace(call.route, provider="openai", dialect="openai-transcriptions"))
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, Reading(output_bytes=3_000), how)
        (row,) = place.rows.calls()

        least = cost if how.complete or model == "whisper-1" else row["ceiling_nanos"]
        assert (row["basis"], row["cost_nanos"]) == ("estimated" if least == cost else "ceiling", least)


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        pytest.param("amazon.nova-canvas-v1:0", 25 * 15_000 + 4 * 1_290 * 75_000, id="without a price"),
        pytest.param("gpt-image-1.5", 25 * 5_000 + 4 * 1_290 * 32_000, id="by tokens of images"),
    ],
)
async def test_pictures_without_counts_are_charged_by_their_number(tmp_path, model, cost):
    """Not by the bytes of what asked for them."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        call = intent(model=model, text_bytes=100, output_max=None, opaque_input=True, loops=True, pictures=4)
        call = replace(call, route=replace(call.route, provider="aws" if "nova" in model else "openai"))
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, Reading(ended=True), end())
        (row,) = place.rows.calls()

        assert (row["basis"], row["cost_nanos"]) == ("estimated", cost)


QUEUED = b"""{"id": "resp_1", "object": "response", "created_at": 1, "status": "queued", "background": true, "error": null,
 "instructions": "Be brief.", "model": "gpt-5", "output": [], "usage": null}"""
CREATED = b"""event: response.created
data: {"type":"response.created","response":{"id":"resp_1","status":"queued","background":true,"usage":null,"output":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"some words"}

"""


@pytest.mark.parametrize(
    ("answer", "headers", "how"),
    [
        pytest.param(QUEUED, {"content-type": "application/json"}, end(), id="queued"),
        pytest.param(CREATED, {"content-type": "text/event-stream"}, end(), id="streamed, ended early"),
        pytest.param(CREATED, {"content-type": "text/event-stream"}, HUNG_UP, id="streamed, hung up"),
    ],
)
@pytest.mark.parametrize("hold", (Hold.EXPECTED, Hold.CEILING))
async def test_a_background_call_is_charged_the_most_it_can_cost(tmp_path, answer, headers, how, hold):
    """`background: true` is worked off after the answer, in full: with nothing learned its row costs the ceiling."""
    dialect = OpenAIResponses()
    head = Head("POST", "api.openai.com", "/v1/responses", "", headers)
    ask = dialect.ask(head, b'{"model": "gpt-5", "background": true, "max_output_tokens": 1000, "input": "Count."}')
    assert ask.background
    reader = dialect.reader(ask, 200, headers)
    reader.feed(answer)
    async with house(tmp_path, policy(budget(1.0, hold=hold))) as place:
        row = await run(place, reader.close(), how, background=True)

        assert row["cost_nanos"] == row["ceiling_nanos"] > 500 * 5_000
        assert row["basis"] == "ceiling"
        assert "background" in row["flags"]


async def test_a_background_call_costs_no_less_than_its_hold(tmp_path):
    """Small calls before it make no big background call cheap: where the hold is more than the median, the hold counts."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        for amount in (0.001, 0.001, 0.001, 0.05):
            await run(place, costing(amount, output_share=1.0), end(), output_max=None)
        row = await run(place, Reading(), end(), output_max=None, background=True)

        assert row["cost_nanos"] == row["held_nanos"] > 1_000_000
