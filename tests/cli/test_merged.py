"""The commands over what many laptops' ledgers were merged into: as over one ledger that had been written by all of them."""

from __future__ import annotations

import csv
import dataclasses
import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, app, ran, row, settlement
from reconcile.scoring import _said
from reconcile.simulator.causes import mixed
from reconcile.simulator.filing import file
from reconcile.simulator.month import Month
from reconcile.simulator.traffic import Size
from spendgate.admission import Admit
from spendgate.audit_words import AuditWord
from spendgate.config.paths import State
from spendgate.config.policy_file import parse_policy
from spendgate.errors import StateError
from spendgate.ledger import Ledger
from spendgate.ledger import purge as purging
from spendgate.ledger.audit_log import Line as AuditLine
from spendgate.ledger.purge import Purge
from spendgate.ledger.statements import StatementBook

DAYS = ("--from", "2026-10-01", "--until", "2026-10-08")


def merged(folder: Path, *states: Path) -> State:
    """By the command itself, into a state directory of its own."""
    (folder / "fleet").mkdir(exist_ok=True)
    done = CliRunner().invoke(
        app, ["ledger", "merge", *map(str, states), "--into", str(folder / "fleet" / "ledger.db"), "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    assert {each["outcome"] for each in json.loads(done.stdout)} <= {"taken", "unchanged"}
    return State(folder / "fleet")


@pytest.fixture(name="month", scope="module")
def _month() -> Month:
    """A week whose calls are told by machine; what gates said of themselves is left out, since it is each one's own."""
    month = mixed(3, Size(people=6, days=7, calls=12))
    month.trail.clear()
    return month


@pytest.fixture(name="one", scope="module")
def _one(month: Month, tmp_path_factory: pytest.TempPathFactory) -> State:
    """All of it in one ledger, with every statement."""
    folder = tmp_path_factory.mktemp("one")
    with StatementBook(file(month, folder)) as book:
        for at, said in enumerate(_said(month)):
            book.take(said, "simulator", month.now_ms - 1_000 + at)
    return State(folder)


@pytest.fixture(name="fleet", scope="module")
def _fleet(month: Month, tmp_path_factory: pytest.TempPathFactory) -> State:
    """The same in a ledger for each machine, statements taken in on several of them and into the merged ledger itself, before
    the last laptop came."""
    folder = tmp_path_factory.mktemp("many")
    said = list(enumerate(_said(month)))
    homes = []
    for machine in sorted({each.row.machine for each in month.requests if each.row is not None}):
        of_it = [each for each in month.requests if each.row is not None and each.row.machine == machine]
        home = folder / machine
        home.mkdir()
        with StatementBook(file(dataclasses.replace(month, requests=of_it), home)) as book:
            for at, each in said[:-1]:
                if at % 3 == len(homes) % 3 and len(homes) < 3:
                    book.take(each, machine, month.now_ms - 1_000 + at)
        homes.append(home)
    state = merged(folder, *homes[1:])
    with StatementBook(state.ledger) as book:
        book.take(said[-1][1], "admin", month.now_ms - 1_000 + said[-1][0])
    return merged(folder, *reversed(homes))


def test_a_report_says_the_same_as_over_one_ledger(one: State, fleet: State) -> None:
    """To the nano-dollar: totals, causes, what is unexplained, days, coverage."""
    found = [
        json.loads(
            CliRunner()
            .invoke(app, ["reconcile", "report", *DAYS, "--format", "json", "--state", str(each.root)])
            .stdout
        )
        for each in (one, fleet)
    ]
    assert found[0]["totals"] == found[1]["totals"]
    assert causes(found[0]) == causes(found[1])
    assert found[0]["unexplained_nanos"] == found[1]["unexplained_nanos"]
    assert (found[0]["days"], found[0]["coverage"]) == (found[1]["days"], found[1]["coverage"])
    assert (
        len({each["sha256"] for each in found[1]["inputs"]}) == len({each["sha256"] for each in found[0]["inputs"]}) > 3
    )


def causes(said: dict[str, Any]) -> list[tuple[str, int]]:
    """What each cause comes to."""
    return sorted((each["cause"], each["nanos"]) for each in said["causes"])


def test_explain_goes_down_to_calls_of_another_laptop(one: State, fleet: State) -> None:
    """One finding's lines, calls and causes."""
    report = json.loads(
        CliRunner().invoke(app, ["reconcile", "report", *DAYS, "--format", "json", "--state", str(one.root)]).stdout
    )
    of = next(each for each in report["findings"] if each["provider"] == "openai" and each["requests"] and each["key"])
    words = ["reconcile", "explain", "--day", of["day"], "--key", of["key"], "--format", "json", "--state"]
    first, second = (json.loads(CliRunner().invoke(app, [*words, str(each.root)]).stdout) for each in (one, fleet))
    assert first["calls"]
    assert {each["id"] for each in first["calls"]} == {each["id"] for each in second["calls"]}
    assert (causes(first), first["totals"], len(first["lines"])) == (
        causes(second), second["totals"], len(second["lines"]),
    )  # fmt: skip


def test_imports_and_exports_are_those_of_one_ledger(one: State, fleet: State, tmp_path: Path) -> None:
    """Each statement once, in the order of their taking; the same FOCUS rows."""
    imports = [json.loads(ran(each, "reconcile", "imports", "--format", "json")) for each in (one, fleet)]
    assert [each["sha256"] for each in imports[0]] == [each["sha256"] for each in imports[1]]
    rows = []
    for each in (one, fleet):
        ran(each, "export", "focus", "--output", str(tmp_path / "focus.csv"))
        rows.append(sorted((tmp_path / "focus.csv").read_text().splitlines()))
        assert CliRunner().invoke(app, ["export", "check", str(tmp_path / "focus.csv")]).exit_code == 0
    assert rows[0] == rows[1]
    with (tmp_path / "focus.csv").open(newline="") as lines:
        assert len({each["x_Machine"] for each in csv.DictReader(lines)}) > 3


def test_spend_by_every_attribute_is_that_of_one_ledger(one: State, fleet: State) -> None:
    """Rows and sums."""
    for by in ("person", "machine", "day,model", "tool,provider", "api_key"):
        found = [json.loads(ran(each, "spend", "--by", by, "--format", "json")) for each in (one, fleet)]
        assert sorted(found[0], key=str) == sorted(found[1], key=str)


def test_status_names_the_sources_and_no_limit(fleet: State) -> None:
    """A limit is each laptop's own; what they have spent together is in none."""
    said = json.loads(ran(fleet, "status", "--format", "json"))
    assert said["budgets"] == said["rates"] == []
    assert len(said["ledger"]["merged_from"]) == 8
    assert said["ledger"]["rows"] == sum(each["ended_calls"] for each in said["ledger"]["merged_from"])
    shown = ran(fleet, "status")
    assert "merged from 8 ledgers" in shown
    assert "limits hold on each machine by itself" in shown
    assert "no gate writes to a merged ledger" in shown
    assert "owner whoever runs this machine" not in shown, "the built-in policy holds nowhere here"


def test_purge_is_refused_with_what_to_do(fleet: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the file is changed."""
    policy = parse_policy(b"version: 1\nowner: a@b.example\nprivacy: {keep: 31 days}\n", "p.yaml")
    monkeypatch.setattr("spendgate.cli.purge.in_force.policy", lambda _: policy)
    before = ran(fleet, "spend", "--format", "json")
    with pytest.raises(StateError, match="purge the ledgers that it was made of, and merge them again"):
        CliRunner().invoke(app, ["purge", "--state", str(fleet.root)], catch_exceptions=False)
    assert ran(fleet, "spend", "--format", "json") == before


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (
            "DELETE FROM call_rows WHERE seq = (SELECT max(seq) FROM call_rows)",
            "ended calls are here and 0 were purged",
        ),
        ("UPDATE source_audit SET detail = 'x' WHERE position = 1", "audit 1 "),
        ("DELETE FROM source_audit WHERE position = 2", "does not end as it did when it was taken"),
        ("UPDATE day_sums SET cost_nanos = 1", "they are not what those of the sources come to"),
        ("UPDATE source_day_sums SET calls = calls + 1", "are not what was written when its calls were purged"),
    ],
)
def test_what_was_changed_in_a_merged_ledger_is_found(tmp_path: Path, edit: str, told: str) -> None:
    """A call that is gone, a line of a source's trail, a sum; an untouched one holds."""
    homes = [tmp_path / f"lt-{number}" for number in range(2)]
    for number, home in enumerate(homes):
        home.mkdir()
        ledger = Ledger.open(home / "ledger.db", home / "gates", NOW_MS)
        for call in range(4):
            made = replace(row(f"{home.name}-{call}", call), machine=home.name)
            ledger.hold(made, (), lambda _s, _k: Admit(()), NOW_MS)
            ledger.settle(made.id, settlement(()))
        for word in ("one", "two"):
            ledger.audit(AuditLine(NOW_MS, AuditWord.GATE_STARTED, word))
        ledger.close()
        if "day_sums" in edit and number:
            with Purge(home / "ledger.db", home / "gates") as purge:
                assert purging.run(purge, 31, NOW_MS + 40 * 86_400_000)[0] == 3
    fleet = merged(tmp_path, *homes)
    assert "merged from 2 ledgers of 8 ended calls" in ran(fleet, "audit", "verify")
    with closing(sqlite3.connect(fleet.ledger)) as conn:
        conn.execute("UPDATE purging SET before_ms = 1 << 60")
        conn.execute(edit)
        conn.commit()

    done = CliRunner().invoke(app, ["audit", "verify", "--state", str(fleet.root)])

    assert done.exit_code == 1
    assert told in done.stdout


def test_a_merged_file_that_no_command_would_find_is_told(one: State, tmp_path: Path) -> None:
    """`--into all.db` is a whole ledger, and `spend` would say that there is none."""
    told = CliRunner().invoke(app, ["ledger", "merge", str(one.ledger), "--into", str(tmp_path / "all.db")])
    assert f"merge into {tmp_path / 'ledger.db'}" in told.stderr
    told = CliRunner().invoke(app, ["ledger", "merge", str(one.ledger), "--into", str(tmp_path / "ledger.db")])
    assert told.exit_code == 0
    assert "merge into" not in told.stderr


def test_of_ledgers_that_are_not_there_nothing_is_made(one: State, tmp_path: Path) -> None:
    """One that is missing among others is left out, and said so."""
    gone, into = tmp_path / "gone.db", tmp_path / "ledger.db"
    told = CliRunner().invoke(app, ["ledger", "merge", str(gone), "--into", str(into)])
    assert told.exit_code == 1
    assert f"{gone}: there is no such file" in str(told.exception)
    assert not into.exists()
    told = CliRunner().invoke(app, ["ledger", "merge", str(gone), str(one.ledger), "--into", str(into)])
    assert told.exit_code == 1
    assert f"{gone}: broken: there is no such file" in told.stderr
    assert into.exists()


def test_the_folder_of_a_merged_ledger_is_made(one: State, tmp_path: Path) -> None:
    """One, as the README has it; of a whole way that is not there it is said which."""
    told = CliRunner().invoke(
        app, ["ledger", "merge", str(one.ledger), "--into", str(tmp_path / "fleet" / "ledger.db")]
    )
    assert told.exit_code == 0
    assert stat.S_IMODE((tmp_path / "fleet").stat().st_mode) == 0o700
    told = CliRunner().invoke(
        app, ["ledger", "merge", str(one.ledger), "--into", str(tmp_path / "a" / "b" / "ledger.db")]
    )
    assert f"mkdir -p {tmp_path / 'a' / 'b'}" in str(told.exception)


def test_one_name_on_two_laptops_is_one_person_and_two_machines(tmp_path: Path) -> None:
    """Whoever asks by machine, too, sees them apart."""
    homes = []
    for machine, calls in (("lt-1", 2), ("lt-2", 3)):
        home = tmp_path / machine
        home.mkdir()
        ledger = Ledger.open(home / "ledger.db", home / "gates", NOW_MS)
        for number in range(calls):
            made = replace(row(f"{machine}-{number}", number), machine=machine)
            ledger.hold(made, (), lambda _s, _k: Admit(()), NOW_MS)
            ledger.settle(made.id, settlement(()))
        ledger.close()
        homes.append(home)
    fleet = merged(tmp_path, *homes)

    (alice,) = json.loads(ran(fleet, "spend", "--by", "person", "--format", "json"))
    apart = json.loads(ran(fleet, "spend", "--by", "person,machine", "--format", "json"))

    assert (alice["person"], alice["calls"]) == ("alice", 5)
    assert sorted((each["person"], each["machine"], each["calls"]) for each in apart) == [
        ("alice", "lt-1", 2), ("alice", "lt-2", 3),
    ]  # fmt: skip
