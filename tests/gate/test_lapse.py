"""A policy that ends, and one that must not decide without its hub: what calls meet, to the millisecond, while the gate runs."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import date, datetime

import pytest

from gate.world import Hold, House, Mode, budget, costing, dollars, end, house, intent, policy
from spendgate.admission import RefusalKind
from spendgate.gate.interface import Admitted, Refused
from spendgate.lapse import ended, refusal
from spendgate.policy import Policy
from spendgate.reach import Fleet
from spendgate.validity import Validity

LAST = date(2027, 3, 31)


def at(text: str) -> int:
    """Epoch milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def ending(expired: str, *, zone: str = "America/Los_Angeles", **words: object) -> Policy:
    """A policy with $10 that ends on `LAST`."""
    validity = Validity(valid_until=LAST, expired=expired)  # type: ignore[arg-type]  # the tests' own words
    return policy(budget(10.0), validity=validity, timezone=zone, **words)


async def answered(place: House) -> Admitted | Refused:
    """One call of $1, which ends at once."""
    call = intent()
    answer = await place.gate.hold(call)
    if isinstance(answer, Admitted):
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, costing(1.0), end())
    assert isinstance(answer, Admitted | Refused)
    return answer


def audited(place: House) -> list[tuple[str, str]]:
    """The audit trail."""
    with sqlite3.connect(place.rows.path) as conn:
        rows = conn.execute("SELECT what, detail FROM audit").fetchall()
    conn.close()
    return rows


@pytest.mark.parametrize(
    ("zone", "instant"),
    [
        pytest.param("America/Los_Angeles", "2027-04-01T07:00:00+00:00", id="summer time"),
        pytest.param("UTC", "2027-04-01T00:00:00+00:00", id="UTC"),
        pytest.param("Pacific/Kiritimati", "2027-03-31T10:00:00+00:00", id="14 hours ahead"),
        pytest.param("Etc/GMT+12", "2027-04-01T12:00:00+00:00", id="12 hours behind"),
    ],
)
def test_the_last_day_ends_at_midnight_in_the_policys_zone(zone, instant):
    """Its last millisecond is still inside."""
    ends = ending("refuse", zone=zone)
    assert not ended(ends, at(instant) - 1) and refusal(ends, at(instant) - 1) is None
    assert ended(ends, at(instant)) and refusal(ends, at(instant)) is not None


def test_a_midnight_that_the_clock_skips_ends_the_day_all_the_same():
    """Beirut sets its clock forward at midnight: the day after begins at one o'clock."""
    ends = policy(validity=Validity(valid_until=date(2027, 3, 27), expired="refuse"), timezone="Asia/Beirut")
    assert ends.ends_ms == at("2027-03-28T01:00:00+03:00") == at("2027-03-27T22:00:00+00:00")


async def test_an_end_that_passes_while_running_refuses(tmp_path):
    """The day and the owner stand in the refusal; nothing is held; a call under way goes on to its end."""
    async with house(tmp_path, ending("refuse", owner="platform-ai@acme.example")) as place:
        place.time.wall_ms = at("2027-04-01T06:59:00+00:00")
        running = intent()
        assert isinstance(await place.gate.hold(running), Admitted)
        place.gate.sent(running.call_id)
        place.time.wall_ms = at("2027-04-01T07:00:00+00:00")

        answer = await answered(place)

        assert isinstance(answer, Refused)
        assert (answer.refuse.kind, answer.refuse.rule) == (RefusalKind.RULE, "valid_until")
        assert answer.message == (
            "Spendgate: the policy ended on 2027-03-31 and refuses calls since; platform-ai@acme.example answers for it "
            "(rule valid_until). Ask in #ai-budget."
        )
        assert await place.gate.spent(intent(), writes=False) is not None
        place.gate.settle(running.call_id, costing(1.0), end())
        assert place.rows.states() == {"settled": 1, "refused": 1}
        assert place.rows.spent() == dollars(1)
        assert place.rows.calls("state = 'refused'")[0]["refused_by"] == "valid_until"


async def test_a_renewed_policy_lets_calls_go_again(tmp_path):
    """And what was spent before counts on."""
    async with house(tmp_path, ending("refuse")) as place:
        place.time.wall_ms = at("2027-04-01T07:00:00+00:00")
        assert isinstance(await answered(place), Refused)
        await place.gate.set_policy(
            policy(budget(10.0), validity=Validity(valid_until=date(2028, 3, 31), expired="refuse"))
        )
        assert isinstance(await answered(place), Admitted)


async def test_keep_goes_on_and_is_told_once(tmp_path, caplog):
    """In the log and in the audit trail, when the day is over, and not again at each look."""
    async with house(tmp_path, ending("keep")) as place:
        place.time.wall_ms = at("2027-04-01T06:59:00+00:00")
        place.gate._upkeep._watch_end()
        assert not [what for what, _ in audited(place) if what == "policy ended"]
        place.time.wall_ms = at("2027-04-01T07:00:00+00:00")
        for _ in range(3):
            place.gate._upkeep._watch_end()

        assert isinstance(await answered(place), Admitted)
        told = [detail for what, detail in audited(place) if what == "policy ended"]
        assert told == [f"{place.gate.policy.hash} ended on 2027-03-31: it stays in force"]
        (line,) = [record.getMessage() for record in caplog.records if "ended on" in record.getMessage()]
        assert "admin@acme.example answers for it" in line


async def test_a_gate_that_starts_after_the_end_says_so(tmp_path):
    """At once, not at the first look."""
    async with house(tmp_path, ending("refuse", zone="UTC"), start=False) as place:
        place.time.wall_ms = at("2028-01-01T00:00:00+00:00")
        await place.gate.start()
        assert [detail.endswith("calls are refused") for what, detail in audited(place) if what == "policy ended"] == [
            True
        ]


async def test_a_call_that_waits_past_the_end_is_refused(tmp_path):
    """It has not left; its place in line is given up."""
    rules = ending("refuse", zone="UTC").model_copy(
        update={"budgets": (budget(1.0, hold=Hold.CEILING, wait_ms=60_000),)}
    )
    async with house(tmp_path, rules) as place:
        place.time.wall_ms = at("2027-03-31T23:59:00+00:00")
        assert isinstance(await place.gate.hold(intent(text_bytes=150_000)), Admitted)
        waits = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000)))
        await asyncio.sleep(0.1)
        assert not waits.done()
        place.time.wall_ms = at("2027-04-01T00:00:00+00:00")

        answer = await waits

        assert isinstance(answer, Refused) and answer.refuse.rule == "valid_until"
        with sqlite3.connect(place.rows.path) as conn:
            assert conn.execute("SELECT count(*) FROM waiters").fetchone() == (0,)
        conn.close()


async def test_observe_records_an_end_and_refuses_nothing(tmp_path):
    """As it does with every rule."""
    async with house(tmp_path, ending("refuse", zone="UTC", mode=Mode(default="observe"))) as place:
        place.time.wall_ms = at("2028-01-01T00:00:00+00:00")
        assert isinstance(await answered(place), Admitted)
        assert place.rows.calls()[0]["would_refuse_by"] == "valid_until"


async def test_offline_refuse_refuses_while_no_hub_is_reached(tmp_path):
    """This version never reaches one; the word is not ignored. `allow` and `lease` let each machine go on alone."""
    for offline, admitted in (("refuse", False), ("allow", True), ("lease", True)):
        fleet = Fleet.model_validate({"hub": "https://spend.acme.example", "offline": offline})
        (tmp_path / offline).mkdir()
        async with house(tmp_path / offline, policy(budget(10.0), fleet=fleet)) as place:
            answer = await answered(place)
            assert isinstance(answer, Admitted) is admitted
            if isinstance(answer, Refused):
                assert "no hub is reached by this version" in answer.message
                assert answer.refuse.rule == "fleet.offline"


async def test_a_failing_ledger_does_not_outlast_an_end(tmp_path, monkeypatch):
    """`on_failure: allow` is about what cannot be decided; an end can be."""
    async with house(tmp_path, ending("refuse", zone="UTC")) as place:
        place.time.wall_ms = at("2028-01-01T00:00:00+00:00")
        answer = await place.gate.failing(intent(), "a test")
        assert isinstance(answer, Refused) and answer.refuse.rule == "valid_until"
