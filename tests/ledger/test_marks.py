"""Whose a balance is: one that was renamed, taken away, or lowered with what was purged of it is found, and nothing else is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.desk import Desk, at, dollars
from ledger.kit import DAY, HOUR
from spendgate.ledger import check, marks
from spendgate.ledger import merge as merging
from spendgate.ledger import purge as purging
from spendgate.ledger.balances import Balance
from spendgate.ledger.purge import Purge
from spendgate.ledger.queries import Reader

KEEP = 31
DAILY = '  - {name: person, per: person, limit: "$50 per day"}\n'
LIFE = '  - {name: life, per: person, limit: "$9,000"}\n'
MONTH = '  - {name: month, per: person, limit: "$400 per month"}\n'
ROLLING = '  - {name: rolls, per: person, limit: "$300 per rolling 30d"}\n'
NOW = at("2026-11-22T09:00Z")
BEFORE = at("2026-09-01T09:00Z")
"""So long before that its calls go."""


def policy(*budgets: str, zone: str = "UTC") -> str:
    return f"privacy: {{keep: {KEEP} days}}\ntimezone: {zone}\nbudgets:\n{''.join(budgets)}"


def told(folder: Path) -> list[str]:
    """What is found; `audit verify` and the hourly look of a gate say the same."""
    found = list(check.beside(folder / "ledger.db", lambda: False))
    with closing(Reader(folder / "ledger.db")) as reader:
        verified = [str(fault).removeprefix("sums: ") for fault in reader.verify(None)]
    assert len(found) == len(verified), (found, verified)
    assert all(each in verified or "differs from its calls" in each for each in found), (found, verified)
    return found


def edit(folder: Path, *each: str) -> None:
    """As somebody who owns the file can, while no gate runs."""
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        for sql in each:
            assert conn.execute(sql).rowcount > 0, sql


def purge(folder: Path, now_ms: int = NOW) -> int:
    with Purge(folder / "ledger.db", folder / "gates") as each:
        return purging.run(each, KEEP, now_ms)[0]


def spent(folder: Path, text: str, *when: int) -> None:
    """Alice and bob spend a dollar each at each of these instants."""
    desk = Desk(folder, text)
    desk.fill(when[-1])
    for each in when:
        desk.spend(each, dollars(1), person="alice")
        desk.spend(each + 1, dollars(1), person="bob")
    desk.close()


@pytest.mark.parametrize(
    "change",
    ["value = 'x'", "window = '2026-11-21'", "budget = 'other'", "words = 'other'", "length_ms = 1", "ends_ms = 1"],
)
def test_a_renamed_balance_is_found(tmp_path: Path, change: str) -> None:
    """Alice begins at zero after it, every sum agrees with its calls, and both looks tell, also once she has spent again."""
    spent(tmp_path, policy(DAILY), NOW)
    edit(tmp_path, f"UPDATE windows SET {change} WHERE value = 'alice'")  # noqa: S608 - our own words
    [found] = told(tmp_path)
    assert found.startswith("balance 1 (")
    assert found.endswith("had another name when calls were charged to it")
    spent(tmp_path, policy(DAILY), NOW + HOUR)
    assert told(tmp_path) == [found]


def test_a_rolling_balance_that_was_renamed_is_found(tmp_path: Path) -> None:
    """As long as it counts anything: what its edge has passed refills nothing."""
    spent(tmp_path, policy(ROLLING), NOW)
    edit(tmp_path, "UPDATE windows SET value = 'x' WHERE value = 'alice'")
    assert [each.endswith("another name when calls were charged to it") for each in told(tmp_path)] == [True]


def test_two_balances_that_changed_names_are_found(tmp_path: Path) -> None:
    """Bob, who has spent nothing much, and alice, who has: both are named."""
    spent(tmp_path, policy(DAILY), NOW)
    edit(tmp_path, "UPDATE windows SET value = CASE value WHEN 'bob' THEN 'x' ELSE 'bob' END WHERE value = 'bob'",
         "UPDATE windows SET value = 'bob' WHERE value = 'alice'",
         "UPDATE windows SET value = 'alice' WHERE value = 'x'")  # fmt: skip
    assert len(told(tmp_path)) == 2


def test_a_balance_that_was_taken_away_is_found(tmp_path: Path) -> None:
    """Its window and its sums, so that no sum is wrong."""
    spent(tmp_path, policy(DAILY), NOW)
    edit(tmp_path, "DELETE FROM sums WHERE id = 1", "DELETE FROM windows WHERE id = 1")
    assert told(tmp_path) == ["balance 1, to which calls were charged, is not there"]


OF_MONTH = "(SELECT id FROM windows WHERE budget = 'month' AND value = 'alice')"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (("UPDATE windows SET value = 'x' WHERE budget = 'month' AND value = 'alice'",), "had another name"),
        (
            (
                f"DELETE FROM charges WHERE balance = {OF_MONTH}",  # noqa: S608 - our own words
                f"UPDATE sums SET settled = 0 WHERE id = {OF_MONTH}",  # noqa: S608 - our own words
            ),
            "has $1.00 less of purged and added calls than the audit trail says",
        ),
    ],
    ids=["renamed", "lowered"],
)
def test_what_was_counted_from_past_calls_is_anchored(tmp_path: Path, edits: tuple[str, ...], said: str) -> None:
    """A budget that came later has charges that no call's row shows: its balance is known by the audit trail."""
    spent(tmp_path, policy(DAILY), NOW - HOUR)
    desk = Desk(tmp_path, policy(DAILY, MONTH))
    desk.fill(NOW)
    desk.close()
    assert told(tmp_path) == []
    edit(tmp_path, *edits)
    [found] = told(tmp_path)
    assert said in found


OF_ALICE = "WHERE budget = 'life' AND value = 'alice'"
RENAMED = (f"UPDATE windows SET value = 'x' {OF_ALICE}",)  # noqa: S608 - our own words
LOWERED = (
    f"UPDATE sums SET settled = settled - 1500000000 WHERE id = (SELECT id FROM windows {OF_ALICE})",  # noqa: S608
    f"UPDATE windows SET purged_nanos = purged_nanos - 1500000000 {OF_ALICE}",  # noqa: S608
)
GONE = (
    f"DELETE FROM sums WHERE id = (SELECT id FROM windows {OF_ALICE})",  # noqa: S608
    f"DELETE FROM windows {OF_ALICE}",  # noqa: S608
)


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (
            RENAMED,
            "(life x life) had another name when calls were charged to it",
        ),
        (LOWERED, "(life alice life) has $1.50 less of purged and added calls than the audit trail says"),
        (GONE, "to which calls were charged, is not there"),
    ],
    ids=["renamed", "lowered", "taken away"],
)
def test_what_is_left_of_purged_calls_is_anchored(tmp_path: Path, edits: tuple[str, ...], said: str) -> None:
    """A balance of a life whose calls are gone: what a purge took is in the audit trail, with whose it was."""
    spent(tmp_path, policy(LIFE), BEFORE, BEFORE + HOUR)
    bob_alone(tmp_path, policy(LIFE))
    assert purge(tmp_path) == 4
    assert told(tmp_path) == []
    edit(tmp_path, *edits)
    [found] = told(tmp_path)
    assert said in found


def test_a_mark_outlives_the_call_that_had_it(tmp_path: Path) -> None:
    """One row says whose a balance is. Once that is purged the trail does, also where calls are left that say nothing of it."""
    spent(tmp_path, policy(LIFE), BEFORE, NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT count(mark), count(*) FROM holds").fetchone() == (2, 4)
    assert purge(tmp_path) == 2
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT count(mark), count(*) FROM holds").fetchone() == (0, 2)
    assert told(tmp_path) == []
    edit(tmp_path, *RENAMED)
    assert len(told(tmp_path)) == 1


def test_what_a_budget_for_life_took_over_from_sums_is_anchored(tmp_path: Path) -> None:
    """It came after its person's calls were purged: what it counted of their days' sums is in the trail."""
    spent(tmp_path, policy(DAILY), BEFORE)
    bob_alone(tmp_path, policy(DAILY))
    purge(tmp_path)
    desk = Desk(tmp_path, policy(DAILY, LIFE))
    desk.fill(NOW)
    desk.close()
    assert told(tmp_path) == []
    edit(tmp_path, LOWERED[0].replace("1500000000", "5"), LOWERED[1].replace("1500000000", "5"))
    assert [each.split(" has ")[1] for each in told(tmp_path)] == [
        "$0.000000005 less of purged and added calls than the audit trail says"
    ]


def test_what_takes_from_a_balance_is_told_at_once(tmp_path: Path) -> None:
    """A pass of filling that is killed after a chunk leaves no balance short of what the trail says."""
    spent(tmp_path, policy(DAILY), NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO charges SELECT seq, 1, booked_ms, 'expected', -7 FROM call_rows WHERE person = 'bob'")
        conn.execute("UPDATE sums SET settled = settled - 7 WHERE id = 1")
        marks.tell(conn, marks.FILLED, {1: -7}, NOW)
        conn.execute("COMMIT")
        assert list(marks.faults(conn, {})) == []


def bob_alone(folder: Path, text: str) -> None:
    """The newest row is never purged: it is bob's."""
    desk = Desk(folder, text)
    desk.spend(NOW, dollars(1), person="bob")
    desk.close()


def test_a_number_that_is_given_again_is_no_finding(tmp_path: Path) -> None:
    """A window that is over goes, and the next one may get its number: the trail's lines of the first say nothing of it."""
    spent(tmp_path, policy(LIFE), BEFORE)
    desk = Desk(tmp_path, policy(LIFE, DAILY))
    desk.fill(BEFORE + 1)
    desk.close()
    over = numbers(tmp_path, "person")
    bob_alone(tmp_path, policy(LIFE))
    purge(tmp_path)
    assert (len(over), numbers(tmp_path, "person")) == (2, set())
    desk = Desk(tmp_path, policy(LIFE, MONTH))
    for person in ("alice", "carol"):
        desk.spend(NOW, dollars(1), person=person)
    desk.close()
    assert over & numbers(tmp_path, "month")
    assert told(tmp_path) == []


def numbers(folder: Path, budget: str) -> set[int]:
    """The balances of a budget."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return {number for (number,) in conn.execute("SELECT id FROM windows WHERE budget = ?", (budget,))}


def test_policies_that_change_make_no_finding(tmp_path: Path) -> None:
    """Another zone, the hour that comes twice, budgets and teams with other names, exceptions, a session that goes on days
    later, calls on a plan and of other models, and purges between all that."""
    by_team = '  - {name: team, per: team, limit: ["$40 per day", "$2,000"]}\n'
    by_session = "  - {name: session, per: session, limit: $25}\n"
    more = """exceptions:
  - {budget: person, match: {person: alice}, add: $5, from: 2026-10-24, until: 2026-10-26, approved_by: lead, reason: a release}
"""
    texts = (
        policy(DAILY, MONTH, ROLLING, by_session, zone="Europe/Berlin") + more,
        policy(DAILY, LIFE, by_team, by_session, zone="America/New_York"),
        policy(DAILY.replace("name: person", "name: people"), LIFE, MONTH, by_team, ROLLING, zone="Pacific/Apia"),
        policy(DAILY, MONTH, LIFE, by_session, zone="Europe/Berlin") + more,
    )
    start = at("2026-10-24T22:30Z")
    for number, text in enumerate(texts):
        desk = Desk(tmp_path, text)
        desk.fill(start + number * 10 * DAY)
        for step in range(8):
            when = start + number * 10 * DAY + step * HOUR // 2
            words = {"person": ("alice", "bob")[step % 2], "team": f"t{number // 2}", "session": f"s{step % 3}"}
            call, _ = desk.ask(when, dollars(2), **words, billing="subscription" if step == 5 else "metered")
            if step != 6:
                desk.settle(call, dollars(1), model="gpt-5" if step % 2 else None)
        desk.close()
        purge(tmp_path, start + (number + 1) * 10 * DAY)
        assert told(tmp_path) == []
    assert purge(tmp_path, start + 100 * DAY) > 0
    assert told(tmp_path) == []


def test_a_merge_takes_such_lines_and_holds(tmp_path: Path) -> None:
    """The trail of each source has them; balances are not merged."""
    spent(tmp_path, policy(LIFE), BEFORE)
    bob_alone(tmp_path, policy(LIFE))
    purge(tmp_path)
    [taken] = merging.merge(tmp_path / "all.db", [tmp_path / "ledger.db"], NOW)
    assert not taken.fault
    with closing(Reader(tmp_path / "all.db")) as reader:
        assert list(reader.verify_merged()) == []
    with closing(sqlite3.connect(tmp_path / "all.db")) as conn:
        assert conn.execute("SELECT count(*) FROM source_audit WHERE what = 'balances'").fetchone() == (1,)


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of a version that wrote no marks and no such lines, with calls, purged ones, and a budget that came later."""
    with monkeypatch.context() as patch:
        patch.setattr(Balance, "mark", lambda *_: ())
        patch.setattr(marks, "tell", lambda *_: None)
        spent(tmp_path, policy(LIFE, DAILY), BEFORE)
        spent(tmp_path, policy(LIFE, DAILY, MONTH), NOW)
        bob_alone(tmp_path, policy(LIFE, DAILY))
        purge(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        [view] = conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'holds'").fetchone()
        conn.execute("DROP VIEW holds")
        conn.execute(view.replace(", json_extract(hold.value, '$[6]') AS mark", "").replace(", NULL AS mark", ""))
        assert conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'm025_marks'").rowcount == 1
    return tmp_path


def test_an_older_ledger_is_named_as_it_is_found(older: Path) -> None:
    """No finding; from then on what it had in running windows is anchored, whether or not anybody calls."""
    Desk(older, policy(LIFE, DAILY, MONTH)).close()
    assert told(older) == []
    edit(older, *RENAMED)
    edit(older, *[sql.replace("'alice'", "'bob'").replace("1500000000", "1") for sql in LOWERED])
    assert [each.split(") ")[1][:14] for each in told(older)] == ["had another na", "has $0.0000000"]


def test_a_gate_of_the_version_before_that_still_runs_makes_no_finding(
    older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It charges without marks, fills and purges without such lines."""
    Desk(older, policy(LIFE, DAILY, MONTH)).close()
    with monkeypatch.context() as patch:
        patch.setattr(Balance, "mark", lambda *_: ())
        patch.setattr(marks, "tell", lambda *_: None)
        spent(older, policy(LIFE, DAILY, MONTH, ROLLING), NOW + HOUR)
        purge(older, NOW + 50 * DAY)
    assert told(older) == []
    spent(older, policy(LIFE, DAILY, MONTH, ROLLING), NOW + 50 * DAY)
    assert told(older) == []
