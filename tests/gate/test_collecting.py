"""Results that are read back are counted once, whatever comes first, whoever reads them, and however often."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gate.world import PRICES, Hold, House, asyncio, budget, costing, dollars, end, house, intent, policy
from spendgate.attribution import Attribution
from spendgate.gate import charging, collecting
from spendgate.gate.collecting import TOGETHER
from spendgate.gate.interface import Admitted, Collected
from spendgate.gate.result_ids import result_id_of, spread_id_of
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Reading, Result
from spendgate.providers.results import response_key

ROUTE = Route("anthropic", "openai-responses", Kind.RESULT, "/v1/responses/*")
_ids = itertools.count()


def found(place: House, *results: Result, person: str = "alice", api_key: str | None = None) -> Collected:
    """What one reading gave back."""
    who = Attribution(person=person, machine="lt-1")
    return Collected(place.time.now_ms(), "api.anthropic.com", ROUTE, Ask(api_key=api_key), who, results, 200)


def response(name: str, amount: float, *, background: bool = True, free: bool = False) -> Result:
    """A response that has been worked off."""
    reading = Reading(final=True, free=True) if free else costing(amount, output_share=0.5)
    reading = replace(reading, response_id=name, background=background)
    return Result(response_key(name), reading, awaited=True)


async def order(place: House, *, background: bool = True) -> str:
    """A call leaves; its id."""
    call = intent(background=background, text_bytes=4_000)
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    return call.call_id


def sum_of(place: House) -> tuple[int, int]:
    """What the rows cost together, and what the budget's balances say."""
    place.gate.backlog.write_out()
    with Reader(place.rows.path) as reader:
        assert reader.check() == ()
        settled = reader._conn.execute(
            "SELECT coalesce(sum(settled), 0), coalesce(sum(held), 0) FROM balances WHERE budget <> ''"
        )
        settled_nanos, held = settled.fetchone()
    assert held == 0
    return place.rows.spent(), settled_nanos


RULES = policy(budget(100.0), budget(50.0, "day", hold=Hold.CEILING))
"""Two budgets count each call, so the balances are twice the cost."""

STEPS = st.permutations(["settle", "poll", "poll", "other", "late"])


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, told=st.booleans(), amount=st.sampled_from([0.0001, 0.01, 3.0]))
def test_a_background_response_is_counted_once(tmp_path_factory, steps, told, amount):
    """Its POST ends with counts or without, before or after any poll, by this gate or another: the sum is the cost."""
    folder = tmp_path_factory.mktemp("ledger")

    async def run() -> None:
        async with house(folder, RULES) as place, house(folder, RULES) as other:
            call_id = await order(place)
            result = response("resp_1", amount)
            for step in steps:
                if step == "settle":
                    reading = result.reading if told else Reading(response_id="resp_1", background=True)
                    place.gate.settle(call_id, reading, end())
                elif step == "other":
                    other.gate.collect(found(other, result, person="bob"))
                else:
                    place.gate.collect(found(place, result))
            cost = sum_price(result.reading)
            rows, balances = sum_of(place)
            assert (rows, balances) == (cost, 2 * cost)

    asyncio.run(run())


def sum_price(reading: Reading) -> int:
    """The list price of a reading's only part, asked of genai-prices' book at the tests' time."""

    charge = PRICES.price("anthropic", reading.model, reading.parts[0].usage, at=datetime(2026, 9, 21, tzinfo=UTC))
    return charge.nanos  # type: ignore[union-attr]  # the model is listed


async def test_a_correction_is_booked_where_its_call_was(tmp_path: Path):
    """The row that corrects has the call's person, time and budgets, whoever polls, and the call's row stays as it was."""
    async with house(tmp_path, RULES) as place:
        call_id = await order(place)
        place.gate.settle(call_id, Reading(response_id="resp_1"), end())
        before = place.rows.calls()[0]
        place.gate.collect(found(place, response("resp_1", 0.01), person="bob", api_key="other"))
        first, second = sorted(place.rows.calls(), key=lambda row: row["id"] != call_id)

    assert first == before
    assert (second["person"], second["booked_at"], second["flags"]) == (
        "alice",
        first["booked_at"],
        f"corrects={call_id}",
    )
    assert first["cost_nanos"] + second["cost_nanos"] == dollars(0.01)
    assert second["cost_nanos"] < 0


async def test_a_failed_response_gives_its_charge_back(tmp_path: Path):
    """Failed without counts: the provider bills nothing, and the two rows are nothing together."""
    async with house(tmp_path, RULES) as place:
        call_id = await order(place)
        place.gate.settle(call_id, Reading(response_id="resp_1"), end())
        assert place.rows.spent() > 0
        place.gate.collect(found(place, response("resp_1", 0, free=True)))
        assert sum_of(place) == (0, 0)


async def test_an_ordinary_response_that_is_looked_at_again_costs_nothing(tmp_path: Path):
    """It was counted when it was made."""
    async with house(tmp_path, RULES) as place:
        call_id = await order(place, background=False)
        place.gate.settle(call_id, replace(costing(0.01), response_id="resp_1"), end())
        place.gate.collect(found(place, response("resp_1", 0.01, background=False)))
        assert len(place.rows.calls()) == 1


async def test_a_response_from_elsewhere_is_charged_to_its_reader(tmp_path: Path):
    """What no row here has sent is charged in full, once, where it is read."""
    async with house(tmp_path, RULES) as place:
        for person in ("bob", "alice"):
            place.gate.collect(found(place, response("resp_9", 0.02), person=person))
        row = place.rows.calls()[0]
        assert sum_of(place) == (dollars(0.02), 2 * dollars(0.02))

    assert (row["person"], row["flags"], row["cost_nanos"]) == ("bob", "sent from elsewhere", dollars(0.02))


async def test_a_correction_counts_in_a_budget_that_came_later(tmp_path: Path):
    """A new budget is filled from a call and its correction alike, whether it came before the correction or after it."""
    async with house(tmp_path, policy(budget(100.0))) as place:
        for name, between in (("resp_1", False), ("resp_2", True)):
            call_id = await order(place)
            place.gate.settle(call_id, Reading(response_id=name), end())
            if between:
                await place.gate.set_policy(_with(place, f"during {name}"))
            place.gate.collect(found(place, response(name, 0.01)))
        await place.gate.set_policy(_with(place, "after"))
        rows, balances = sum_of(place)

    assert rows == 2 * dollars(0.01)
    assert balances == 3 * rows


def _with(place: House, name: str) -> Policy:
    return policy(*place.gate.policy.budgets, budget(100.0, name))


async def test_a_batch_is_counted_once_and_its_custom_ids_are_not_kept(tmp_path: Path):
    """Read twice and by two gates at once: each result has one row; a person's own word for it is nowhere in the file."""
    results = tuple(Result(f"batch b secret-{number}", costing(0.001)) for number in range(60))
    async with house(tmp_path, RULES) as place, house(tmp_path, RULES) as other:
        for start in range(0, 60, 7):
            place.gate.collect(found(place, *results[start : start + 7]))
            other.gate.collect(found(other, *results[start : start + 9]))
        place.gate.collect(found(place, *results))
        assert len(place.rows.calls()) == 60
        assert sum_of(place) == (60 * dollars(0.001), 120 * dollars(0.001))

    assert b"secret-" not in b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))


@pytest.mark.parametrize("there", [[0], [1, 2], [TOGETHER - 1], [TOGETHER], range(5, 2 * TOGETHER, 7)])
async def test_what_some_rows_have_is_counted_once(tmp_path: Path, there: list[int]):
    """Whichever results of a file were written before, by this gate or by another."""
    results = [Result(f"batch b {number}", costing(0.001)) for number in range(2 * TOGETHER)]
    async with house(tmp_path, RULES) as place, house(tmp_path, RULES) as other:
        other.gate.collect(found(other, *(results[number] for number in there)))
        place.gate.collect(found(place, *results))
        assert len(place.rows.calls()) == len(results)
        assert sum_of(place) == (2 * TOGETHER * dollars(0.001), 4 * TOGETHER * dollars(0.001))
        assert not place.gate.backlog.refused


@pytest.mark.parametrize("upto", [1, TOGETHER - 3, TOGETHER + 5, 2 * TOGETHER])
async def test_what_has_an_earlier_id_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upto: int):
    """However far a file was read when ids did not tell their source."""
    results = [Result(f"batch b {number}", costing(0.001)) for number in range(2 * TOGETHER)]
    async with house(tmp_path, RULES) as place:
        with monkeypatch.context() as earlier:
            earlier.setattr(collecting, "result_id_of", spread_id_of)
            place.gate.collect(found(place, *results[:upto]))
        place.gate.collect(found(place, *results))
        assert sum_of(place) == (2 * TOGETHER * dollars(0.001), 4 * TOGETHER * dollars(0.001))


async def test_what_was_read_before_is_not_priced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that is read a second time costs a look into the ledger; a new result in it is written all the same."""
    results = tuple(Result(f"batch b {number}", costing(0.001)) for number in range(3 * TOGETHER))
    priced = 0
    settled = charging.settled

    def counting(*of: object) -> object:
        nonlocal priced
        priced += 1
        return settled(*of)  # type: ignore[arg-type]  # handed on as it came

    async with house(tmp_path, RULES) as place:
        place.gate.collect(found(place, *results))
        monkeypatch.setattr(charging, "settled", counting)
        place.time.wall_ms += 1000
        place.gate.collect(found(place, *results, Result("batch b new", costing(0.001))))
        assert priced == 1
        assert sum_of(place) == ((3 * TOGETHER + 1) * dollars(0.001), 2 * (3 * TOGETHER + 1) * dollars(0.001))


async def test_a_result_that_stands_twice_in_a_file_is_counted_once(tmp_path: Path):
    """Also where the lines share a transaction: the first that costs something is the one that counts."""
    nothing = Result("batch b 1", Reading(final=True, free=True))
    same = (nothing, Result("batch b 1", costing(0.001)), Result("batch b 1", costing(0.002)))
    async with house(tmp_path, RULES) as place:
        place.gate.collect(found(place, *same))
        assert sum_of(place) == (dollars(0.001), 2 * dollars(0.001))


async def test_results_that_fail_half_way_are_told_once(tmp_path: Path):
    """A transaction that fails at its third row leaves none, neither in the file nor in what decides without it; the next try
    writes all of them."""
    results = tuple(Result(f"batch b {number}", costing(0.001)) for number in range(5))
    async with house(tmp_path, RULES) as place:
        conn = place.ledger._store.conn
        conn.execute(
            "CREATE TEMP TRIGGER broken BEFORE INSERT ON chain WHEN NEW.position = 3 BEGIN SELECT json('{'); END"
        )
        place.gate.collect(found(place, *results))
        assert place.rows.calls() == []
        assert {each.settled for each in place.gate.fallback._seen.values()} <= {0}
        conn.execute("DROP TRIGGER broken")
        while place.gate.backlog:
            await asyncio.sleep(0.01)
        assert sum_of(place) == (5 * dollars(0.001), 10 * dollars(0.001))
        assert [each.settled for each in place.gate.fallback._seen.values()] == [5 * dollars(0.001)] * 2


async def test_results_teach_no_sizes(tmp_path: Path):
    """What a result used says nothing of what a request of so many bytes will need, also after a restart."""
    async with house(tmp_path, RULES) as place:
        place.gate.collect(found(place, *(Result(f"batch b {number}", costing(2.0)) for number in range(8))))
        fresh = place.ledger.recent(10)
    assert fresh == ()


@pytest.mark.parametrize("key", ["response resp_1", "batch b \udcff", "batch b a name", "odd"])
def test_ids_of_results(key: str):
    """One id for one key of one provider, of the form that RFC 9562 gives ids of an application's own making."""
    one = result_id_of("openai", key)
    assert one == result_id_of("openai", key) != result_id_of("azure", key)
    assert (one[14], one[19] in "89ab", len(one)) == ("8", True, 36)


def test_ids_of_numbered_results_begin_alike():
    """And no others do: what has no name of its own is spread, as it always was."""
    alike, apart = ("batch b q-100", "batch b q-199"), ("batch b q-200", "batch c q-100", "response 10", "response 11")
    ids = [result_id_of("anthropic", key) for key in (*alike, *apart)]
    begins = [each[:8] for each in ids]
    assert (len(set(ids)), len(set(begins)), begins[0]) == (6, 5, begins[1])
    assert ids[-2:] == [spread_id_of("anthropic", key) for key in apart[-2:]]


@pytest.mark.parametrize("held", [0.01, None], ids=["charged an estimate", "free"])
async def test_what_an_error_had_ended_is_corrected_by_late_counts(tmp_path: Path, held: float | None) -> None:
    """A WebSocket's response that failed for its client, with or without output, and was counted by its provider after all."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=0))) as place:
        call_id = await order(place, background=False)
        nothing = Reading(
            response_id="r1", ended=True, final=held is None, free=held is None, output_bytes=400 if held else 0
        )
        place.gate.settle(call_id, nothing, replace(end(), counts_later=True))
        before, _ = sum_of(place)
        assert bool(before) == bool(held)

        for _ in range(2):
            place.gate.collect(found(place, response("r1", 0.02, background=False)))

        assert sum_of(place) == (dollars(0.02), dollars(0.02))


async def test_what_ended_with_its_counts_waits_for_no_more(tmp_path: Path) -> None:
    """An ordinary response that is looked at again is not charged again."""
    async with house(tmp_path, policy(budget(1.0, wait_ms=0))) as place:
        call_id = await order(place, background=False)
        place.gate.settle(call_id, replace(costing(0.02), response_id="r1"), end())
        place.gate.collect(found(place, response("r1", 0.03, background=False)))

        assert sum_of(place) == (dollars(0.02), dollars(0.02))
