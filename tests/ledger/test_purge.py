"""Purging: rows become sums, and nothing else changes: no total, no open window, no balance, no chain."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.desk import Desk, at, dollars
from ledger.kit import DAY, HOUR
from ledger.kit import settled as ended
from ledger.processes import line, worker
from small_disk import fill_up, mounted
from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerBusy, LedgerUnavailable, StateError
from spendgate.ledger import day_sums, outbox, purgeable
from spendgate.ledger import purge as purging
from spendgate.ledger.check import check
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.known import Known
from spendgate.ledger.mine import Whose
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.purged_lines import Purged
from spendgate.ledger.purged_lines import read as purged_lines
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.ledger.verify import newest, verify
from spendgate.standing import Standing

KEEP = 31
POLICY = f"""
privacy: {{keep: {KEEP} days}}
budgets:
  - name: person
    per: person
    limit: ["$50 per day", "$400 per month", "$30 per rolling 24h", "$300 per rolling 30d", "$9,000"]
  - {{name: runaway, per: person, limit: 4x mean of 7d per day, at_least: $20, at_most: $200}}
  - {{name: session, per: session, limit: $25}}
  - {{name: all, limit: "$100,000"}}
"""
FIRST = at("2026-08-01T00:30Z")
NOW = at("2026-11-22T09:00Z")
PEOPLE, MODELS = ("alice", "bob", "carol"), ("claude-opus-4-5", "gpt-5")


def lived(folder: Path, *, days: int = 113, each: int = 4, seed: int = 3) -> Desk:
    """A ledger of a hundred days, a few calls each; the last of them an hour ago."""
    desk, chance = Desk(folder, POLICY), random.Random(seed)
    for number in range(days * each):
        when = FIRST + number * (DAY // each)
        if when >= NOW:
            break
        words = {"person": chance.choice(PEOPLE), "model": chance.choice(MODELS), "session": f"s{number // 9}"}
        cost = dollars(chance.randrange(1, 200) / 100)
        if chance.random() < 0.1:
            call, _ = desk.ask(when, cost, **words)
            desk.fail(call)
        else:
            desk.spend(when, cost, **words, billing=chance.choice(("metered", "metered", "subscription")))
    return desk


def standings(desk: Desk) -> list[Standing]:
    """Every budget of every person, as `status` would read it now, moving limits too."""
    with Reader(desk.folder / "ledger.db") as reader:
        return [
            each for person in PEOPLE for each in reader.standings(desk.scopes(NOW, person=person, session="s49"), NOW)
        ]


def purged(folder: Path, now_ms: int = NOW, keep: int = KEEP) -> int:
    """Purge all that may go; how many calls."""
    with Purge(folder / "ledger.db", folder / "gates") as purge:
        return run(purge, keep, now_ms)[0]


def totals(folder: Path) -> Totals:
    """What the ledger adds up to."""
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
        return day_sums.totals_ever(conn)


def faults(folder: Path) -> list[str]:
    """What `audit verify` finds."""
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
        return [*map(str, verify(conn)), *check(conn)]


def rows_left(folder: Path) -> list[tuple[int, str]]:
    """When each call that has its row was booked, and its state."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return conn.execute("SELECT booked_ms, state FROM call_rows ORDER BY seq").fetchall()


def test_purging_changes_no_sum_no_window_and_no_chain(tmp_path: Path) -> None:
    """Rows older than is kept are gone, as many as the audit trail says; all that anybody reads of the ledger is as before."""
    desk = lived(tmp_path)
    seen, summed, head = standings(desk), totals(tmp_path), desk.ledger.head()
    count = purged(tmp_path)
    assert count > 300
    assert min(when for when, _ in rows_left(tmp_path)) >= purgeable.before(NOW, KEEP)
    assert standings(desk) == seen
    assert totals(tmp_path) == summed
    assert desk.ledger.head() == head, "the calls' chain is as it was"
    assert faults(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert purged_lines(conn).calls == count
    desk.close()


def test_the_gate_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was left of each budget is left, for a gate that runs meanwhile and for the next one; a second purge finds nothing."""
    desk = lived(tmp_path)
    with Reader(tmp_path / "ledger.db") as reader:
        mine = reader.standings(desk.scopes(NOW, person="alice", model="gpt-5"), NOW)
    purged(tmp_path)
    assert purged(tmp_path) == 0
    room = min(each.limit_nanos - each.settled_nanos for each in mine if not each.scope.tally)
    assert not desk.spend(NOW, room + 1, person="alice", model="gpt-5")
    assert desk.spend(NOW + 1, room, person="alice", model="gpt-5")
    desk.close()
    again = Desk(tmp_path, POLICY)
    again.fill(NOW + 2)
    assert not again.spend(NOW + 3, dollars(1), person="alice", model="gpt-5")
    assert again.faults() == ()
    again.close()


def test_spend_is_what_it_was(tmp_path: Path) -> None:
    """By person, day, month, team, tool and model, with spans and filters; what sums do not tell is nobody's."""
    desk = lived(tmp_path)
    bobs = (("person", "bob"), ("model", "gpt-5"))
    asked = [
        (("person",), Span()), (("day",), Span()), (("month", "model"), Span()), (("person", "billing"), Span()),
        (("provider", "tool"), Span()), ((), Span()), (("person",), Span(since_ms=at("2026-09-01T00:00Z"))),
        (("week",), Span(until_ms=at("2026-09-08T00:00Z"))), (("day",), Span(where=bobs)),
    ]  # fmt: skip

    def spent() -> list[set[Spend]]:
        found = [reader.spend(by, span, ZoneInfo("UTC")) for by, span in asked]
        return [{each for each in totals if each.calls or each.refused} for totals in found]

    with Reader(tmp_path / "ledger.db") as reader:
        before = spent()
        purged(tmp_path)
        assert spent() == before
        by_session = {each.key: each for each in reader.spend(("session",), Span(), ZoneInfo("UTC"))}
        assert by_session[None,].calls > 200
        assert sum(each.cost_nanos for each in by_session.values()) == sum(each.cost_nanos for each in before[0])
        assert reader.spend(("person",), Span(where=(("session", "s0"),)), ZoneInfo("UTC")) == ()
    desk.close()


def test_newest_row_and_open_calls_stay(tmp_path: Path) -> None:
    """A row id is never given twice, also where nothing came for years; what is open is no sum yet."""
    desk = Desk(tmp_path, POLICY)
    for hour in range(5):
        desk.spend(FIRST + hour * HOUR, dollars(1))
    late, _ = desk.ask(FIRST, dollars(1))
    for hour in range(5):
        desk.spend(FIRST + hour * HOUR, dollars(1))
    assert purged(tmp_path, NOW + 4000 * DAY) == 9
    assert [state for _, state in rows_left(tmp_path)] == ["open", "settled"]
    assert faults(tmp_path) == []
    desk.settle(late, dollars(1))
    desk.spend(NOW, dollars(1))
    assert purged(tmp_path, NOW + 4000 * DAY) == 2
    assert (faults(tmp_path), desk.faults()) == ([], ())
    desk.close()


def test_a_day_goes_when_it_is_over_for_so_long(tmp_path: Path) -> None:
    """The last millisecond of a UTC day goes with it, the first of the next stays; not a millisecond early."""
    desk = Desk(tmp_path, POLICY)
    midnight = at("2026-08-02T00:00Z")
    for when in (midnight - 1, midnight, midnight + DAY):
        desk.spend(when, dollars(1))
    assert purged(tmp_path, midnight + KEEP * DAY - 1) == 0
    assert purged(tmp_path, midnight + KEEP * DAY) == 1
    assert [when for when, _ in rows_left(tmp_path)] == [midnight, midnight + DAY]
    assert faults(tmp_path) == []
    desk.close()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM call_rows WHERE seq = (SELECT min(seq) FROM call_rows)", "is missing"),
        ("UPDATE day_sums SET cost_nanos = cost_nanos - 1 WHERE rowid_day", "are not what was written"),
        ("UPDATE day_sums SET person = 'mallory' WHERE rowid_day", "are not what was written"),
        ("DELETE FROM day_sums WHERE rowid_day", "are not what was written"),
        ("INSERT INTO day_sums SELECT '2026-01-01', * FROM (SELECT {rest} FROM day_sums LIMIT 1)", "no audit line says"),
        ("UPDATE audit SET detail = replace(detail, 'rows 1-', 'rows 2-') WHERE what = 'purged'", "is not what was written"),
        ("UPDATE windows SET purged_nanos = purged_nanos - 1 WHERE purged_nanos > 0", "its calls make"),
    ],
)  # fmt: skip
def test_a_purge_is_told_from_tampering(tmp_path: Path, sql: str, said: str) -> None:
    """A row that somebody deleted; a sum that was edited, moved to somebody else, taken away or made up; an edited line."""
    desk = lived(tmp_path)
    purged(tmp_path)
    desk.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        rest = ", ".join(name for _, name, *_ in conn.execute("PRAGMA table_info(day_sums)") if name != "day")
        one = "(day, person, model, billing) = (SELECT day, person, model, billing FROM day_sums ORDER BY day LIMIT 1)"
        assert conn.execute(sql.format(rest=rest).replace("rowid_day", one)).rowcount > 0
    assert any(said in fault for fault in faults(tmp_path))


def test_a_line_of_a_purge_before_its_time_is_a_fault(tmp_path: Path) -> None:
    """Whoever lets a purge run by a clock that is far ahead is found by the line's own time."""
    desk = lived(tmp_path)
    with Purge(tmp_path / "ledger.db", tmp_path / "gates") as purge:
        purge.chunk(purgeable.before(NOW, KEEP), KEEP, now_ms=FIRST + DAY)
    desk.close()
    assert any("before they were 31 days old" in fault for fault in faults(tmp_path))


@pytest.mark.parametrize("table", ["call_rows", "charges", "chain", "audit"])
def test_the_file_still_refuses(tmp_path: Path, table: str) -> None:
    """What is not older than is kept is as append-only as it was; links and audit lines for ever."""
    desk = lived(tmp_path)
    desk.close()
    wider = Desk(tmp_path, POLICY + '  - {name: new, limit: "$100,000 per month"}\n')  # so that there are charges
    wider.fill(NOW)
    wider.close()
    purged(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0  # noqa: S608 - a table of ours
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            conn.execute(f"DELETE FROM {table}")  # noqa: S608 - as above


def test_line_is_read_back() -> None:
    """What is written for people is what `verify` goes by."""
    runs = ((1, 3), (7, 7), (9, 2_000))
    text = Purged("2026-08-01", 1996, 400, runs, "0a" * 32).detail([])
    assert Purged.parse(text) == Purged("2026-08-01", 1996, 400, runs, "0a" * 32)
    assert Purged.parse(text.replace("rows", "row")) is None


def test_ended_windows_alerts_and_means_go_too(tmp_path: Path) -> None:
    """Balances of days that are over, which have sessions and names in them; those of a life stay."""
    desk = lived(tmp_path)
    desk.close()
    before = purgeable.before(NOW, KEEP)
    purged(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT min(ends_ms) FROM balances").fetchone()[0] > before
        assert conn.execute("SELECT count(*) FROM balances WHERE window = 'life'").fetchone()[0] > 10
        assert conn.execute("SELECT min(at_ms) FROM means").fetchone()[0] >= before
        said = conn.execute("SELECT detail FROM audit WHERE what = ?", (AuditWord.PURGED_BESIDE.value,)).fetchall()
    assert len(said) == 1 and "balances of windows that are over" in said[0][0]
    assert faults(tmp_path) == []


LIFE = """  - {name: new, per: person, match: {model: "claude-*"}, limit: "$100,000"}
  - {name: newer, match: {billing: metered}, limit: "$100,000"}
  - {name: by session, per: session, limit: "$100,000"}
"""


def test_a_digest_goes_with_its_text_once_no_gate_could_write_it_again(tmp_path: Path) -> None:
    """That of the week that is over stays, however short rows are kept: by it a gate knows that it was sent."""
    desk = lived(tmp_path)
    ages = {"old": NOW - 40 * DAY, "last": NOW - 9 * DAY}

    def work(known: Known) -> None:
        for week, at_ms in ages.items():
            made = AlertRow(
                "digest", "digest", "", week, "digest", at_ms, None, None, (), "o", 1, 1, 1, 1, "t", "c", "h"
            )
            assert outbox.write_letter(known.conn, made, f"alice spent in week {week}", "<p>", at_ms)
        known.conn.execute("UPDATE alerts SET routed = 1")

    desk.ledger._store.write(work)
    desk.close()
    purged(tmp_path, NOW, 3)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT window FROM alerts WHERE form = 'digest'").fetchall() == [("last",)]
        assert conn.execute("SELECT text FROM letters").fetchall() == [("alice spent in week last",)]
    with Reader(tmp_path / "ledger.db") as reader:
        (letters,) = [each for each in reader.kept_of(Whose("alice", "alice")) if each.table == "letters"]
        assert [row["window"] for row in letters.rows] == ["last"]
        assert "text" not in letters.rows[0]
        assert not [each for each in reader.kept_of(Whose("al", "spen")) if each.rows and each.table == "letters"]


def test_the_newest_calls_are_read_again_where_some_are_purged(tmp_path: Path) -> None:
    """What a line says was purged is not missing; a row that no line names is."""
    desk = lived(tmp_path)
    desk.close()
    path = tmp_path / "ledger.db"
    assert purged(tmp_path) > 0
    assert newest(path, 20_000, lambda: False) == ()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DROP TRIGGER call_rows_no_delete")
        conn.execute("DELETE FROM call_rows WHERE seq = (SELECT max(seq) - 5 FROM call_rows)")
        conn.commit()
    assert ["is missing" in str(each) for each in newest(path, 20_000, lambda: False)] == [True]


def test_a_budget_of_a_life_that_is_new_counts_sums_and_rows(tmp_path: Path) -> None:
    """As much as it would count had nothing been purged, once, whoever asks again; by session it begins with what is kept."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
        lived(folder).close()
    purged(part)
    found = []
    for folder in (whole, part):
        desk = Desk(folder, POLICY + LIFE)
        for _ in range(2):
            desk.fill(NOW)
        mine = {"person": "alice", "model": MODELS[0], "billing": "metered"}
        found.append([desk.standing(NOW, name, **mine).settled_nanos for name in ("new", "newer")])
        assert desk.faults() == ()
        desk.close()
    assert found[0] == found[1]
    assert found[0][0] > 0
    moved = Desk(part, POLICY.replace("budgets:", "people: {alice: {}, bob: {}}\nbudgets:") + LIFE)
    moved.fill(NOW)  # another roster: everything is gone through again
    assert moved.standing(NOW, "newer", person="alice", billing="metered").settled_nanos == found[0][1]
    assert moved.faults() == ()
    purged(part, NOW + 40 * DAY)
    assert moved.standing(NOW, "newer", person="alice", billing="metered").settled_nanos == found[0][1]
    assert (faults(part), moved.faults()) == ([], ())
    moved.close()


def test_what_is_told_again_or_still_to_be_sent_stays(tmp_path: Path) -> None:
    """Old alerts of a life and of a line of the trail, to be told again, or not sent yet; old asks, results and hosts go."""
    desk = lived(tmp_path)
    call, _ = desk.ask(FIRST, 1, person="dave")
    desk.ledger.settle(call, ended(0, awaited="result-1"))
    desk.spend(NOW, 1, person="dave")
    alerts = [
        ("life", None, True),
        ("w", NOW + 1, True),
        ("w2", None, False),
        ("w3", None, True),
        ("w4", NOW - 1, True),
        ("line 7", None, True),
    ]
    made = [
        AlertRow("rule", "f", "v", window, "alert", FIRST, again, "alice", (), "o", 1, 1, 1, 1, "t", "c", "h")
        for window, again, _ in alerts
    ]
    desk.ledger._store.write(lambda known: outbox.write(known.conn, made, FIRST))
    desk.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        for window, _, routed in alerts:
            conn.execute("UPDATE alerts SET routed = ? WHERE window = ?", (routed, window))
        conn.execute("INSERT INTO coverage VALUES ('a', 't', 'h', 'r', 1, ?, ?)", (FIRST, FIRST))
        conn.execute("INSERT INTO coverage VALUES ('a', 't', 'h2', 'r', 1, ?, ?)", (FIRST, NOW))
        for number, until in enumerate((FIRST, NOW + DAY)):
            values = (number, str(number), FIRST, until, "alice", "b", 1, "why", "o", "code")
            conn.execute(
                """INSERT INTO asks (seq, id, at_ms, until_ms, person, budget, amount_nanos, reason, asked_of, code)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                values,
            )
        assert conn.execute("SELECT count(*) FROM awaited").fetchone() == (1,)
        purged(tmp_path)
        left = [window for (window,) in conn.execute("SELECT window FROM alerts ORDER BY window")]
        assert left == ["life", "line 7", "w", "w2"]
        assert conn.execute("SELECT host FROM coverage").fetchall() == [("h2",)]
        assert conn.execute("SELECT id FROM asks").fetchall() == [("1",)]
        assert conn.execute("SELECT count(*) FROM awaited").fetchone() == (0,)
    assert faults(tmp_path) == []


# -- in company, killed, without room --------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [6, pytest.param(100, marks=(pytest.mark.heavy, pytest.mark.timeout(3600)))])
def test_killed_purge_loses_and_doubles_nothing(tmp_path: Path, times: int) -> None:
    """`kill -9` at any point: each call is a row or in a sum, balances and chain hold after each."""
    desk = lived(tmp_path, each=6 if times < 10 else 40)
    desk.close()
    summed, chance = totals(tmp_path), random.Random(5)
    for _ in range(times):
        gate = worker("purge", tmp_path, NOW, KEEP, 3)
        assert line(gate) == "purging"
        time.sleep(chance.uniform(0, 0.06))
        gate.kill()
        gate.communicate()
        assert totals(tmp_path) == summed
        assert faults(tmp_path) == []
    purged(tmp_path)
    assert totals(tmp_path) == summed
    assert min(when for when, _ in rows_left(tmp_path)) >= purgeable.before(NOW, KEEP)


def test_calls_go_on_while_it_is_purged(tmp_path: Path) -> None:
    """A gate on the same ledger books as ever; two purgers at once take turns; counter = settled + open holds."""
    desk = lived(tmp_path)
    both = [worker("purge", tmp_path, NOW, KEEP, 5) for _ in range(2)]
    assert [line(each) for each in both] == ["purging"] * 2
    made = tried = 0
    while any(each.poll() is None for each in both):
        tried += 1
        try:
            made += desk.spend(NOW, dollars(0.001), person="dave")
        except LedgerBusy:
            time.sleep(0.001)
    for each in both:
        each.communicate()
    assert [each.returncode for each in both] == [0, 0]
    assert made > 0
    assert min(when for when, _ in rows_left(tmp_path)) >= purgeable.before(NOW, KEEP)
    assert (faults(tmp_path), desk.faults()) == ([], ())
    assert desk.standing(NOW, "person/day", person="dave").settled_nanos == made * dollars(0.001)
    desk.close()


def test_full_disk_harms_nothing(tmp_path: Path) -> None:
    """No room: it goes as far as the log has some, does not touch the reserve of open calls, and changes no sum."""
    with mounted(tmp_path / "disk", 24) as folder:
        desk = lived(folder)
        summed = totals(folder)
        desk.close()  # so that the log is empty
        with (folder / "ballast").open("wb", buffering=0) as file:
            fill_up(file)
        with pytest.raises((LedgerUnavailable, StateError), match=r"full|cannot be"):
            purged(folder)
        assert (folder / "ledger.db-reserve").exists()
        (folder / "ballast").unlink()
        assert totals(folder) == summed
        assert purged(folder) > 0
        assert totals(folder) == summed
        assert faults(folder) == []


def test_disk_space_comes_back_and_what_was_said_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file shrinks, but for what the next rows take; what a purged call said is nowhere in it."""
    monkeypatch.setattr(purging, "_FREE_LEAST_PAGES", 64)
    desk = lived(tmp_path, each=20)
    assert desk.spend(FIRST, 1, person="dave", project="canary-project")
    assert desk.spend(NOW, 1, person="dave")
    desk.close()
    file = tmp_path / "ledger.db"
    assert b"canary-project" in file.read_bytes()
    before = file.stat().st_size
    purged(tmp_path)
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        free, pages = (conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    assert free < 100 < pages
    assert b"canary-project" not in file.read_bytes()
    assert file.stat().st_size < before * 0.7


@given(
    st.lists(st.tuples(st.integers(0, 80 * 24), st.integers(1, 300), st.sampled_from(PEOPLE)), min_size=1, max_size=40),
    st.integers(0, 60),
)
@settings(max_examples=25, deadline=None)
def test_any_history_any_moment(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[int, int, str]], late: int
) -> None:
    """Whatever was spent when, in whatever order it ended: all sums, windows and both chains are as before."""
    folder = tmp_path_factory.mktemp("any")
    desk, start = Desk(folder, POLICY), NOW - 80 * DAY
    opened = []
    for hour, cents, person in sorted(calls):
        call, _ = desk.ask(start + hour * HOUR, dollars(cents / 100), person=person, session=f"s{hour % 7}")
        opened.append((call, dollars(cents / 100)))
    for call, nanos in opened[::-1]:
        if call in desk._made:
            desk.settle(call, nanos)
    now = NOW + late * DAY
    with Reader(folder / "ledger.db") as reader:
        scopes = [each for person in PEOPLE for each in desk.scopes(now, person=person, session="s1")]
        seen, summed = reader.standings(tuple(scopes), now), totals(folder)
        purged(folder, now)
        assert reader.standings(tuple(scopes), now) == seen
        assert totals(folder) == summed
        assert faults(folder) == []
    desk.close()
