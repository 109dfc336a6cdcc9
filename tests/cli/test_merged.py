"""The commands over what many laptops' ledgers were merged into: as over one ledger that had been written by all of them."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, ran, row, settlement
from reconcile.scoring import _said
from reconcile.simulator.causes import mixed
from reconcile.simulator.filing import file
from reconcile.simulator.month import Month
from reconcile.simulator.traffic import Size
from spendgate.admission import Admit
from spendgate.cli.main import app
from spendgate.config.paths import State
from spendgate.ledger import Ledger
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


@pytest.mark.parametrize("words", [("audit", "verify"), ("purge",)])
def test_what_is_done_to_a_laptops_own_ledger_is_refused_with_what_to_do(
    fleet: State, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Nothing of the file is changed."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nowner: a@b.example\nprivacy: {keep: 31 days}\n")
    before = ran(fleet, "spend", "--format", "json")
    done = CliRunner().invoke(app, [*words, "--state", str(fleet.root)])
    assert "merged" in str(done.exception) or "keep" in done.stderr
    assert ran(fleet, "spend", "--format", "json") == before


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
