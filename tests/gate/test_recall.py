"""Conversations that the provider keeps: what the next turn does not show is held, estimated and learned all the same."""

from __future__ import annotations

from pathlib import Path

from gate.world import House, budget, end, house, intent, policy, replace, used
from spendgate.gate.interface import Admitted
from spendgate.gate.recall import KEPT_MAX, Recall
from spendgate.providers.reading import Reading
from spendgate.usage import Usage

TURN = 400
"""Bytes of one turn, of 100 tokens."""


async def answered(place: House, reading: Reading, **ask: object) -> dict[str, object]:
    """One turn, whose row it gives."""
    call = intent(text_bytes=TURN, output_max=None, opaque_input=True, **ask)
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, reading, end())
    return next(row for row in place.rows.calls() if row["id"] == call.call_id)


def counted(name: str, tokens: int) -> Reading:
    """An answer of this name: so much input, and 100 tokens of output."""
    return replace(used(input_tokens=tokens, output_tokens=100), response_id=name)


async def test_a_turn_is_held_with_what_it_goes_on_from(tmp_path: Path) -> None:
    """Its estimate follows the conversation, though each request is as short as the first; before, it stayed the first's."""
    async with house(tmp_path, policy(budget(1_000.0))) as place:
        estimates, before = [], None
        for turn in range(1, 21):
            row = await answered(place, counted(f"r{turn}", 100 + 2_000 * (turn - 1)), continues=before)
            estimates.append(int(str(row["estimate_nanos"])))
            before = f"r{turn}"
        true = 5_000 * (100 + 2_000 * 19) + 25_000 * 100
        assert 0.4 * true < estimates[-1] < 2.5 * true
        stranger = await answered(place, counted("s", 100), continues="never seen")
        assert int(str(stranger["estimate_nanos"])) < true / 4


async def test_an_estimate_counts_what_is_kept(tmp_path: Path) -> None:
    """Where no counts come (claude.ai, ChatGPT), each turn reads all that was said before it."""
    uncounted = Reading(output_bytes=300, ended=True)
    async with house(tmp_path, policy(budget(1_000.0))) as place:
        rows = [await answered(place, uncounted, continues="c", conversation="c") for _ in range(3)]
        other = await answered(place, uncounted, continues="d", conversation="d")
    assert [row["input_tokens"] for row in rows] == [100, 300, 500]
    assert other["input_tokens"] == 100
    assert {row["basis"] for row in (*rows, other)} == {"estimated"}


def test_memory_is_bounded_and_each_providers_own() -> None:
    """The oldest go; the same name at another provider is another conversation; a call that used nothing changes nothing."""
    recall = Recall()
    named = intent(continues="r0")
    for number in range(KEPT_MAX + 1):
        recall.saw(intent(), f"r{number}", Usage(input_tokens=10, output_tokens=1))
    assert len(recall._tokens) == KEPT_MAX
    assert recall.known(named) is named
    last = intent(text_bytes=TURN, continues=f"r{KEPT_MAX}")
    assert recall.known(last).ask.text_bytes == TURN + 44
    elsewhere = replace(last, route=replace(last.route, provider="openai"))
    assert recall.known(elsewhere) is elsewhere
    recall.saw(intent(), f"r{KEPT_MAX}", Usage())
    assert recall.known(last).ask.text_bytes == TURN + 44
