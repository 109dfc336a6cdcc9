"""`reconcile calibrate`: estimates of Cursor's calls against its own export, shown first, in force when asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result as Ran
from typer.testing import CliRunner

from cli.kit import app
from reconcile.taught import CENT, TODAY_MS, at, event, month, used
from spendgate.errors import StateError, UsageError
from spendgate.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span


def ran(folder: Path, *words: str) -> Ran:
    """A command of the group, which must end well."""
    done = CliRunner().invoke(app, ["reconcile", *words, "--state", str(folder)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def learned(folder: Path, *words: str) -> list[dict]:
    return json.loads(ran(folder, "calibrate", "--format", "json", *words).stdout)


def add_day(folder: Path, day: int, cents: int, **words: object) -> None:
    """One more call."""
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", TODAY_MS)
    used(ledger, at(day, 0), cents, **words)
    ledger.close()


def test_it_is_shown_first_then_written_as_a_version_and_taken_back(tmp_path: Path) -> None:
    ran(tmp_path, "import", str(month(tmp_path)))
    shown = ran(tmp_path, "calibrate")
    assert "x2.50" in shown.stdout and "60.0%" in shown.stdout and "0.0%" in shown.stdout
    assert "nothing is written: --write puts what is better in force" in shown.stderr
    assert "no estimate is calibrated" in ran(tmp_path, "calibrations").output
    (row,) = learned(tmp_path, "--write")
    assert (row["tool"], row["model"], row["verdict"]) == ("cursor", "claude-opus-4-5", "better")
    assert (row["factor_ppm"], row["before_ppm"], row["after_ppm"]) == (2_500_000, 600_000, 0)
    assert (row["user_days"], row["days"], row["calls"]) == (7, 7, 28)
    assert (row["estimated_nanos"], row["billed_nanos"]) == (280 * CENT, 700 * CENT)
    (again,) = learned(tmp_path, "--write")
    assert (again["verdict"], again["now_ppm"], again["before_ppm"]) == ("as it is", 2_500_000, 0)
    ran(tmp_path, "calibrate", "--forget", "cursor=claude-opus-4-5")
    past = json.loads(ran(tmp_path, "calibrations", "--format", "json").stdout)
    assert [(each["factor_ppm"], each["state"]) for each in past] == [(2_500_000, "replaced"), (1_000_000, "replaced")]
    assert len(past[0]["imports"]) == 1
    with Reader(tmp_path / "ledger.db") as reader:
        assert [line["what"] for line in reader.audit()][-2:] == ["estimates calibrated"] * 2
        assert {call["cost_nanos"] for call in reader.each_call(Span())} == {10 * CENT}, "what has settled stays"
    wrong = CliRunner().invoke(app, ["reconcile", "calibrate", "--forget", "x", "--state", str(tmp_path)])
    assert isinstance(wrong.exception, UsageError)


def test_a_factor_travels_from_the_ledger_that_has_the_bill(tmp_path: Path) -> None:
    """An admin's to a laptop's, as a file that can be read; what is in force already stays one."""
    admin, laptop, file = tmp_path / "admin", tmp_path / "laptop", tmp_path / "factors.json"
    for folder in (admin, laptop):
        folder.mkdir()
    ran(admin, "import", str(month(admin)))
    Ledger.open(laptop / "ledger.db", laptop / "gates", TODAY_MS).close()
    ran(admin, "calibrate", "--write")
    file.write_text(ran(admin, "calibrations", "--format", "json").stdout)
    assert "cursor, claude-opus-4-5: x2.50, from factors.json" in ran(laptop, "calibrate", "--take", str(file)).stderr
    assert "nothing is in force there that is not in force here" in ran(laptop, "calibrate", "--take", str(file)).stderr
    (row,) = json.loads(ran(laptop, "calibrations", "--format", "json").stdout)
    (theirs,) = json.loads(file.read_text())
    same = (
        "tool",
        "model",
        "factor_ppm",
        "before_ppm",
        "after_ppm",
        "user_days",
        "calls",
        "from",
        "until",
        "imports",
        "state",
    )
    assert {name: row[name] for name in same} == {name: theirs[name] for name in same}


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '[{"tool": "cursor"}]', "factor_ppm: 5000001", "factor_ppm: 199999", "factor_ppm: 2.5", "tool: a,b",
     "tool: ", "from: soon", "state: null", "imports: null"],
)  # fmt: skip
def test_a_file_of_factors_that_is_none_changes_nothing(tmp_path: Path, text: str) -> None:
    Ledger.open(tmp_path / "ledger.db", tmp_path / "gates", TODAY_MS).close()
    good = {
        "tool": "cursor", "model": "gpt-5", "state": "in force", "factor_ppm": 2_000_000, "before_ppm": 1, "after_ppm": 0,
        "user_days": 9, "calls": 90, "from": "2026-11-01", "until": "2026-11-20", "imports": ["a1b2c3d4"],
    }  # fmt: skip
    name, colon, value = text.partition(": ")
    if name in good and colon:
        kept = json.loads(value) if value[:1].isdigit() or value == "null" else value
        text = json.dumps([{**good, name: kept}])
    file = tmp_path / "factors.json"
    file.write_text(text)
    done = CliRunner().invoke(app, ["reconcile", "calibrate", "--take", str(file), "--state", str(tmp_path)])
    assert isinstance(done.exception, StateError)
    assert "no estimate is calibrated" in ran(tmp_path, "calibrations").output
    file.write_text(json.dumps([good, {**good, "factor_ppm": 300_000}]))
    done = CliRunner().invoke(app, ["reconcile", "calibrate", "--take", str(file), "--state", str(tmp_path)])
    assert "two factors of cursor for one model (gpt-5, gpt-5): keep one of them" in str(done.exception)
    file.write_text(json.dumps([good]))
    ran(tmp_path, "calibrate", "--take", str(file))


def test_usage_outside_the_gate_teaches_nothing(tmp_path: Path) -> None:
    """Six of nine days have an event that no call is there for: of these none is learned from, whatever it would add."""
    ran(tmp_path, "import", str(month(tmp_path, days=range(2, 11), outside=range(2, 6), calls=5)))
    told = ran(tmp_path, "calibrate")
    assert "left out: 4 user-days: more requests on the bill than calls: usage outside the gate" in told.stderr
    (row,) = learned(tmp_path)
    assert (row["user_days"], row["factor_ppm"]) == (5, 2_500_000)


def test_too_little_is_not_learned_from(tmp_path: Path) -> None:
    ran(tmp_path, "import", str(month(tmp_path, days=range(2, 6), calls=9)))
    told = ran(tmp_path, "calibrate", "--write")
    assert "too little: under 5 user-days, 3 days or 20 calls" in told.stderr
    (row,) = learned(tmp_path, "--write")
    assert (row["verdict"], row["factor_ppm"]) == ("too little to learn from", None)
    assert "no estimate is calibrated" in ran(tmp_path, "calibrations").output


def test_a_factor_stays_within_its_bounds_and_that_is_told(tmp_path: Path) -> None:
    ran(tmp_path, "import", str(month(tmp_path, estimated=1, billed=40)))
    assert "billed is x40.00; no factor goes so far" in ran(tmp_path, "calibrate").stderr
    (row,) = learned(tmp_path)
    assert (row["factor_ppm"], row["median_ppm"]) == (5_000_000, 40_000_000)


def test_today_and_a_day_that_is_younger_than_the_bill_are_not_looked_at(tmp_path: Path) -> None:
    ran(tmp_path, "import", str(month(tmp_path, days=range(7))))
    (row,) = learned(tmp_path, "--from", "2026-01-01", "--until", "2099-01-01")
    assert row["days"] in (5, 6), "yesterday may be less than an hour old"


@pytest.mark.parametrize(
    ("extra", "words", "why"),
    [
        ("", {"flags": (), "basis": "reported"}, "some of its calls have counts, were broken off or are still open"),
        ("", {"state": "interrupted"}, "some of its calls have counts, were broken off or are still open"),
        ("", {"tool": "cursor-agent"}, "several tools used the model"),
        ("Errored, No Charge", {}, "the bill has requests that failed, or that another provider bills"),
        ("User API Key", {}, "the bill has requests that failed, or that another provider bills"),
    ],
)
def test_a_day_whose_two_sides_are_not_alike_is_left_out(tmp_path: Path, extra: str, words: dict, why: str) -> None:
    file = month(tmp_path)
    add_day(tmp_path, 10, 10, **words)
    first, second = at(10, 0), at(10, 30)
    ledger = Ledger.open(tmp_path / "ledger.db", tmp_path / "gates", TODAY_MS)
    used(ledger, second, 10)
    ledger.close()
    kind = extra or "On-Demand"
    with file.open("a") as out:
        out.write(event(first, 900, kind=kind) + event(second, 900))
    ran(tmp_path, "import", str(file))
    assert f"left out: 1 user-day: {why}" in ran(tmp_path, "calibrate").stderr
    assert learned(tmp_path)[0]["factor_ppm"] == 2_500_000


def test_cloud_agents_are_no_laptops_and_a_stranger_is_nobody(tmp_path: Path) -> None:
    """What ran at the provider, and what a person used whom the ledger does not know, is on the bill and in no user-day."""
    file = month(tmp_path)
    with file.open("a") as out:
        out.write(event(at(3, 5), 900, agent="bc-1") + event(at(3, 6), 900, email="zoe@acme.example"))
    ran(tmp_path, "import", str(file))
    (row,) = learned(tmp_path)
    assert (row["factor_ppm"], row["user_days"]) == (2_500_000, 7)


def test_without_an_import_it_says_so(tmp_path: Path) -> None:
    month(tmp_path)
    done = CliRunner().invoke(app, ["reconcile", "calibrate", "--state", str(tmp_path)])
    assert isinstance(done.exception, StateError)
