"""`reconcile report` and `explain` over a ledger and its statements: what a person and a program see, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result as Ran
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import app
from reconcile.scoring import _said
from reconcile.simulator.causes import mixed
from reconcile.simulator.filing import file
from reconcile.simulator.traffic import Size
from reconcile.test_report import result
from spendgate.config.paths import State
from spendgate.errors import SpendgateError, StateError, StatementError, UsageError
from spendgate.ledger import Ledger
from spendgate.ledger.statements import StatementBook
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.reconcile.report.tolerance import judged
from spendgate.reconcile.result import Cause
from spendgate.reconcile.result import Result as Answer
from spendgate.reconcile.run import explain
from spendgate.statement import Charge, Line, Statement

DAYS = ("--from", "2026-10-01", "--until", "2026-10-08")


@pytest.fixture(name="month", scope="module")
def _month(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A week of calls, and bills with every cause."""
    folder = tmp_path_factory.mktemp("state")
    month = mixed(3, Size(people=6, days=7, calls=12))
    with StatementBook(file(month, folder)) as book:
        for at, said in enumerate(_said(month)):
            book.take(said, "simulator", month.now_ms - 1_000 + at)
    return State(folder)


def called(state: State, *words: str) -> Ran:
    """However it ends."""
    return CliRunner().invoke(app, ["reconcile", *words, "--state", str(state.root)])


def document(state: State, *words: str) -> dict:
    return json.loads(called(state, "report", *DAYS, "--format", "json", *words).stdout)


def test_the_causes_and_the_unexplained_are_the_gap(month: State) -> None:
    said = document(month)
    totals = said["totals"]
    assert totals["billed_nanos"] - totals["captured_nanos"] == totals["gap_nanos"]
    assert sum(each["nanos"] for each in said["causes"]) + said["unexplained_nanos"] == totals["gap_nanos"]
    assert len(said["causes"]) > 10
    assert {each["name"] for each in said["coverage"]["providers"]} >= {"anthropic", "openai"}
    assert all(len(each["sha256"]) == 64 for each in said["inputs"])
    assert {each["state"] for each in said["days"]} <= {"settling", "final"}


def test_more_unexplained_than_is_tolerated_is_exit_1_and_the_tolerance_is_told(
    month: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The explainer leaves less and less; what it would leave is put in its place here."""
    assert called(month, "report", *DAYS, "--tolerance", "100%").exit_code == 0
    made = result([(Cause.UNCAPTURED, 8 * NANOS_PER_DOLLAR)], 2 * NANOS_PER_DOLLAR)
    monkeypatch.setattr("spendgate.cli.reconcile_report.reconcile", lambda *_: made)
    for form in ("table", "json", "csv", "html"):
        above = called(month, "report", *DAYS, "--tolerance", "20%", "--format", form)
        below = called(month, "report", *DAYS, "--tolerance", "$1.99", "--format", form)
        assert (above.exit_code, below.exit_code) == (0, 1)
        assert (
            "$2.00 unexplained, by day and key without signs; tolerance $2.00 (20% of what is billed in scope): within"
            in above.stderr
        )
        assert "$2.00 unexplained, by day and key without signs; tolerance $1.99: over" in below.stderr


def test_the_billed_focus_dataset_is_what_the_report_calls_billed(month: State, tmp_path: Path) -> None:
    """To the nano-dollar, each line with the import that says it, and none of what was captured."""
    out = tmp_path / "billed.csv"
    done = CliRunner().invoke(
        app, ["export", "focus", "--billed", "--since", "2026-10-01T00:00:00Z", "--until", "2026-10-08T00:00:00Z",
              "--output", str(out), "--state", str(month.root)]
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with out.open(newline="") as lines:
        rows = list(csv.DictReader(lines))

    said = document(month)
    assert sum(Decimal(each["BilledCost"]) for each in rows) * NANOS_PER_DOLLAR == said["totals"]["billed_nanos"]
    assert "x_CapturedCost" not in rows[0]
    assert {each["x_ImportSha256"] for each in rows} <= {each["sha256"] for each in said["inputs"]}
    assert {each["ChargeCategory"] for each in rows} >= {"Usage", "Purchase"}
    assert {each["InvoiceIssuerName"] for each in rows} >= {"anthropic", "openai"}
    assert all(each["BilledCost"] == "0" for each in rows if each["x_Billed"] != "metered")
    assert CliRunner().invoke(app, ["export", "check", str(out)]).exit_code == 0


def test_billed_rows_are_asked_for_by_days_alone(month: State, state: State) -> None:
    """An attribute of calls is refused, and a ledger without statements says what to do."""
    with pytest.raises(UsageError, match="--where is about calls"):
        CliRunner().invoke(
            app, ["export", "focus", "--billed", "--where", "tool=codex", "--state", str(month.root)],
            catch_exceptions=False,
        )  # fmt: skip
    with pytest.raises(StateError, match="nothing was imported yet"):
        CliRunner().invoke(app, ["export", "focus", "--billed", "--state", str(state.root)], catch_exceptions=False)


def test_a_person_sees_each_cause_with_what_to_do(month: State) -> None:
    shown = called(month, "report", *DAYS).stdout
    assert "gap (billed less captured)" in shown
    for word in (
        "unexplained",
        "→ ",
        "coverage of",
        "(least covered)",
        "settling: ",
        "Ratio: captured of billed",
        "sha256",
        "convention: ",
    ):
        assert word in shown
    for each in document(month)["causes"]:
        assert each["cause"] in shown
        assert each["meaning"] in shown


def test_one_provider_alone(month: State) -> None:
    said = document(month, "--provider", "openai")
    assert {each["provider"] for each in said["days"]} == {"openai"}


def test_each_form_goes_to_a_file_as_it_does_to_the_screen(month: State, tmp_path: Path) -> None:
    for form in ("table", "json", "csv", "html"):
        out = tmp_path / form
        assert called(month, "report", *DAYS, "--format", form, "--output", str(out)).stdout == ""
        assert out.read_text() == called(month, "report", *DAYS, "--format", form).stdout
    nowhere = called(month, "report", *DAYS, "--output", str(tmp_path / "none" / "x"))
    assert isinstance(nowhere.exception, StateError)


def test_no_cell_of_the_csv_is_run_by_a_spreadsheet(tmp_path: Path) -> None:
    """A bill names its key as a formula."""
    state = State(tmp_path)
    evil = '=HYPERLINK("http://example.test")\x1b[31m'
    Ledger.open(state.ledger, state.gates, 1_790_812_800_000).close()
    line = Line(
        1_790_812_800_000,
        1_790_899_200_000,
        "anthropic",
        evil,
        who=replace(Line(0, 0, "").who, key=evil),
        billed_nanos=-5,
    )
    with StatementBook(state.ledger) as book:
        start = 1_790_812_800_000
        until = start + 86_400_000
        said = Statement(evil, "anthropic", "", start, until, "ab" * 32, evil, until + 86_400_000, (line,), (evil,))
        book.take(said, "tests", until + 86_400_000)
    rows = list(csv.DictReader(io.StringIO(called(state, "report", *DAYS, "--format", "csv").stdout)))
    drill = called(state, "explain", "--day", "2026-10-01", "--key", evil, "--format", "csv").stdout
    lines = list(csv.DictReader(io.StringIO(drill)))
    assert [row["billed_nanos"] for row in lines if row["part"] == "line"] == ["-5"]
    rows += lines
    texts = [cell for row in rows for key, cell in row.items() if cell and not key.endswith("nanos") and key != "ratio"]
    assert not [cell for cell in texts if cell[0] in "=+-@\t\r" or "\x1b" in cell]
    assert any(evil[:10] in cell for cell in texts)
    assert {row["nanos"] for row in rows if row["part"] == "total"} == {"-5"}
    page = called(state, "report", *DAYS, "--format", "html").stdout
    assert "\x1b" not in page
    assert "=HYPERLINK(&quot;" in page


def test_a_day_and_key_go_down_to_lines_and_calls(month: State) -> None:
    day = next(
        each
        for each in document(month)["findings"]
        if each["provider"] == "openai" and each["requests"] and each["key"]
    )
    words = ("explain", "--day", day["day"], "--key", day["key"])
    said = json.loads(called(month, *words, "--format", "json").stdout)
    assert day["cause"] in {each["cause"] for each in said["causes"]}
    assert said["lines"]
    assert sum(each["cost_nanos"] for each in said["calls"]) >= said["totals"]["captured_nanos"] > 0
    totals = said["totals"]
    assert sum(each["nanos"] for each in said["causes"]) + said["unexplained_nanos"] == totals["gap_nanos"]
    shown = called(month, *words).stdout
    assert said["calls"][0]["id"] in shown
    rows = list(csv.DictReader(io.StringIO(called(month, *words, "--format", "csv").stdout)))
    for part, whole in (("call", said["calls"]), ("line", said["lines"]), ("finding", said["findings"])):
        named = [row for row in rows if row["part"] == part]
        assert len(named) == len(whole)
        for row, each in zip(named, whole, strict=True):
            assert {
                key: str(each[key] if each[key] is not None else "") for key in each.keys() & row.keys() - {"calls"}
            } == {key: row[key] for key in each.keys() & row.keys() - {"calls"}}
    assert {row["part"] for row in rows} >= {"total", "cause", "unexplained", "tolerance", "day", "input", "note"}


def priced_counts(row: dict) -> dict[str, int]:
    """The counts of a line or a call that have a price of their own."""
    own = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "cache_write_other", "output")
    return {name: row[f"{name}_tokens"] for name in own if row[f"{name}_tokens"]}


@pytest.mark.parametrize("width", [80, 200])
def test_each_count_of_lines_and_calls_is_there_and_fits(
    month: State, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a person can add a row up to its money, on any terminal, by anthropic's caches, too."""
    monkeypatch.setenv("COLUMNS", str(width))
    key = max(
        document(month)["coverage"]["keys"],
        key=lambda each: (each["name"].startswith("anthropic"), each["billed_nanos"]),
    )
    words = ("explain", "--day", "2026-10-02", "--key", key["name"])
    said = json.loads(called(month, *words, "--format", "json").stdout)
    ran = called(month, *words)
    shown = set(ran.stdout.replace(";", " ").split())
    every = [priced_counts(each) for each in (*said["lines"], *said["calls"])]
    assert {name for each in every for name in each} >= {"input", "cache_read", "cache_write_5m", "output"}
    assert {f"{count:,}" for each in every for count in each.values()} <= shown
    assert max(map(len, ran.stdout.splitlines())) <= width
    assert "too narrow" not in ran.stderr


def test_what_is_counted_in_other_units_has_its_quantity(tmp_path: Path) -> None:
    state = State(tmp_path)
    start, day = 1_790_812_800_000, 86_400_000
    Ledger.open(state.ledger, state.gates, start).close()
    line = Line(
        start,
        start + day,
        "anthropic",
        charge=Charge.CODE_EXECUTION,
        quantity="12.50",
        unit="hours",
        billed_nanos=625 * 10**6,
    )
    with StatementBook(state.ledger) as book:
        said = Statement("anthropic", "anthropic", "", start, start + day, "ab" * 32, "api", start + 2 * day, (line,))
        book.take(said, "tests", start + 2 * day)
    words = ("explain", "--day", "2026-10-01", "--key", "(keys not told apart)")
    assert "12.50 hours" in called(state, *words).stdout
    (row,) = json.loads(called(state, *words, "--format", "json").stdout)["lines"]
    assert (row["charge"], row["quantity"], row["unit"]) == ("code execution", "12.50", "hours")


def test_what_to_do_next_goes_on_from_explain(month: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not send the person who has run it to the same command; the calls that a finding rests on are named."""
    found = next(each for each in document(month)["findings"] if each["cause"] == "failed_billed" and each["calls"])
    words = ("explain", "--day", found["day"], "--key", found["key"], "--provider", found["provider"])
    monkeypatch.setattr("spendgate.cli.reconcile_report.judged", lambda result: judged(off(result)))
    monkeypatch.setattr(
        "spendgate.cli.reconcile_report.explain",
        lambda *given: replace(drilled := explain(*given), result=off(drilled.result)),
    )
    said = json.loads(called(month, *words, "--format", "json").stdout)
    assert "look up in" in said["unexplained_remedy"]
    shown = " ".join(called(month, *words).stdout.split())
    assert said["unexplained_remedy"] in shown
    assert "reconcile explain" not in shown + json.dumps(said)
    remedy = next(each["remedy"] for each in said["causes"] if each["cause"] == "failed_billed")
    assert f"`spendgate calls show {found['calls'][0]}`" in remedy


def off(made: Answer) -> Answer:
    """With a cent on each day that nothing explains."""
    days = tuple(replace(each, unexplained_nanos=10**7, off_nanos=10**7) for each in made.days)
    return replace(made, days=days, unexplained_nanos=10**7 * len(days))


def test_a_key_that_nobody_knows_is_told_with_those_that_are(month: State) -> None:
    with pytest.raises(
        StateError, match=r"2026-10-02: nothing of 'nobody' on this day; known are: .*key_.*`--map FILE`"
    ):
        raise failure(called(month, "explain", "--day", "2026-10-02", "--key", "nobody"))


def test_a_key_is_known_behind_its_provider_as_coverage_has_it(month: State) -> None:
    """Two providers may have a key of one name, as `(no key)`; either form goes down to the same lines and calls."""
    row = next(each for each in document(month)["coverage"]["keys"] if each["name"].startswith("openai key_"))
    asked = ("explain", "--day", "2026-10-02", "--format", "json", "--key")
    whole, short = (called(month, *asked, name) for name in (row["name"], row["name"].removeprefix("openai ")))
    assert json.loads(whole.stdout)["lines"]
    assert whole.stdout == short.stdout
    notes = document(month)["notes"]
    assert any(each.startswith("anthropic: some keys are not told apart; `--map FILE`") for each in notes)
    keyless = json.loads(called(month, *asked, "anthropic (keys not told apart)").stdout)
    assert {each["provider"] for each in keyless["days"]} == {"anthropic"}


@pytest.mark.parametrize("width", [80, 119, 120, 160])
def test_no_word_of_the_table_is_broken_and_nothing_is_wider(
    month: State, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence stands beside the amounts where there is room, else under them over the whole width."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = called(month, "report", *DAYS).stdout.splitlines()
    causes = document(month)["causes"]
    for each in causes:
        assert any(line.startswith(f"{each['cause']} ") for line in lines)
    words = {word for line in lines for word in line.split()}
    assert {word for each in causes for word in each["evidence"].split()} <= words
    table = lines[: lines.index("", lines.index(next(line for line in lines if line.startswith("cause "))))]
    assert max(map(len, table)) <= width


def test_one_of_something_is_told_in_the_singular(month: State) -> None:
    said = document(month)
    told = [*(each["evidence"] for each in (*said["findings"], *said["causes"])), *said["notes"]]
    assert any(re.search(r"\b1 (call|request)\b", each) for each in told)
    assert not [
        each for each in told if re.search(r"(?<![\d.,])1 (calls|requests|rows|days|minutes|connections)\b", each)
    ]


def test_a_fee_is_told_in_dollars(month: State) -> None:
    fees = [each for each in document(month)["findings"] if each["cause"] == "non_token_fee"]
    assert fees
    assert all(f"has ${each['nanos'] / NANOS_PER_DOLLAR:.2f}"[:-1] in each["evidence"] for each in fees)
    assert not any("nano" in each["evidence"] for each in fees)


def test_what_is_unexplained_has_a_next_step_that_works(month: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that the report shows, with a key of its coverage."""
    made = result([(Cause.UNCAPTURED, 8)], 2)
    with monkeypatch.context() as patched:
        patched.setattr("spendgate.cli.reconcile_report.reconcile", lambda *_: made)
        page = called(month, "report", *DAYS, "--format", "html").stdout
        shown = " ".join(called(month, "report", *DAYS).stdout.split())
    assert "--day 2026-11-01 --provider key --key KEY</code>" in page
    assert "`spendgate reconcile explain --day 2026-11-01 --provider key --key KEY`" in shown


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        (("report", "--tolerance", "half"), UsageError, "--tolerance: 'half' is no tolerance"),
        (("report", "--from", "yesterday"), UsageError, "--from yesterday: write a UTC day"),
        (("report", "--from", "2026-10-02", "--until", "2026-10-01"), UsageError, "is not before"),
        (("report", "--map", "/nowhere/keys.yaml"), StateError, "--map /nowhere/keys.yaml: "),
        (("explain", "--day", "2026-13-01", "--key", "k"), UsageError, "--day 2026-13-01: write a UTC day"),
    ],
)
def test_wrong_words_are_told(month: State, words: tuple[str, ...], kind: type[SpendgateError], told: str) -> None:
    fault = failure(called(month, *words))
    assert isinstance(fault, kind)
    assert told in str(fault)


def failure(ran: Ran) -> BaseException:
    """What the program then tells in a line."""
    assert ran.exception is not None
    return ran.exception


def test_a_map_says_which_keys_are_elsewhere(month: State, tmp_path: Path) -> None:
    plain = document(month)
    keys = [each for each in plain["coverage"]["keys"] if each["name"].startswith("openai key_")]
    key = max(keys, key=lambda each: each["billed_nanos"])
    named = key["name"].removeprefix("openai ")
    map_ = tmp_path / "keys.yaml"
    map_.write_text(f"map: 1\nkeys:\n  - {{key: {named}, provider: openai, role: elsewhere}}\n")
    mapped = document(month, "--map", str(map_))
    assert named in {each["key"] for each in mapped["findings"] if each["cause"] == "scope_key"}
    assert key["name"] not in {each["name"] for each in mapped["coverage"]["keys"]}
    map_.write_text("map: 1\nkeys:\n  - {key: k, role: elsewhere}\n")
    fault = failure(called(month, "report", "--map", str(map_)))
    assert isinstance(fault, StatementError)
    assert "keys.yaml:3:5: keys[1].provider: is missing" in str(fault)


def test_nothing_that_could_be_compared_is_exit_1(month: State) -> None:
    ran = called(month, "report", "--from", "2025-01-01", "--until", "2025-02-01", "--format", "json")
    assert ran.exit_code == 1
    assert "nothing could be compared" in ran.stderr
    assert json.loads(ran.stdout)["tolerance"]["compared"] is False


def test_without_imports_the_next_step_is_named(state: State) -> None:
    assert "spendgate reconcile import FILE" in str(failure(called(state, "report")))


def test_logs_of_this_account_are_asked(month: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of a Claude Code log that the ledger lacks, of the amount that a bill's key is short of, went around the gate."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    short = next(
        each
        for each in document(month)["findings"]
        if each["cause"] == "uncaptured" and each["provider"] == "anthropic"
    )
    plain = document(month)
    log = tmp_path / "claude" / "projects" / "p" / "s.jsonl"
    log.parent.mkdir(parents=True)
    line = {
        "type": "assistant", "timestamp": f"{short['day']}T12:00:00.000Z", "sessionId": "s", "requestId": "req_around",
        "message": {"id": "msg_around", "role": "assistant", "model": short["model"], "stop_reason": "end_turn",
                    "usage": {"input_tokens": 1, "output_tokens": 1}},
    }  # fmt: skip
    log.write_text(json.dumps(line) + "\n")
    heard = document(month, "--witness")
    found = [each for each in heard["findings"] if "msg_around" in each["evidence"]]
    assert [(each["cause"], each["day"], each["provider"]) for each in found] == [
        ("bypass_on_device", short["day"], "anthropic")
    ]
    assert "claude-code's log has msg_around, the ledger has not" in found[0]["evidence"]
    assert heard["totals"] == plain["totals"]


def test_what_could_not_be_read_of_the_logs_is_told(
    month: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that heard half of a log says so, on stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    log = tmp_path / "claude" / "projects" / "p" / "s.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text('{"usage": broken}\n')
    told = "claude-code: not read: 1 lines or rows that could not be read"
    assert told in called(month, "report", "--witness").stderr
    assert told not in called(month, "report").stderr
