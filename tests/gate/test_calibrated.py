"""Estimates that bills have calibrated: charged, held and told by the newest factor, and nothing settled is touched."""

from __future__ import annotations

from pathlib import Path

from gate.world import House, budget, end, house, intent, policy, used
from spendgate.calibration import LEAST_PPM, Factor, Factors, as_estimated, charged_by
from spendgate.gate.interface import Admitted, Intent
from spendgate.ledger.calibrations import Calibration
from spendgate.ledger.statements import StatementBook
from spendgate.providers.reading import Part, Reading
from spendgate.usage import NO_USAGE, Usage

RAW = 1_000 * 5_000 + 100 * 25_000
"""What 4,000 bytes asked and 300 answered are estimated to cost."""


def uncounted() -> Intent:
    """A call whose wire shows no counts."""
    return intent(text_bytes=4_000)


async def turn(place: House, reading: Reading | None = None) -> dict[str, object]:
    """One call that ends so; without a reading, without counts. Its row."""
    call = uncounted()
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, reading or Reading(output_bytes=300, ended=True), end())
    return next(row for row in place.rows.calls() if row["id"] == call.call_id)


def calibrate(folder: Path, ppm: int, model: str = "claude-opus-4-5", tool: str = "claude-code") -> str:
    """Put a factor in force, as `reconcile calibrate --write` does; its name."""
    learned = Calibration(tool, model, ppm, 500_000, 10_000, 9, 90, 0, 1, ("a1b2c3d4",))
    with StatementBook(folder / "ledger.db") as book:
        return book.calibrate([learned], "admin", 1)[0].name


async def test_the_newest_factor_multiplies_what_is_estimated_and_the_row_says_so(tmp_path: Path) -> None:
    async with house(tmp_path, policy(budget(10.0))) as place:
        before = await turn(place)
        first = calibrate(tmp_path, 2_000_000)
        place.gate._learning.calibrate()
        doubled = await turn(place)
        second = calibrate(tmp_path, 3_000_000)
        place.gate._learning.calibrate()
        tripled = await turn(place)
        rows = place.rows.calls()
    assert [row["cost_nanos"] for row in (before, doubled, tripled)] == [RAW, 2 * RAW, 3 * RAW]
    assert {row["basis"] for row in rows} == {"estimated"}
    assert "calibrated" not in str(before["flags"])
    assert doubled["flags"] == f"estimate: calibrated x2.000000 by {first}"
    assert f"x3.000000 by {second}" in str(tripled["flags"])
    assert (doubled["input_tokens"], doubled["output_tokens"]) == (2_000, 200), "the row's counts make its cost"
    assert next(row for row in rows if row["id"] == before["id"])["cost_nanos"] == RAW, "what has settled stays"


async def test_a_restarted_gate_has_the_factor_and_learns_sizes_from_what_was_estimated_before_it(
    tmp_path: Path,
) -> None:
    """A kind of which nothing could be learned holds its bound; with a factor, what such calls have cost by it."""
    async with house(tmp_path, policy(budget(10.0))) as place:
        for _ in range(4):
            await turn(place)
        cold = await place.gate.hold(call := uncounted())
        assert isinstance(cold, Admitted)
        (guess,) = (row["estimate_nanos"] for row in place.rows.calls("state = 'open'"))
        place.gate.settle(call.call_id, Reading(), end(sent=False, complete=False))
    calibrate(tmp_path, 2_000_000)
    async with house(tmp_path, policy(budget(10.0))) as place:
        assert isinstance(await place.gate.hold(uncounted()), Admitted)
        (learned,) = (row["estimate_nanos"] for row in place.rows.calls("state = 'open'"))
        assert (await turn(place))["cost_nanos"] == 2 * RAW
    assert guess > 2 * RAW
    assert learned == 2 * RAW


async def test_only_its_tool_and_model_and_only_what_nobody_counted(tmp_path: Path) -> None:
    async with house(tmp_path, policy(budget(10.0))) as place:
        calibrate(tmp_path, 2_000_000, model="gpt-5")
        calibrate(tmp_path, 2_000_000, tool="cursor")
        place.gate._learning.calibrate()
        other = await turn(place)
        calibrate(tmp_path, 2_000_000)
        place.gate._learning.calibrate()
        counted = await turn(place, used(input_tokens=1_000, output_tokens=100))
        half = await turn(place, Reading((Part(Usage(input_tokens=1_000)),), output_bytes=300))
    assert other["cost_nanos"] == RAW
    assert (counted["cost_nanos"], counted["basis"], counted["flags"]) == (RAW, "reported", "")
    assert half["cost_nanos"] == 1_000 * 5_000 + 200 * 25_000, "the provider's own count of the input stands"


def test_a_factor_taken_back_is_none() -> None:
    assert Factors([Factor("cursor", "gpt-5", 1_000_000, "a")]).of("cursor", "gpt-5") is None
    known = Factor("cursor", "claude-opus-4-5", LEAST_PPM, "abcdef01")
    assert Factors([known]).of("cursor", "claude-4.5-opus-high-thinking") is known
    assert Factors([known]).of(None, "claude-opus-4-5") is None
    assert charged_by(f"beyond the plan,{known.flag}") == LEAST_PPM
    assert as_estimated(200, known.flag) == 1_000
    assert charged_by("beyond the plan") == 1_000_000
    assert known.scaled(Usage(input_tokens=10, output_tokens=3), NO_USAGE) == Usage(input_tokens=2, output_tokens=1)
