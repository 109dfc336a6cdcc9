"""Many ledgers into one: every call once, whatever the order, however often, also of live files and after a kill."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlite_utils import Database

from ledger.kit import DAY, NOW, admit, open_ledger, row, scope, settled
from spendgate.audit_words import AuditWord
from spendgate.errors import StateError
from spendgate.ledger import chain, migrations
from spendgate.ledger import purge as purging
from spendgate.ledger.audit_log import Line
from spendgate.ledger.merge import merge
from spendgate.ledger.merge_one import Outcome, Taking
from spendgate.ledger.merged import journal as merged_journal
from spendgate.ledger.purge import Purge
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import EVERY_CALL

COST = 1_000


def laptop(folder: Path, name: str, calls: range, *, leave_open: int = 0) -> Path:
    """A ledger whose gate has ended, with these calls; the last ones are still open."""
    home = folder / name
    home.mkdir(exist_ok=True)
    ledger = open_ledger(home)
    for number in calls:
        at_ms = NOW + number
        ledger.hold(row(f"{name}-{number}", machine=name, started_ms=at_ms), (scope(),), admit(COST), at_ms)
        if number < calls.stop - leave_open:
            ledger.settle(f"{name}-{number}", settled(COST, scope(), ended_ms=at_ms + 5))
    ledger.audit(Line(NOW, AuditWord.GATE_STARTED, f"gate {ledger.gate_id} of {name}"))
    ledger._store.close()  # a stop would end what is open
    return home / "ledger.db"


def merging(into: Path, *paths: Path, anyway: bool = False) -> list[Taking]:
    """One merge."""
    return list(merge(into, paths, NOW, anyway=anyway))


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a merged ledger has of its sources."""
    tables = (
        "call_rows", "imports", "statement_parts", "source_audit", "coverage", "merged_from", "day_sums", "source_day_sums",
        "purging",
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as conn:
        return {table: conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}  # noqa: S608 - words above


def test_every_call_is_there_once_and_again_changes_nothing(tmp_path: Path) -> None:
    """Sums are those of the sources."""
    one, two = laptop(tmp_path, "lt-1", range(5)), laptop(tmp_path, "lt-2", range(7))
    out = tmp_path / "out.db"

    first = merging(out, one, two)
    before = content(out)
    again = merging(out, two, one, one)

    assert [(each.outcome, each.calls, each.machine) for each in first] == [
        (Outcome.TAKEN, 5, "lt-1"),
        (Outcome.TAKEN, 7, "lt-2"),
    ]
    assert {each.outcome for each in again} == {Outcome.UNCHANGED}
    assert content(out) == before
    with closing(Reader(out)) as reader:
        found = reader.spend(("machine",), EVERY_CALL, ZoneInfo("UTC"))
        assert {each.key: (each.calls, each.cost_nanos) for each in found} == {
            ("lt-1",): (5, 5 * COST),
            ("lt-2",): (7, 7 * COST),
        }
        trails = reader.trails()
    # A gate's number in its own trail is the one by which its machine is known.
    assert sorted((lines[0]["detail"], signs[1][0]) for lines, signs in trails) == [
        ("gate 1 of lt-1", "lt-1"),
        ("gate 1 of lt-2", "lt-2"),
    ]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([0, 1, 2]), split=st.integers(0, 3))
def test_in_whatever_order_and_steps(tmp_path: Path, order: list[int], split: int) -> None:
    """The file's content is the same."""
    folder = tmp_path / "shared"
    if not folder.exists():
        folder.mkdir()
        for number in range(3):
            laptop(folder, f"lt-{number}", range(number + 2))
        merging(folder / "plain.db", *(folder / f"lt-{number}" / "ledger.db" for number in range(3)))
    paths = [folder / f"lt-{number}" / "ledger.db" for number in order]
    out = folder / f"{'-'.join(map(str, order))}-{split}.db"

    merging(out, *paths[:split])
    merging(out, *paths[split:])

    assert content(out) == content(folder / "plain.db")
    for each in folder.glob(f"{out.name}*"):
        each.unlink()


def test_a_live_ledger_is_read_and_what_was_open_is_updated(tmp_path: Path) -> None:
    """A gate goes on writing; its next calls and ends come with the next merge, and its file is not written to."""
    laptop(tmp_path, "lt-1", range(3), leave_open=1)
    out = tmp_path / "out.db"
    gate = open_ledger(tmp_path / "lt-1")
    path = tmp_path / "lt-1" / "ledger.db"
    bytes_before = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()

    assert merging(out, path)[0].calls == 3
    assert (path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()) == bytes_before
    gate.settle("lt-1-2", settled(9 * COST, scope()))
    gate.hold(row("lt-1-9", machine="lt-1"), (scope(),), admit(COST), NOW)
    done = merging(out, path)[0]
    gate.close()

    assert (done.calls, done.ended) == (1, 1)
    with closing(Reader(out)) as reader:
        assert reader.states() == {"settled": 3, "open": 1}
        assert sum(each.cost_nanos for each in reader.spend((), EVERY_CALL, ZoneInfo("UTC"))) == 11 * COST


def test_a_changed_source_is_told_and_left_out_unless_wanted(tmp_path: Path) -> None:
    """The others are taken; with `anyway` it is taken and stays marked."""
    good, bad = laptop(tmp_path, "lt-1", range(2)), laptop(tmp_path, "lt-2", range(2))
    with closing(sqlite3.connect(bad)) as conn:
        conn.execute("DROP TRIGGER call_rows_no_update")
        conn.execute("UPDATE call_rows SET cost_nanos = 1 WHERE id = 'lt-2-0'")
        conn.commit()
    out = tmp_path / "out.db"

    left_out, taken = merging(out, bad, good)
    assert (left_out.outcome, taken.outcome) == (Outcome.BROKEN, Outcome.TAKEN)
    assert "lt-2-0" in left_out.fault
    assert len(content(out)["call_rows"]) == 2

    wanted = merging(out, bad, anyway=True)[0]
    assert (wanted.outcome, wanted.calls) == (Outcome.TAKEN, 2)
    assert "lt-2-0" in wanted.fault
    assert sorted((row[3], row[9]) for row in content(out)["merged_from"]) == [("lt-1", 1), ("lt-2", 0)]


def test_one_call_of_two_ledgers_is_a_fault_that_names_both(tmp_path: Path) -> None:
    """And nothing of the second one is taken."""
    one = laptop(tmp_path, "lt-1", range(2))
    other = open_ledger(tmp_path / "lt-1" / "..")
    other.hold(row("own", machine="lt-2"), (scope(),), admit(COST), NOW)
    other.hold(row("lt-1-1", machine="lt-2"), (scope(),), admit(COST), NOW)
    other.close()
    out = tmp_path / "out.db"

    first, second = merging(out, one, tmp_path / "ledger.db")

    assert second.outcome is Outcome.COLLIDES
    assert "lt-1-1" in second.fault and first.id in second.fault and second.id in second.fault
    assert len(content(out)["call_rows"]) == 2


def test_one_call_of_two_ledgers_is_found_when_the_file_is_indexed_too(tmp_path: Path) -> None:
    """And a hash that two ids share is no call that two ledgers share."""
    out, one = tmp_path / "out.db", laptop(tmp_path, "lt-1", range(2))
    (tmp_path / "lt-2").mkdir()
    other = open_ledger(tmp_path / "lt-2")
    other.hold(row("lt-1-1", machine="lt-2"), (scope(),), admit(COST), NOW)
    other.close()
    merging(out, one)

    assert merging(out, tmp_path / "lt-2" / "ledger.db")[0].outcome is Outcome.COLLIDES


def test_ids_of_one_hash_are_not_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like a call that is here is looked at."""
    monkeypatch.setattr("spendgate.ledger.seen_ids.hash", lambda _: 7, raising=False)
    paths = [laptop(tmp_path, f"lt-{number}", range(3)) for number in range(2)]

    assert [each.calls for each in merging(tmp_path / "out.db", *paths)] == [3, 3]


def test_a_file_that_grows_much_is_indexed_anew(tmp_path: Path) -> None:
    """Its indexes are dropped while it is filled, and are there again at the end, whatever the steps."""
    paths = [laptop(tmp_path, f"lt-{number}", range(number + 1)) for number in range(4)]
    merging(tmp_path / "plain.db", *paths)
    out = tmp_path / "out.db"
    merging(out, paths[0])
    filling = merge(out, paths, NOW)
    next(filling), next(filling)
    with closing(sqlite3.connect(out)) as conn:
        assert not conn.execute("PRAGMA index_list(call_rows)").fetchall()[1:]  # only that of open calls
    filling.close()
    merging(out, *paths)

    assert content(out) == content(tmp_path / "plain.db")
    with closing(sqlite3.connect(out)) as conn:
        assert {each[1] for each in conn.execute("PRAGMA index_list(call_rows)")} == {
            "calls_id", "calls_booked", "calls_open",
        }  # fmt: skip
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)


KEEP = 31
LATER = NOW + 40 * DAY


def purge(path: Path) -> int:
    """Purge all of a laptop that may go by then: its newest row stays."""
    with Purge(path, path.with_name("gates")) as purging_:
        return purging.run(purging_, KEEP, LATER)[0]


def spent(path: Path, *by: str) -> dict[tuple[str | None, ...], tuple[int, int]]:
    """Calls and nano-dollars, by these."""
    with closing(Reader(path)) as reader:
        return {
            each.key: (each.calls, each.cost_nanos)
            for each in reader.spend(by, EVERY_CALL, ZoneInfo("UTC"))
            if each.calls
        }


def test_whenever_a_source_was_purged_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    """Taken before it purged, after that, or both: the same file, with the sums of every call that ever was."""
    one, two = laptop(tmp_path, "lt-1", range(8)), laptop(tmp_path, "lt-2", range(5))
    shutil.copytree(one.parent, tmp_path / "before")
    before, after, both = (tmp_path / f"{name}.db" for name in ("before", "after", "both"))
    merging(before, one, two)
    merging(both, one, two)

    assert purge(one) == 7
    taken = merging(both, two, one)
    merging(after, one, two)

    assert [(each.outcome, each.purged) for each in taken] == [(Outcome.UNCHANGED, 0), (Outcome.TAKEN, 7)]
    assert content(both) == content(after)
    assert spent(both) == spent(after) == spent(before) == {(): (13, 13 * COST)}
    assert spent(both, "day", "person") == spent(before, "day", "person")
    assert merging(both, one, two)[1].outcome is Outcome.UNCHANGED
    # A copy from before the purge is an older one, and brings nothing back.
    assert merging(both, tmp_path / "before" / "ledger.db")[0].outcome is Outcome.OLDER
    assert purge(two) == 4
    merging(both, two)
    assert spent(both) == {(): (13, 13 * COST)}
    assert len(content(both)["call_rows"]) == 2


def test_a_call_that_was_open_when_taken_and_purged_since(tmp_path: Path) -> None:
    """Its row goes, its cost comes with the sums."""
    path, out = laptop(tmp_path, "lt-1", range(4), leave_open=2), tmp_path / "out.db"
    merging(out, path)
    gate = open_ledger(path.parent)
    for number in (2, 3):
        gate.settle(f"lt-1-{number}", settled(5 * COST, scope()))
    gate._store.close()
    assert purge(path) == 3

    taken = merging(out, path)[0]

    assert (taken.outcome, taken.purged, taken.ended) == (Outcome.TAKEN, 3, 1)
    assert spent(out) == {(): (4, 12 * COST)}


def test_sums_that_were_edited_are_told(tmp_path: Path) -> None:
    """They are what is left of purged calls: the audit trail has their digest."""
    path, out = laptop(tmp_path, "lt-1", range(4)), tmp_path / "out.db"
    purge(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE day_sums SET cost_nanos = 1")
        conn.commit()

    (told,) = merging(out, path)

    assert told.outcome is Outcome.BROKEN
    assert "sums of 2026-11-22 are not what was written" in told.fault


def of_version(folder: Path, stop_before: str) -> Path:
    """A ledger that an older Spendgate wrote, which had not come to this step yet, with one settled call."""
    folder.mkdir()
    form, beginning = next(
        (form, chain.BEGINNINGS[form])
        for form, since in ((chain.SETTLED, "m013_also_requested"), (7, "m009_sizes"), (4, "m008_agents"), (1, ""))
        if stop_before > since
    )
    covered = (*beginning, *chain.FORMS[form])
    made = {
        **dict.fromkeys(covered), **structs.asdict(row(f"of {stop_before}", machine="lt-old")), "groups": "", "state": "settled",
        "booked_ms": NOW, "cost_nanos": COST, "value_nanos": COST, "basis": "reported", "held_nanos": COST, "flags": "",
    }  # fmt: skip
    values = tuple(made[name] for name in covered)
    digest = sha256(chain.canonical(values)).digest()
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
        migrations.migration.apply(Database(conn), stop_before=stop_before)
        conn.execute("INSERT INTO ledger VALUES (1, ?, ?)", (f"old{stop_before[:4]}", NOW))
        marks = ", ".join("?" * len(covered))
        conn.execute(f"INSERT INTO call_rows (gate, {', '.join(covered)}) VALUES (1, {marks})", values)  # noqa: S608 - our own columns
        head = sha256(chain.FIRST + digest).digest()
        conn.execute("INSERT INTO chain VALUES (1, 1, ?, ?, ?)", (form, digest, head))
    return folder / "ledger.db"


STEPS = tuple(step.name for step in migrations.migration._migrations)


def test_ledgers_of_every_version_are_taken_or_told_what_to_do(tmp_path: Path) -> None:
    """Those whose audit trail is chained are taken as they are, beside new ones; none is written to."""
    new, out = laptop(tmp_path, "lt-1", range(2)), tmp_path / "out.db"
    for reached in STEPS[STEPS.index("m005_append_only") :]:
        old = of_version(tmp_path / reached, reached)
        before = old.read_bytes()

        (told,) = merging(out, old)

        if reached <= "m014_audit_chain":
            assert told.outcome is Outcome.BROKEN
            assert "start a gate on it once to bring it up to date" in told.fault
        else:
            assert (told.outcome, told.calls, told.fault) == (Outcome.TAKEN, 1, ""), reached
        assert old.read_bytes() == before
    merging(out, new)
    taken = len(STEPS) - STEPS.index("m014_audit_chain") - 1
    assert spent(out) == {(): (2 + taken, (2 + taken) * COST)}


def test_a_newer_ledger_is_told_what_to_do(tmp_path: Path) -> None:
    """It is not understood by half."""
    path = laptop(tmp_path, "lt-1", range(2))
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('spendgate-ledger', 'm999_x', '')"
        )
        conn.commit()

    assert "update this one" in merging(tmp_path / "out.db", path)[0].fault


def test_an_older_copy_adds_nothing_and_a_copy_that_went_on_apart_is_told(tmp_path: Path) -> None:
    """Copies have their ledger's id, so they are one source."""
    path = laptop(tmp_path, "lt-1", range(3))
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    laptop(tmp_path, "lt-1", range(3, 6))
    out = tmp_path / "out.db"
    merging(out, path)

    assert merging(out, copy / "ledger.db")[0].outcome is Outcome.OLDER
    apart = open_ledger(copy)
    for number in range(9):
        apart.hold(row(f"apart-{number}"), (scope(),), admit(COST), NOW)
        apart.settle(f"apart-{number}", settled(COST, scope()))
    apart.close()
    told = merging(out, copy / "ledger.db")[0]

    assert told.outcome is Outcome.COLLIDES
    assert "another history" in told.fault
    assert len(content(out)["call_rows"]) == 6


@pytest.mark.parametrize("first", ["kept", "restored"])
def test_a_copy_that_has_less_of_one_thing_and_more_of_another_is_no_older_one(tmp_path: Path, first: str) -> None:
    """A laptop restored from a backup: one has audit lines that the other has not, the other a call. Neither holds all."""
    kept = laptop(tmp_path, "lt-1", range(5))
    (tmp_path / "backup" / "lt-1").mkdir(parents=True)
    shutil.copy(kept, tmp_path / "backup" / "lt-1" / "ledger.db")
    restored = laptop(tmp_path / "backup", "lt-1", range(5, 6))
    ledger = open_ledger(kept.parent)
    for number in range(9):
        ledger.audit(Line(NOW + number, AuditWord.GATE_STARTED, "once more"))
    ledger._store.close()
    out = tmp_path / "out.db"
    one, other = (kept, restored) if first == "kept" else (restored, kept)
    merging(out, one)

    (second,) = merging(out, other)

    assert second.outcome is Outcome.COLLIDES
    assert "two copies of it went on apart" in second.fault


def test_a_gate_refuses_a_merged_ledger_and_a_merge_refuses_a_gate_s(tmp_path: Path) -> None:
    """Neither is touched."""
    path = laptop(tmp_path, "lt-1", range(2))
    (tmp_path / "fleet").mkdir()
    out = tmp_path / "fleet" / "ledger.db"
    merging(out, path)

    with pytest.raises(StateError, match="merged from other ledgers"):
        open_ledger(tmp_path / "fleet")
    with pytest.raises(StateError, match="no merged ledger"):
        merging(path, out)
    assert "itself merged" in merging(tmp_path / "more.db", out)[0].fault
    with pytest.raises(StateError, match="into itself"):
        merging(out, out)


def test_what_is_no_ledger_is_told_and_the_others_are_taken(tmp_path: Path) -> None:
    """Nothing there, an empty file, a text."""
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at " * 20)
    (tmp_path / "empty.db").touch()
    path = laptop(tmp_path, "lt-1", range(2))

    done = merging(tmp_path / "out.db", tmp_path / "none.db", tmp_path / "text.db", tmp_path / "empty.db", path)

    assert [each.outcome for each in done] == [Outcome.BROKEN] * 3 + [Outcome.TAKEN]
    assert not (tmp_path / "none.db").exists()


def test_a_schema_that_is_no_text_is_told_and_the_others_are_taken(tmp_path: Path) -> None:
    """A damaged file ends no merge: those named after it are taken."""
    damaged, whole = laptop(tmp_path, "lt-1", range(2)), laptop(tmp_path, "lt-2", range(2))
    with closing(sqlite3.connect(damaged)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = damaged.read_bytes()
    damaged.write_bytes(raw.replace(b"CREATE TABLE", b"CREATE \xa0ABLE", 1))

    done = merging(tmp_path / "out.db", damaged, whole)

    assert [each.outcome for each in done] == [Outcome.BROKEN, Outcome.TAKEN]
    assert "cannot be read as a ledger" in done[0].fault


def test_what_a_killed_merge_left_is_told_to_readers_and_mended_by_the_next(tmp_path: Path) -> None:
    """Killed while it wrote the file itself: its journal still stands beside it."""
    one, two = laptop(tmp_path, "lt-1", range(40)), laptop(tmp_path, "lt-2", range(400))
    out, left = tmp_path / "out.db", tmp_path / "left.db"
    merging(out, one)
    merging(tmp_path / "plain.db", one, two)
    merged_journal(out, "DELETE")
    with closing(sqlite3.connect(out, isolation_level=None)) as conn:
        conn.execute("PRAGMA cache_size = 1")
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE merged_from SET machine = 'half'")
        conn.execute(
            "CREATE TABLE half AS SELECT * FROM call_rows, (SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]'))"
        )
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{out}{suffix}", f"{left}{suffix}")
        conn.execute("ROLLBACK")

    with pytest.raises(StateError, match="a merge into it was ended midway: run the same merge again"):
        Reader(left)
    merging(left, one, two)

    assert content(left) == content(tmp_path / "plain.db")


def test_killed_and_run_again_it_is_the_same(tmp_path: Path) -> None:
    """Whenever it was killed, the file holds whole sources, and the next merge brings the rest."""
    paths = [laptop(tmp_path, f"lt-{number}", range(60)) for number in range(4)]
    merging(tmp_path / "plain.db", *paths)
    out = tmp_path / "out.db"
    code = "import sys; from pathlib import Path; from spendgate.ledger.merge import merge\n" + (
        f"print('begun', flush=True); list(merge(Path(sys.argv[1]), map(Path, sys.argv[2:]), {NOW}))"
    )
    killed = 0
    for wait_s in (0.05, 0.2, 0.3, 0.4, 0.5, 0.6):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(out), *map(str, paths)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert child.stdout is not None and child.stdout.readline()
        time.sleep(wait_s)
        killed += child.poll() is None
        child.kill()
        child.wait()
        child.stdout.close()
    merging(out, *paths)

    assert killed
    assert content(out) == content(tmp_path / "plain.db")
