"""While a call runs: its hold follows its own counts, and a budget with `cut` ends it where its money ends."""

from __future__ import annotations

import asyncio

from gate.world import budget, costing, end, house, intent, policy, used
from spendgate.gate.interface import Admitted
from spendgate.providers.reading import Reading
from spendgate.window import Unit, Window


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


async def test_a_stream_is_not_cut_for_what_has_left_the_window(tmp_path):
    """A rolling budget cuts by what its window holds at that moment, not by what it held when the stream began."""
    hour_ms = 3_600_000
    window = Window(unit=Unit.ROLLING, length_ms=hour_ms)
    async with house(tmp_path, policy(budget(1.0, cut=True, window=window))) as place:
        before, call = intent(), intent(output_max=32_000)
        await place.gate.hold(before)
        place.gate.sent(before.call_id)
        place.gate.settle(before.call_id, costing(0.9), end())
        place.time.wall_ms += hour_ms * 5 // 6
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        fitting = used(final=False, input_tokens=1_000, output_tokens=4_000)
        place.time.wall_ms += hour_ms // 3
        assert place.gate.progress(call.call_id, fitting) is None
        too_much = used(final=False, input_tokens=1_000, output_tokens=41_000)
        assert place.gate.progress(call.call_id, too_much) is not None


async def test_a_cut_stream_without_counts_costs_what_it_showed(tmp_path):
    """Streams that count at their end alone (Converse, chat) are cut by an estimate, and that is what they cost: the output that
    was still expected did not come."""
    async with house(tmp_path, policy(budget(0.05, cut=True))) as place:
        call = intent(text_bytes=100, output_max=None)
        await place.gate.hold(call)
        place.gate.sent(call.call_id)
        shown = [Reading(output_bytes=size) for size in range(1_000, 40_000, 1_000)]
        reading = next(each for each in shown if place.gate.progress(call.call_id, each) is not None)
        place.gate.settle(call.call_id, reading, end(complete=False, error="cut"))
        [row] = place.rows.calls()
        assert (row["state"], row["basis"]) == ("interrupted", "estimated")
        assert 45_000_000 < row["cost_nanos"] < 60_000_000
