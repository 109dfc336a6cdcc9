"""`status`, `spend`, `calls` and `calls show` over a ledger with known calls."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, app, ran, row, settlement
from spendgate.admission import Admit, RefusalKind, Refuse
from spendgate.cli.output import Format, console, emit, safe
from spendgate.config.paths import State, prepare
from spendgate.errors import UsageError
from spendgate.ledger.interface import CallRow
from spendgate.ledger.ledger import Ledger
from spendgate.usage import Usage


def test_status_tells_spent_from_held(state: State) -> None:
    """Money spent and money held are two figures, in every format; the open call's excess over its hold is told."""
    said = json.loads(ran(state, "status", "--format", "json"))
    day = next(row for row in said["budgets"] if row["budget"] == "person/day")

    assert (day["spent_nanos"], day["held_nanos"], day["limit_nanos"]) == (123_456_789, 250_000_000, 10**9)
    assert day["left_nanos"] == 10**9 - 123_456_789 - 250_000_000
    assert said["open_calls_above_holds_nanos"] == 150_000_000
    assert said["ledger"]["rows"] == 2 and len(said["ledger"]["head"]) == 64
    assert said["gate"] == {
        "up": False,
        "gates": 0,
        "by_other_policies": [],
        "modes": [],
        "captures_nothing_through": [],
        "not_led": "",
        "ports_taken": [],
    }


def test_status_tells_the_modes_of_a_gate_that_is_up(state: State) -> None:
    """How traffic reaches the gate is told while one lives, and not of one that has gone."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    said = json.loads(ran(state, "status", "--format", "json"))
    ledger.close()

    assert (said["gate"]["up"], said["gate"]["gates"], said["gate"]["modes"]) == (True, 1, ["regular"])


def test_status_shows_budgets_kept_by_what_calls_had(state: State) -> None:
    """A budget per session is shown for the sessions that this person's calls had."""
    said = json.loads(ran(state, "status", "--format", "json"))

    assert [row["value"] for row in said["budgets"] if row["budget"] == "session"] == ["s1"]
    assert "person/day" in ran(state, "status")


def test_spend_totals_are_exact(state: State) -> None:
    """Totals are integers of nano-dollars; refused calls are counted apart and cost nothing."""
    (row,) = json.loads(ran(state, "spend", "--by", "person,tool,model", "--format", "json"))

    assert (row["calls"], row["refused"], row["cost_nanos"], row["held_nanos"]) == (2, 1, 123_456_789, 250_000_000)
    assert (row["person"], row["tool"], row["model"]) == ("alice", "claude-code", "claude-sonnet-4-5")


@pytest.mark.parametrize(
    ("columns", "width"),
    [("100", 100), ("200", 200), (None, 160), ("", 160), ("0", 160), ("wide", 160), ("-5", 160)],
)
def test_a_piped_table_is_as_wide_as_columns_says(
    monkeypatch: pytest.MonkeyPatch, columns: str | None, width: int
) -> None:
    """COLUMNS where it is a width, else 160."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)

    assert console().width == width


def test_spend_can_be_narrowed(state: State) -> None:
    """`--where` and `--since` choose calls."""
    assert json.loads(ran(state, "spend", "--where", "person=bob", "--format", "json")) == []
    assert json.loads(ran(state, "spend", "--since", "1h", "--by", "day", "--format", "json"))


@pytest.mark.parametrize("name", ["team", "process", "refused_by", "basis"])
def test_what_calls_have_none_of_is_named_and_found(state: State, name: str) -> None:
    """In words in the table, as null and empty for programs; an empty value finds the very calls of that row."""
    [without] = [row for row in json.loads(ran(state, "spend", "--by", name, "--format", "json")) if row[name] is None]

    [found] = json.loads(ran(state, "spend", "--by", name, "--where", f"{name}=", "--format", "json"))
    listed = json.loads(ran(state, "calls", "--where", f"{name}=", "--format", "json"))

    assert found == without and len(listed) == found["calls"] + found["refused"]
    assert {row[name] for row in listed} == {None}
    word = {"refused_by": "not refused", "basis": "no basis"}.get(name, f"no {name}")
    assert f"\n{word} " in ran(state, "spend", "--by", name)
    assert ran(state, "spend", "--by", name, "--where", f"{name}=", "--format", "csv").splitlines()[1].startswith(",")


@pytest.mark.parametrize("command", ["spend", "calls"])
@pytest.mark.parametrize(
    ("filters", "says"),
    [
        pytest.param(["--since", "2126-01-01"], "no call fits these filters\n", id="since"),
        pytest.param(["--until", "2026-01-01"], "no call fits these filters\n", id="until"),
        pytest.param(
            ["--where", "model=claude-*"], "no call fits these filters (--where compares exactly)\n", id="where"
        ),
    ],
)
def test_filters_that_fit_nothing_say_so(state: State, command: str, filters: list[str], says: str) -> None:
    """Calls there are, only none of these: a person is not told that there is nothing yet."""
    assert ran(state, command, *filters) == says


@pytest.mark.parametrize("command", ["spend", "calls"])
def test_an_empty_ledger_says_that_there_is_nothing_yet(tmp_path: Path, command: str) -> None:
    """Without filters and without calls."""
    found = prepare(State(tmp_path / "state"))
    Ledger.open(found.ledger, found.gates, NOW_MS).close()

    assert ran(found, command) == "nothing yet\n"


@pytest.mark.parametrize("command", ["spend", "calls"])
@pytest.mark.parametrize("until", ["2026-11-21", "2026-11-22"])
def test_a_range_that_holds_no_instant_is_wrong_usage(state: State, command: str, until: str) -> None:
    """Its end is not after its beginning: no ledger could answer it with a call."""
    words = [command, "--since", "2026-11-22", "--until", until, "--state", str(state.root)]

    result = CliRunner().invoke(app, words)

    assert isinstance(result.exception, UsageError) and "is not before" in str(result.exception)


def test_csv_has_every_column_of_the_view(state: State) -> None:
    """A script reads the same names from CSV as from the ledger's view."""
    rows = list(csv.DictReader(io.StringIO(ran(state, "calls", "--format", "csv"))))

    assert {row["state"] for row in rows} == {"settled", "open", "refused"}
    assert {"cost_nanos", "held_nanos", "refused_why", "policy_hash", "request_id"} <= set(rows[0])


@pytest.mark.parametrize(
    ("model", "cell"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'·=1"),
        ("\r=1", "'·=1"),
        ("\x1b[2J\x9b31m\u202ea\nb", "·[2J·31m·a·b"),
        ("gpt-5=@+é", "gpt-5=@+é"),
    ],
)
@pytest.mark.parametrize("words", [("calls",), ("calls", "show", "0d"), ("spend", "--by", "model")], ids=" ".join)
def test_no_name_runs_in_a_terminal_or_a_spreadsheet(
    state: State, words: tuple[str, ...], model: str, cell: str
) -> None:
    """What clients name stands in CSV as text and nothing else, and in JSON as it was, escaped."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.hold(replace(row("0d-named", 5), model_requested=model), (), lambda _s, _k: Admit(()), NOW_MS)
    ledger.settle("0d-named", replace(settlement(()), model=model))
    ledger.close()

    said = ran(state, *words, "--format", "csv")
    document = ran(state, *words, "--format", "json")

    assert all(char.isprintable() or char == "\n" for char in said + document)
    assert cell in {row["model"] for row in csv.DictReader(io.StringIO(said))}
    assert f'"model": {json.dumps(model)}' in document


def test_numbers_in_csv_are_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """A negative amount is no formula."""
    emit([{"left_nanos": -5, "none": None, "yes": True}], (), Format.CSV)

    assert capsys.readouterr().out == "left_nanos,none,yes\n-5,,True\n"


def test_the_figures_of_a_budget_add_up_as_they_are_printed(state: State) -> None:
    """Spent, held and left are the limit; what is left is never more than there is."""
    (row,) = [line.split() for line in ran(state, "status").splitlines() if line.startswith("person/day")]

    assert row[2:6] == ["$0.1235", "$0.25", "$1.00", "$0.6265"]


def test_one_call_is_explained(state: State) -> None:
    """By the beginning of its id: counts, price, holds and charges of each budget."""
    said = json.loads(ran(state, "calls", "show", "0a1b", "--format", "json"))

    assert said["cost_nanos"] == 123_456_789
    assert {(hold["budget"], hold["charged_nanos"]) for hold in said["holds"]} >= {("person/day", 123_456_789)}
    assert "charged" in ran(state, "calls", "show", "0a1b")


@pytest.mark.parametrize("hold_nanos", [1, 2])
def test_a_refused_call_is_explained_without_what_would_puzzle(state: State, hold_nanos: int) -> None:
    """Its estimate is cut at the most that it can cost; a hold of one nano-dollar, which stands for any, is not told."""
    spent = Refuse(RefusalKind.SPENT, "person", "", settled_nanos=2, hold_nanos=hold_nanos, limit_nanos=2)
    made = replace(row("0d-refused", 5), estimate_nanos=5_580_000_000)
    with closing(Ledger.open(state.ledger, state.gates, NOW_MS)) as ledger:
        ledger.refused(made, spent, now_ms=NOW_MS, waited_ms=0, http_status=429)
    said = ran(state, "calls", "show", "0d")

    assert re.search(r"estimate +\$0.40\n +ceiling +\$0.40\n", said)
    assert ("refused hold" in said) == (hold_nanos > 1)
    assert json.loads(ran(state, "calls", "show", "0d", "--format", "json"))["estimate_nanos"] == 5_580_000_000


def test_a_sub_agent_is_shown_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is for, who it is, who started it: in the list, in the explanation, and to group by."""
    monkeypatch.setenv("COLUMNS", "300")
    state = prepare(State(tmp_path / "state"))
    kin = (
        ("0a-main", None, None, None, None),
        ("0b-below", "agent-1", "review", None, "0a-main"),
        ("0c-nested", "agent-2", None, "agent-1", "0b-below"),
    )
    with closing(Ledger.open(state.ledger, state.gates, NOW_MS)) as ledger:
        for number, (call_id, agent, name, parent, call) in enumerate(kin):
            made = replace(row(call_id, number), agent=agent, agent_name=name, parent_agent=parent, parent_call=call)
            ledger.hold(made, (), lambda *_: Admit(()), NOW_MS)
    said = ran(state, "calls")
    assert "review agent-1 of main" in said
    assert "agent-2 of agent-1" in said
    below, nested = ran(state, "calls", "show", "0b"), ran(state, "calls", "show", "0c")
    assert re.search(r"parent agent +the main agent of this session\n  parent call +0a-main", below)
    assert re.search(r"parent agent +agent-1\n  parent call +0b-below", nested)
    assert "parent" not in ran(state, "calls", "show", "0a")
    grouped = json.loads(ran(state, "spend", "--by", "session,agent_name,parent_agent", "--format", "json"))
    assert {(one["session"], one["agent_name"], one["parent_agent"]) for one in grouped} == {
        ("s1", None, None),
        ("s1", "review", None),
        ("s1", None, "agent-1"),
    }


@pytest.mark.parametrize(
    ("usage", "nanos", "says"),
    [
        pytest.param(
            Usage(input_tokens=0, output_tokens=0), 0, "nothing was counted, so it cost nothing", id="nothing"
        ),
        pytest.param(Usage(input_tokens=50_000), 150_000_000, "$3.00 per million = $0.15", id="first tier"),
        pytest.param(Usage(input_tokens=50_000), 1, "$0.000000001 does not follow from today's price list", id="other"),
    ],
)
def test_a_price_is_explained_by_its_counts(state: State, usage: Usage, nanos: int, says: str) -> None:
    """Counts times the prices of the call's own tier; in words where nothing was counted, or where they do not add up."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.hold(row("0d-priced", 5), (), lambda _s, _k: Admit(()), NOW_MS)
    priced = replace(
        settlement(()), usage=usage, cost_nanos=nanos, value_nanos=nanos, prices="bundled:anthropic/claude-sonnet-4-5"
    )
    ledger.settle("0d-priced", priced)
    ledger.close()

    assert says in ran(state, "calls", "show", "0d")


@pytest.mark.parametrize(
    ("basis", "value", "flags", "says"),
    [
        pytest.param("estimated", 500, (), "estimated from bytes: input is mostly between", id="estimated"),
        pytest.param("reported", 400, (), "the provider states what it bills, $0.0000005, which goes", id="stated"),
        pytest.param("reported", 500, (), None, id="by the list"),
        pytest.param("estimated", 500, ("no counts",), "$0.0000005: what such calls usually cost, or", id="its kind"),
        pytest.param("estimated", 0, ("no counts", "background"), "$0.00: what was held for it; its", id="its hold"),
        pytest.param("ceiling", 500, ("no counts",), "the most that it could cost; its answer gave no", id="the most"),
        pytest.param(
            "ceiling", 500, ("output not counted",), "its input and the most that its output", id="input alone"
        ),
    ],
)
def test_how_far_a_number_can_be_trusted(
    state: State, basis: str, value: int, flags: tuple[str, ...], says: str | None
) -> None:
    """An estimate says how far it may be off, a cost that the provider states, and one that nobody counted, what it is.

    No word is given that a price list has changed, where no counts were priced.
    """
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.hold(row("0d-priced", 5), (), lambda _s, _k: Admit(()), NOW_MS)
    source = "bundled:anthropic/claude-sonnet-4-5" if flags else None
    priced = replace(settlement(()), basis=basis, cost_nanos=500, value_nanos=value, flags=flags, prices=source)
    ledger.settle("0d-priced", priced)
    ledger.close()

    said = " ".join(ran(state, "calls", "show", "0d").split())
    told = [
        text
        for text in (
            "estimated from bytes",
            "the provider states",
            "gave no counts",
            "was not counted",
            "does not follow",
        )
        if text in said
    ]
    assert (says in said if says else not told) and len(told) == bool(says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["spend", "--by", "colour"], "colour", id="unknown attribute"),
        pytest.param(["spend", "--since", "soon"], "not a time", id="no time"),
        pytest.param(["calls", "--where", "person"], "ATTR=VALUE", id="no value"),
        pytest.param(["calls", "show", "ffff"], "ffff", id="no such call"),
    ],
)
def test_wrong_usage_names_the_remedy(state: State, words: list[str], says: str) -> None:
    """One line that says what was wrong."""
    result = CliRunner().invoke(app, [*words, "--state", str(state.root)])

    assert result.exit_code != 0
    assert says in str(result.exception)


@pytest.mark.parametrize("command", ["status", "spend", "calls", "ca"])
def test_an_unknown_format_names_those_that_exist(state: State, command: str) -> None:
    """Wrong usage, exit status 2, in words for a person."""
    words = [command, *(["show"] if command == "ca" else []), "--format", "xml", "--state", str(state.root)]

    result = CliRunner().invoke(app, words, env={"TERMINAL_WIDTH": "160"})

    assert result.exit_code == 2
    assert "'xml' is not one of table, json, csv" in result.output and "Value error" not in result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["policy", "schema", "--for", "xml"], "'xml' is not one of policy, include, cases"),
        (["service", "install", "--mode", "xml"], "'xml' is not one of regular, transparent, auto"),
        (["reconcile", "report", "--format", "xml"], "'xml' is not one of table, json, csv, html"),
    ],
)
def test_a_word_that_an_option_does_not_know_is_told_with_those_it_knows(words: list[str], says: str) -> None:
    """Of every option with fixed words, and never in a library's."""
    result = CliRunner().invoke(app, words, env={"TERMINAL_WIDTH": "200"})
    assert result.exit_code == 2
    assert says in result.output
    assert "Value error" not in result.output


def test_a_name_cannot_write_to_the_terminal(state: State) -> None:
    """Escape sequences in what a client claimed come out inert."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    row = CallRow(
        id="0d-evil", started_ms=NOW_MS, person="alice", machine="m", provider="anthropic", host="h", path="/p",
        tool="\x1b]0;owned\x07[red]tool[/red]", session="s",
    )  # fmt: skip
    ledger.recorded(
        row, "free", ended_ms=NOW_MS, http_status=200, request_bytes=0, response_bytes=0, duration_ms=1, first_byte_ms=1
    )
    ledger.close()

    shown = ran(state, "calls")

    assert "\x1b" not in shown and "\x07" not in shown
    assert safe("[red]tool[/red]\x1b") == "\\[red]tool\\[/red]·"


def test_without_a_ledger_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new machine: nothing has been captured yet, and the error says how to begin, in the state that was chosen."""
    chosen = tmp_path / "my state"
    told = CliRunner().invoke(app, ["status", "--state", str(chosen)])
    monkeypatch.setenv("SPENDGATE_STATE", str(chosen))
    by_variable = CliRunner().invoke(app, ["status"])

    assert f"`spendgate exec --state '{chosen}' -- claude`" in str(told.exception)
    assert "`spendgate exec -- claude`" in str(by_variable.exception)
