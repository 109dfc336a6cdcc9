"""Holding, correcting, settling and releasing: money moves once, and the balance follows in the same transaction."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.kit import (
    DAY,
    FAILED,
    HOUR,
    NOW,
    ROW,
    admit,
    open_ledger,
    refuse,
    row,
    scope,
    settled,
    standing_of,
    within_limits,
)
from spendgate.admission import Admit, Decision, RefusalKind, Refuse
from spendgate.ledger import Ledger, open_calls, rows_alike
from spendgate.ledger.check import check
from spendgate.ledger.interface import Counted
from spendgate.ledger.open_calls import Held
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.standing import Hold, KindStanding, Standing
from spendgate.usage import Usage

DAILY, MONTHLY, ROLLING = scope(), scope("person/month", window="2026-11"), scope("person/24h", rolling_ms=DAY)


def test_hold_counts_at_once_and_settles_to_its_charge(ledger: Ledger) -> None:
    """A hold is in the balance before the call leaves; its charge replaces it."""
    ledger.hold(ROW, (DAILY, ROLLING), admit(700), NOW)
    held = standing_of(ledger, DAILY)
    assert (held.settled_nanos, held.held_nanos, held.open_calls) == (0, 700, 1)
    assert ledger.settle(ROW.id, settled(300, DAILY, ROLLING))
    for each in (DAILY, ROLLING):
        after = standing_of(ledger, each)
        assert (after.settled_nanos, after.held_nanos, after.ceiling_nanos, after.open_calls) == (300, 0, 0, 0)


def test_settled_once(ledger: Ledger) -> None:
    """Whatever comes after the first end changes nothing and says so."""
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    assert [ledger.settle(ROW.id, settled(cost, DAILY)) for cost in (300, 400)] == [True, False]
    assert ledger.settle(ROW.id, FAILED) is False
    assert ledger.resize(ROW.id, ((DAILY, 900),), NOW) == ()
    assert standing_of(ledger, DAILY).settled_nanos == 300


def test_unknown_call_settles_nothing(ledger: Ledger) -> None:
    """Ending a call that was never opened is told, not guessed."""
    assert ledger.settle("never-held", settled(5, DAILY)) is False


def test_failed_call_releases_its_hold(ledger: Ledger) -> None:
    """Nothing was sent: nothing is charged."""
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    assert ledger.settle(ROW.id, FAILED)
    after = standing_of(ledger, DAILY)
    assert (after.settled_nanos, after.held_nanos) == (0, 0)


def test_charge_beyond_hold_is_posted_and_flagged(ledger: Ledger, reader: Reader) -> None:
    """An overrun is posted in full, never clipped to the hold or the limit."""
    tight = scope(limit=500)
    ledger.hold(ROW, (tight,), admit(400), NOW)
    ledger.settle(ROW.id, settled(9_000, tight))
    assert standing_of(ledger, tight).settled_nanos == 9_000
    assert reader.call(ROW.id)[0]["flags"] == "overrun"


def test_answering_model_charges_a_budget_that_held_nothing(ledger: Ledger) -> None:
    """The hold of a budget that the answer does not fit is released; one that it fits is charged without a hold."""
    opus, haiku = scope("opus"), scope("haiku", rolling_ms=DAY)
    ledger.hold(ROW, (DAILY, opus), admit(700), NOW)
    ledger.settle(ROW.id, settled(100, DAILY, haiku))
    assert [standing_of(ledger, each).settled_nanos for each in (DAILY, opus, haiku)] == [100, 0, 100]
    assert standing_of(ledger, opus).held_nanos == 0


def test_resize_moves_hold_and_gives_the_standing(ledger: Ledger, reader: Reader) -> None:
    """A correction replaces the hold; the largest one granted stays on the row."""
    ledger.hold(ROW, (DAILY, MONTHLY), admit(700), NOW)
    (daily,) = ledger.resize(ROW.id, ((DAILY, 900),), NOW)
    assert (daily.held_nanos, daily.ceiling_nanos) == (900, 900)
    assert standing_of(ledger, MONTHLY).held_nanos == 700
    ledger.resize(ROW.id, ((DAILY, 50),), NOW)
    assert standing_of(ledger, DAILY).held_nanos == 50
    ledger.settle(ROW.id, settled(60, DAILY, MONTHLY))
    assert reader.call(ROW.id)[0]["held_nanos"] == 900


def test_a_correction_sees_the_window_as_it_is_then(ledger: Ledger, reader: Reader) -> None:
    """Rolling: what a correction gives back counts the calls of the window that ends at that moment, as a hold would."""
    sliding = scope("person/1h", rolling_ms=HOUR)
    for name, at in (("long ago", NOW), ("running", NOW + HOUR // 2)):
        ledger.hold(row(name), (sliding,), admit(700), at)
    ledger.settle("long ago", settled(900, sliding))
    for at, counted in ((NOW + HOUR - 1, 900), (NOW + HOUR, 0)):
        (seen,) = ledger.resize("running", ((sliding, 150),), at)
        assert (seen.settled_nanos, seen.held_nanos) == (counted, 150)
        assert seen == standing_of(ledger, sliding, at)
    (outlasted,) = ledger.resize("running", ((sliding, 90),), NOW + 2 * HOUR)
    assert (outlasted.settled_nanos, outlasted.held_nanos, outlasted.open_calls) == (0, 0, 0)
    assert reader.check() == ()
    ledger.settle("running", settled(90, sliding))
    assert reader.check() == ()


def test_ceiling_sums_bounds_of_open_calls(ledger: Ledger) -> None:
    """An open call counts its bound, one without a bound its hold."""
    ledger.hold(row("a", ceiling_nanos=5_000), (DAILY,), admit(700), NOW)
    ledger.hold(row("b"), (DAILY,), admit(300), NOW)
    standing = standing_of(ledger, DAILY)
    assert (standing.held_nanos, standing.ceiling_nanos, standing.open_calls) == (1_000, 5_300, 2)


def test_hold_is_of_the_whole_call_or_of_nothing(ledger: Ledger) -> None:
    """A decision that raises leaves no row, no hold and no lock behind."""

    def broken(*_: object) -> Admit:
        raise RuntimeError("a fault in the decision")

    with pytest.raises(RuntimeError, match="a fault in the decision"):
        ledger.hold(ROW, (DAILY,), broken, NOW)
    ledger.hold(ROW, (DAILY,), admit(5), NOW)
    assert standing_of(ledger, DAILY).held_nanos == 5


def test_same_call_is_not_held_twice(ledger: Ledger) -> None:
    """A second hold under one id is refused, and holds nothing."""
    ledger.hold(ROW, (DAILY,), admit(5), NOW)
    with pytest.raises(ValueError, match=r"call_rows\.id"):
        ledger.hold(ROW, (DAILY,), admit(5), NOW)
    assert standing_of(ledger, DAILY).held_nanos == 5


def test_admit_must_hold_in_every_scope(ledger: Ledger) -> None:
    """An Admit that forgets a budget is a fault of the gate, not a free pass."""
    with pytest.raises(ValueError, match="each scope"):
        ledger.hold(ROW, (DAILY, MONTHLY), lambda standings, kind: Admit(((DAILY, 5),)), NOW)


def test_kinds_are_counted_over_gates(ledger: Ledger, tmp_path: Path) -> None:
    """How many calls of a kind have settled and are open is one number for all gates; failed ones teach nothing."""
    other = open_ledger(tmp_path)
    for name, gate in (("a", ledger), ("b", other), ("c", other)):
        gate.hold(row(name), (DAILY,), admit(5), NOW)
    ledger.settle("a", settled(5, DAILY))
    other.settle("b", FAILED)
    seen: list[KindStanding] = []
    ledger.hold(row("d"), (), lambda standings, kind: seen.append(kind) or Admit(()), NOW)  # type: ignore[func-returns-value]
    assert seen == [KindStanding(ROW.kind, settled=1, open_calls=1)]
    other.settle("c", FAILED)
    other.close()


def test_refused_row_keeps_its_figures(ledger: Ledger, reader: Reader) -> None:
    """A refusal is provable from its row: settled + hold > limit for `spent`; written once, whatever is retried."""
    tight = scope(limit=1_000)
    ledger.hold(row("a"), (tight,), admit(800), NOW)
    ledger.settle("a", settled(800, tight))
    decision = ledger.hold(ROW, (tight,), within_limits(300), NOW)
    assert isinstance(decision, Refuse)
    for _ in range(2):
        ledger.refused(ROW, decision, now_ms=NOW, waited_ms=12, http_status=429)
    (found,) = reader.calls(Span(where=(("state", "refused"),)))
    figures = {name: found[f"refused_{name}_nanos"] for name in ("settled", "held", "hold", "limit")}
    assert figures == {"settled": 800, "held": 0, "hold": 300, "limit": 1_000}
    assert (found["refused_by"], found["refused_why"], found["http_status"], found["waited_ms"]) == (
        "person/day", RefusalKind.SPENT, 429, 12,
    )  # fmt: skip


def test_refused_takes_only_a_refusal(ledger: Ledger) -> None:
    """Nothing else can stand in a refused row."""
    with pytest.raises(TypeError, match="Refuse"):
        ledger.refused(ROW, Admit(()), now_ms=NOW, waited_ms=0, http_status=429)


@pytest.mark.parametrize("state", ["free", "unrecognized", "failed"])
def test_recorded_costs_nothing(ledger: Ledger, reader: Reader, state: str) -> None:
    """Calls that held nothing have a row, and no money."""
    ledger.recorded(
        ROW, state, ended_ms=NOW + 5, http_status=200, request_bytes=7, response_bytes=9, duration_ms=5, first_byte_ms=2,
        flags=("a", "b"),
    )  # fmt: skip
    found = reader.call(ROW.id)[0]
    assert (found["state"], found["cost_nanos"], found["request_bytes"], found["flags"]) == (state, None, 7, "a,b")
    assert found["booked_at"] is None


def test_recorded_refuses_billable_states(ledger: Ledger) -> None:
    """A settled call cannot be written around the hold."""
    with pytest.raises(ValueError, match="settled"):
        ledger.recorded(
            ROW,
            "settled",
            ended_ms=NOW,
            http_status=200,
            request_bytes=0,
            response_bytes=0,
            duration_ms=0,
            first_byte_ms=0,
        )


def test_would_refuse_is_kept(ledger: Ledger, reader: Reader) -> None:
    """Under observe the rule that would have refused stands on the admitted row."""
    ledger.hold(
        ROW,
        (DAILY,),
        lambda standings, kind: Admit(((DAILY, 5),), would_refuse=refuse(standings[0], 5)),
        NOW,
    )
    assert reader.call(ROW.id)[0]["would_refuse_by"] == "person/day"


def test_only_calls_with_a_value_prove_their_kind(ledger: Ledger, reader: Reader) -> None:
    """What used nothing does not end a kind's slow start; a subscription's call, which costs nothing but has a value, does."""
    seen: list[KindStanding] = []

    def look(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        seen.append(kind)
        return Admit(((DAILY, 5),))

    for number, end in enumerate((settled(0, DAILY), settled(0, DAILY, value_nanos=7), settled(7, DAILY), FAILED)):
        ledger.hold(row(str(number)), (DAILY,), look, NOW)
        ledger.settle(str(number), end)
    ledger.hold(ROW, (DAILY,), look, NOW)

    assert [kind.settled for kind in seen] == [0, 0, 1, 2, 2]
    assert reader.check() == ()


def test_call_belongs_to_the_instant_of_its_hold(ledger: Ledger) -> None:
    """Settling in the next window charges the window of the hold; a new window is a new row."""
    tomorrow = scope(window="2026-11-23", starts_ms=NOW + 23 * HOUR, ends_ms=NOW + 47 * HOUR)
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    ledger.settle(ROW.id, settled(650, DAILY, ended_ms=NOW + DAY))
    assert standing_of(ledger, DAILY).settled_nanos == 650
    assert standing_of(ledger, tomorrow, NOW + DAY).settled_nanos == 0


def test_other_words_are_another_budget(ledger: Ledger) -> None:
    """A budget that counts something else under the same name does not inherit the old sum."""
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    assert standing_of(ledger, scope(words="other")).held_nanos == 0
    assert standing_of(ledger, scope(limit=1, hold=Hold.CEILING)).held_nanos == 700


NANOS = st.integers(-(2**63), 2**63 - 1)
HELD = st.builds(Held, st.integers(1), NANOS, NANOS, st.sampled_from(Hold), st.sampled_from([0, 1]))


@given(st.lists(st.tuples(HELD, NANOS)))
def test_the_holds_of_a_row_are_read_back_as_they_were_written(pairs: list[tuple[Held, int]]) -> None:
    """While the call is open and when it has ended; the text is plain JSON without spaces, which the chain covers."""
    holds = tuple(hold for hold, _ in pairs)
    fields = [[at.balance, at.nanos, at.bound_nanos, at.mode.value, at.added] for at in holds]  # type: ignore[attr-defined]
    ended = [[*each, cost] for each, (_, cost) in zip(fields, pairs, strict=True)]
    assert open_calls.packed(holds) == json.dumps(fields, separators=(",", ":"))
    charged = open_calls.charged(
        [(at.balance, at.nanos, at.bound_nanos, at.mode, at.added, cost) for at, cost in pairs]
    )
    assert charged == json.dumps(ended, separators=(",", ":"))
    assert open_calls.unpacked(open_calls.packed(holds)) == holds == open_calls.unpacked(charged)


def test_which_results_have_a_row(ledger: Ledger) -> None:
    """Those that were written, and no other."""
    assert ledger.collected(row("r-1"), settled(5, DAILY), NOW)
    assert ledger.written(("r-1", "r-2")) == {"r-1"}
    assert ledger.written(()) == frozenset()
    assert not ledger.collected(row("r-1"), settled(9, DAILY), NOW)
    assert standing_of(ledger, DAILY).settled_nanos == 5


@pytest.mark.parametrize("team", ["web", "Größe"])
def test_results_that_are_gathered_are_written_as_each_would_be(tmp_path: Path, team: str) -> None:
    """The same rows, links and balances as one by one, however many, whatever columns are empty or not ASCII; a rolling window
    counts those it covers."""
    scopes = DAILY, scope("person/24h", rolling_ms=DAY)
    names = (None, "msg_1", 'a "name"', "Grüße", "\x7f", None)
    count = sum(rows_alike.SIZES) + 1
    each = [
        Counted(f"r-{number}", Usage(input_tokens=number), number, names[number % 6], f"p{number % 2}")
        for number in range(1, count + 1)
    ]
    found: list[object] = []
    total = sum(one.nanos for one in each)
    for name in ("apart", "together"):
        (tmp_path / name).mkdir()
        ledger = open_ledger(tmp_path / name)
        ledger.collected(row("before"), settled(7, DAILY), NOW)
        if name == "apart":
            for one in each:
                end = settled(one.nanos, *scopes, usage=one.usage, response_id=one.response_id, prices=one.prices)
                assert ledger.collected(row(one.id, team=team), end, NOW)
        else:
            ledger.gathered(
                row("", team=team), settled(1, *scopes, usage=Usage(output_tokens=5), response_id="x"), each, NOW
            )
        ledger.collected(row("after"), settled(9, DAILY), NOW)
        assert standing_of(ledger, DAILY).settled_nanos == 7 + total + 9
        assert standing_of(ledger, scopes[1], NOW + 1).settled_nanos == total
        ledger.close()
        with closing(sqlite3.connect(tmp_path / name / "ledger.db")) as conn:
            assert check(conn) == ()
            found += [conn.execute(f"SELECT * FROM {table}").fetchall() for table in ("call_rows", "chain", "balances")]  # noqa: S608 - our words
    assert found[:3] == found[3:]


def counted(name: str) -> Counted:
    """A result that costs a nano-dollar."""
    return Counted(name, Usage(input_tokens=1), 1, None, "p")


def test_what_has_a_row_is_not_gathered_again(ledger: Ledger) -> None:
    """Not one of them is written then: who asks has not looked."""
    ledger.collected(row("r-2"), settled(5, DAILY), NOW)
    with pytest.raises(ValueError, match="other rows"):
        ledger.gathered(row(""), settled(1, DAILY), [counted("r-1"), counted("r-2")], NOW)
    assert ledger.written(("r-1", "r-2")) == {"r-2"}
    assert standing_of(ledger, DAILY).settled_nanos == 5
    ledger.gathered(row(""), settled(1, DAILY), [counted("r-1")], NOW)
    assert standing_of(ledger, DAILY).settled_nanos == 6
