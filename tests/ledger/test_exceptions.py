"""Exceptions: they add what they say, to whom they say, while they say, and never a nano-dollar more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.desk import Desk, at, dollars
from ledger.processes import finish, line, worker
from spendgate import limits
from spendgate.admission import Admit, Refuse, Wait

PEOPLE = """\
people:
  alice: {team: payments, groups: [senior]}
  bob: {team: payments}
  carol: {}
teams: {payments: {owner: lead@acme.example}}
"""
PERSON = "budgets: [{name: person, per: person, limit: $100 per month, hold: ceiling}]\n"
ORGANIZATION = "budgets: [{name: organization, limit: $100 per day, hold: ceiling}]\n"
DAY = 86_400_000
NOON = at("2026-12-07T12:00Z")


def exception(
    budget: str, match: str, raises: str, *, from_: str = "2026-12-01", until: str = "2026-12-15", **more: str
) -> str:
    """One exception as a file has it."""
    words = {"budget": budget, "match": match, "from": from_, "until": until, "reason": "release week",
             "approved_by": "cto@acme.example", **more}  # fmt: skip
    lines = "".join(f"    {key}: {value}\n" for key, value in words.items() if value)
    return f"  - {raises}\n{lines}"


def desk(folder: Path, budgets: str, *exceptions: str) -> Desk:
    """A policy of these budgets and exceptions."""
    return Desk(folder, f"{PEOPLE}{budgets}exceptions:\n{''.join(exceptions)}")


def room(made: Desk, at_ms: int, **words: object) -> int:
    """How many dollars such a caller can still hold, found by asking for one after the other."""
    count = 0
    while count < 1_000 and isinstance(made.ask(at_ms, dollars(1), **words)[1], Admit):
        count += 1
    return count


@pytest.mark.parametrize(
    ("raises", "match", "alice", "bob"),
    [
        pytest.param("add: $200", "{person: alice}", 300, 100, id="a person's, added"),
        pytest.param("limit: $250", "{person: alice}", 250, 100, id="a person's, replaced"),
        pytest.param("add: $20", "{team: payments}", 120, 120, id="each of a team"),
        pytest.param("add: $20", "{group: senior}", 120, 100, id="each of a group"),
        pytest.param("add: $20", "{person: [bob, carol]}", 100, 120, id="a list of people"),
        pytest.param("add: $20", "{team: payments, group: senior}", 120, 100, id="all keys must fit"),
    ],
)
def test_it_raises_the_allowance_of_those_whom_it_fits(
    tmp_path: Path, raises: str, match: str, alice: int, bob: int
) -> None:
    """By the budget's own `per` value, or by team or group: that allowance and no other."""
    made = desk(tmp_path, PERSON, exception("person", match, raises))
    assert room(made, NOON, person="alice", team="payments", group=("senior",)) == alice
    assert room(made, NOON, person="bob", team="payments") == bob
    made.close()
    assert made.faults() == ()


def test_it_begins_and_ends_to_the_millisecond_in_the_files_zone(tmp_path: Path) -> None:
    """`from` is the start of its day and `until` the end of its, where the file's clock is; what was not used is gone."""
    text = exception("person", "{person: alice}", "add: $50", from_="2026-12-02", until="2026-12-03")
    made = Desk(tmp_path, f"timezone: America/Los_Angeles\n{PEOPLE}{PERSON}exceptions:\n{text}")
    starts, ends = at("2026-12-02T00:00-08:00"), at("2026-12-04T00:00-08:00")
    limits = [made.standing(now, "person").limit_nanos for now in (starts - 1, starts, ends - 1, ends)]
    assert limits == [dollars(100), dollars(150), dollars(150), dollars(100)]
    made.close()


def test_it_adds_in_each_window_that_it_overlaps(tmp_path: Path) -> None:
    """Every day from the 2nd to the 4th has $5 more, used or not; the days around them have none."""
    daily = "budgets: [{name: person, per: person, limit: $20 per day, hold: ceiling}]\n"
    made = desk(
        tmp_path, daily, exception("person", "{person: alice}", "add: $5", from_="2026-12-02", until="2026-12-04")
    )
    assert [room(made, at(f"2026-12-0{day}T12:00Z")) for day in range(1, 6)] == [20, 25, 25, 25, 20]
    made.close()
    assert made.faults() == ()


def test_what_was_spent_under_it_stays_its_own_after_the_end(tmp_path: Path) -> None:
    """$130 spent until the end of a $50 exception leave $20 of $100; in the next window nothing of it is left."""
    made = desk(tmp_path, PERSON, exception("person", "{person: alice}", "add: $50"))
    for _ in range(13):
        assert made.spend(NOON, dollars(10))
    after = at("2026-12-16T12:00Z")
    assert made.standing(after, "person").limit_nanos == dollars(150)
    assert room(made, after) == 20
    assert room(made, at("2027-01-04T12:00Z")) == 100
    made.close()
    assert made.faults() == ()


def test_what_was_not_spent_under_it_is_gone_after_the_end(tmp_path: Path) -> None:
    """$30 under a $50 exception: $30 of it counted there, and the whole limit is left."""
    made = desk(tmp_path, PERSON, exception("person", "{person: alice}", "add: $50"))
    assert made.spend(NOON, dollars(30))
    assert room(made, at("2026-12-16T12:00Z")) == 100
    made.close()


@pytest.mark.parametrize("match", ["{project: host/acme/launch}", "{team: payments}"])
@pytest.mark.parametrize("first", ["those it fits", "the others"])
def test_neither_side_takes_the_others_money(tmp_path: Path, match: str, first: str) -> None:
    """In a shared budget of $100 with $30 for a project or a team, the others have $100 whoever comes first."""
    made = desk(tmp_path, ORGANIZATION, exception("organization", match, "add: $30"))
    fitting = {"person": "bob", "team": "payments", "project": "host/acme/launch"}
    if first == "the others":
        assert room(made, NOON, person="carol") == 100
        assert room(made, NOON, **fitting) == 30
    else:
        assert [made.spend(NOON, dollars(1), **fitting) for _ in range(30)] == [True] * 30
        assert room(made, NOON, person="carol") == 100
    assert room(made, NOON, **fitting) == 0
    made.close()
    assert made.faults() == ()


def test_one_call_uses_up_one_exception(tmp_path: Path) -> None:
    """Two of $10 fit the same $10 of calls: others have the limit itself, not $10 more for money that was spent once."""
    two = [exception("organization", "{project: x}", "add: $10", reason=reason) for reason in ("launch", "audit")]
    made = desk(tmp_path, ORGANIZATION, *two)
    assert made.spend(NOON, dollars(10), project="x")
    assert room(made, NOON, person="carol") == 100
    assert room(made, NOON, project="x") == 10
    made.close()
    assert made.faults() == ()


def test_one_that_has_its_window_elsewhere_takes_no_call_from_another(tmp_path: Path) -> None:
    """An exception that holds once stands first in the file and is used up: what is spent counts in the one that holds now."""
    daily = "budgets: [{name: person, per: person, limit: $20 per day, hold: ceiling}]\n"
    once = exception("person", "{person: alice}", "add: $100", reason="once", once="true")
    made = desk(tmp_path, daily, once, exception("person", "{person: alice}", "add: $5", until="2026-12-08T18:00Z"))
    assert made.spend(NOON, dollars(50))
    assert made.spend(NOON + DAY, dollars(4))
    assert room(made, NOON + DAY + DAY // 3) == 20
    made.close()


def test_whose_money_is_its_own_does_not_stand_in_line_for_the_rest(tmp_path: Path) -> None:
    """While carol waits for what running calls hold, the project's calls take the exception's money at once, until it is used up;
    then they stand behind her."""
    made = desk(tmp_path, ORGANIZATION, exception("organization", "{project: x}", "add: $30"))
    assert isinstance(made.ask(NOON, dollars(100), person="carol")[1], Admit)
    assert isinstance(made.ask(NOON, dollars(1), person="carol", patient=True)[1], Wait)
    said = [type(made.ask(NOON, dollars(10), project="x", patient=True)[1]) for _ in range(4)]
    assert said == [Admit, Admit, Admit, Wait]
    made.close()
    assert made.faults() == ()


def test_in_an_allowance_of_its_own_everybody_stands_in_line(tmp_path: Path) -> None:
    """An exception that every call of the allowance fits gives nobody a place before those who came first."""
    made = desk(tmp_path, PERSON, exception("person", "{person: alice}", "add: $50"))
    assert isinstance(made.ask(NOON, dollars(100))[1], Admit)
    assert isinstance(made.ask(NOON, dollars(60), patient=True)[1], Wait)
    assert isinstance(made.ask(NOON, dollars(10), patient=True)[1], Wait)
    made.close()


def test_a_refusal_and_status_name_the_exception(tmp_path: Path) -> None:
    """Who approved it is a claim, and is called one; the ledger's row has it, too."""
    made = desk(tmp_path, PERSON, exception("person", "{person: alice}", "add: $50"))
    assert room(made, NOON) == 150
    _, refused = made.ask(NOON, dollars(1))
    assert isinstance(refused, Refuse)
    said = "$50.00 of it by the exception 'release week', approved by cto@acme.example (as claimed)"
    assert (refused.limit_nanos, refused.limit_from) == (dollars(150), said)
    assert said in refused.reason
    ((credit, extra),) = made.standing(NOON, "person").limit.raised
    assert (credit.reason, extra) == ("release week", dollars(50))
    made.close()


def test_after_its_end_the_limit_says_what_was_spent_under_it(tmp_path: Path) -> None:
    """What it still adds is no more money: nobody may read that an exception or a grant that is over goes on."""
    made = desk(tmp_path, PERSON, exception("person", "{person: alice}", "add: $50"))
    assert room(made, NOON) == 150
    _, refused = made.ask(at("2026-12-20T12:00Z"), dollars(1))
    assert isinstance(refused, Refuse)
    by = "the exception 'release week', approved by cto@acme.example (as claimed)"
    assert refused.limit_from == f"$50.00 of it is what was spent under {by}"
    ended = made.standing(at("2026-12-20T12:00Z"), "person")
    ((credit, extra),) = ended.limit.raised
    granted = replace(credit, granted="until Tue 15 Dec 2026 by lead: release week")
    told = limits.told(ended.scope, replace(ended.limit, raised=((granted, extra),)))
    assert told == "$50.00 of it is what was spent under a grant until Tue 15 Dec 2026 by lead: release week"
    made.close()


def test_several_that_fit_add_up_and_the_highest_replaces(tmp_path: Path) -> None:
    """Two additions are two; of two replacements the higher one holds, and additions come on top."""
    many = [
        exception("person", "{person: alice}", "add: $10"),
        exception("person", "{person: alice}", "add: $5", reason="on call"),
        exception("person", "{person: alice}", "limit: $140", reason="audit"),
        exception("person", "{group: senior}", "limit: $120", reason="seniors"),
    ]
    made = desk(tmp_path, PERSON, *many)
    assert made.standing(NOON, "person", group=("senior",)).limit_nanos == dollars(155)
    made.close()


def test_once_is_for_the_first_window_that_needs_it(tmp_path: Path) -> None:
    """Days within the limit leave it alone; the first that goes over has all of it; no other day has any."""
    daily = "budgets: [{name: person, per: person, limit: $20 per day, hold: ceiling}]\n"
    made = desk(tmp_path, daily, exception("person", "{person: alice}", "add: $100", once="true"))
    days = [at(f"2026-12-0{day}T12:00Z") for day in range(1, 6)]
    assert made.spend(days[0], dollars(20))
    assert made.spend(days[1], dollars(50))
    assert room(made, days[2]) == 20
    assert room(made, days[1]) == 70
    assert not made.spend(days[0], dollars(1))
    assert made.standing(days[1], "person").limit_nanos == dollars(120)
    assert made.standing(days[3], "person").limit_nanos == dollars(20)
    made.close()
    assert made.faults() == ()


def test_once_keeps_its_window_whatever_becomes_of_its_dates_and_sums(tmp_path: Path) -> None:
    """A later revision that prolongs or enlarges it gives no second window; another gate and a restart neither."""
    daily = "budgets: [{name: person, per: person, limit: $20 per day, hold: ceiling}]\n"
    made = desk(tmp_path, daily, exception("person", "{person: alice}", "add: $100", once="true"))
    assert made.spend(NOON, dollars(50))
    made.close()
    later = desk(tmp_path, daily, exception("person", "{person: alice}", "add: $500", until="2027-01-31", once="true"))
    later.fill(NOON + DAY)
    assert room(later, NOON + DAY) == 20
    later.close()


def test_once_in_a_sliding_window_lasts_its_length(tmp_path: Path) -> None:
    """From the call on that first needed it."""
    sliding = "budgets: [{name: person, per: person, limit: $20 per rolling 24h, hold: ceiling}]\n"
    made = desk(tmp_path, sliding, exception("person", "{person: alice}", "add: $10", once="true"))
    assert made.spend(NOON, dollars(20))
    assert made.spend(NOON + 1000, dollars(5))
    assert made.standing(NOON + DAY, "person").limit_nanos == dollars(30)
    assert made.standing(NOON + 1000 + DAY, "person").limit_nanos == dollars(20)
    assert room(made, NOON + 1000 + DAY) == 20
    made.close()
    assert made.faults() == ()


def test_a_new_exception_counts_what_was_spent_since_its_from(tmp_path: Path) -> None:
    """Approved on the 7th for the 1st to the 15th: what carol spent before stays within her limit, what alice spent counts."""
    before = Desk(tmp_path, f"{PEOPLE}{ORGANIZATION}")
    assert before.spend(NOON, dollars(40), person="bob", team="payments")
    assert before.spend(NOON, dollars(50), person="carol")
    before.close()
    made = desk(tmp_path, ORGANIZATION, exception("organization", "{team: payments}", "add: $30"))
    made.fill(NOON + 1)
    assert room(made, NOON + 2, person="carol") == 40
    made.close()
    assert made.faults() == ()


def test_who_has_left_a_team_has_its_exception_no_more(tmp_path: Path) -> None:
    """What the ledger knows of a person's former team is no leave for what the person does now."""
    before = Desk(tmp_path, PERSON)
    assert before.spend(NOON, dollars(10), person="carol", team="payments")
    before.close()
    made = desk(tmp_path, PERSON, exception("person", "{team: payments}", "add: $20"))
    made.fill(NOON + 1)
    assert room(made, NOON + 2, person="carol") == 90
    made.close()


def test_an_allowance_per_model_is_raised_for_the_spelling_that_fits(tmp_path: Path) -> None:
    """The family's allowance has calls of several spellings; an exception for one is none for another, whichever comes first."""
    models = "budgets: [{name: model, per: model, limit: $100 per day, hold: ceiling}]\n"
    made = desk(tmp_path, models, exception("model", '{model: "us.anthropic.*"}', "add: $10"))
    assert made.spend(NOON, dollars(1), model="claude-opus-4-5")
    assert room(made, NOON, model="us.anthropic.claude-opus-4-5-20251101-v1:0") == 109
    assert not made.spend(NOON, dollars(1), model="claude-opus-4-5")
    made.close()
    assert made.faults() == ()


def test_the_largest_sums_fit_a_row(tmp_path: Path) -> None:
    """A limit and an addition that together are beyond what the ledger can hold are as much as it can: a refusal is written."""
    most = "$9,223,372,035"
    vast = f'budgets:\n  - {{name: person, per: person, limit: "{most} per month", hold: ceiling}}\n'
    made = desk(tmp_path, vast, exception("person", "{person: alice}", f'add: "{most}"'))
    assert isinstance(made.ask(NOON, 2**63 - 1)[1], Admit)
    call, refused = made.ask(NOON, 1)
    assert isinstance(refused, Refuse)
    made.refuse(call, refused, NOON)
    made.close()
    assert made.faults() == ()


def test_by_model_the_charge_counts_where_the_answering_model_fits(tmp_path: Path) -> None:
    """A call that was answered by another model uses nothing of the exception; an alias is not surely the model."""
    made = desk(tmp_path, ORGANIZATION, exception("organization", '{model: "claude-opus-*"}', "add: $30"))
    assert room(made, NOON, model="claude-haiku-4-5") == 100
    call, decision = made.ask(NOON, dollars(20), model="claude-opus-4-5")
    assert isinstance(decision, Admit)
    made.settle(call, dollars(20), model="claude-haiku-4-5")
    assert not isinstance(made.ask(NOON, dollars(1), model="opus")[1], Admit)
    assert room(made, NOON, model="claude-opus-4-5") == 10
    made.close()
    assert made.faults() == ()


@pytest.mark.parametrize("once", ["", "true"])
def test_three_gates_in_processes_admit_what_fits_and_no_more(tmp_path: Path, once: str) -> None:
    """$20 and $6 for project x, asked for by three processes at once, in turns with other calls: $26 in all, $6 of it for
    the project alone; one that is killed in the middle changes nothing."""
    shared = "budgets: [{name: organization, limit: $20 per day, hold: ceiling}]\n"
    text = f"{shared}exceptions:\n{exception('organization', '{project: x}', 'add: $6', once=once)}"
    made = Desk(tmp_path, text)
    workers = [worker("decide", tmp_path, text, NOON, 80, dollars(0.25)) for _ in range(3)]
    while not made.standing(NOON, "organization").held_nanos:
        time.sleep(0.001)
    os.kill(workers[2].pid, signal.SIGKILL)
    finish(workers[2])
    for each in workers[:2]:
        assert line(each).isdecimal()
    standing = made.standing(NOON, "organization")
    ((credit, extra),) = made.standing(NOON, "organization", project="x").limit.raised
    assert (standing.settled_nanos + standing.held_nanos, extra) == (dollars(26), dollars(6))
    used = made.standing(NOON, credit.tally.budget, project="x")
    assert used.held_nanos >= dollars(6)
    for each in workers[:2]:
        finish(each)
    made.close()
    assert made.faults() == ()
