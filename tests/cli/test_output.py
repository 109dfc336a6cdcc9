"""What scripts rely on in any output: the header of CSV, and an exit status that tells when the output was lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.kit import ran
from spendgate.cli import ask, budget_rows, calls, me, report_made
from spendgate.cli.output import Column, Row, fitting
from spendgate.config.paths import State

FULL = Path("/dev/full")


@pytest.mark.parametrize("words", [("calls",), ("spend",), ("spend", "--by", "tool,day")], ids=" ".join)
def test_csv_has_the_same_header_with_and_without_rows(state: State, words: tuple[str, ...]) -> None:
    """A script that reads columns by their place is not led astray by an empty answer."""
    with_rows = ran(state, *words, "--format", "csv").splitlines()
    without_rows = ran(state, *words, "--where", "person=nobody", "--format", "csv").splitlines()

    assert without_rows == with_rows[:1] and len(with_rows) > 1


def test_status_has_the_same_header_where_no_budget_applies(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the other commands."""
    with_rows = ran(state, "status", "--format", "csv").splitlines()
    monkeypatch.setattr(report_made, "scopes_of_calls", lambda *_: ())

    assert ran(state, "status", "--format", "csv").splitlines() == with_rows[:1] and len(with_rows) > 1


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [
        ("calls",),
        ("calls", "--format", "json"),
        ("calls", "--format", "csv"),
        ("calls", "show", "0a"),
        ("spend",),
        ("status",),
        ("status", "--format", "json"),
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_fails(state: State, words: tuple[str, ...], unbuffered: str) -> None:
    """Exit status 1 and one line, whether Python keeps output back or not."""
    with FULL.open("w") as full:
        done = _program(state, *words, stdout=full.fileno(), unbuffered=unbuffered)

    assert done.returncode == 1
    assert done.stderr == "spendgate: the output could not be written: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor as a shell does")
def test_a_closed_stdout_fails(state: State) -> None:
    """As `>&-` leaves it."""
    closed = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    done = _program(state, "calls", before=("-c", closed))

    assert done.returncode == 1
    assert done.stderr == "spendgate: the output could not be written: stdout is closed\n"


def _program(
    state: State, *words: str, stdout: int | None = None, unbuffered: str = "", before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own."""
    module = ("-m", "spendgate", *words, "--state", str(state.root))
    return subprocess.run(
        [sys.executable, *before, *module],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered, "SPENDGATE_TRACEBACK": ""},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_a_column_that_fits_is_shown_although_a_lighter_one_does_not() -> None:
    """What must be there is, then the lightest that fit; a wide one does not take narrow ones down with it."""
    columns = [Column("id", "id", weight=0), Column("long", "long", weight=1), Column("short", "short", weight=2)]
    cells = {"id": ["a" * 20], "long": ["b" * 40], "short": ["c" * 6]}
    assert [column.key for column in fitting(columns, cells, 40)] == ["id", "short"]
    assert [column.key for column in fitting(columns, cells, 80)] == ["id", "long", "short"]
    assert [column.key for column in fitting(columns, cells, 10)] == ["id"]


@pytest.mark.parametrize(
    ("columns", "row", "promised"),
    [
        (
            ask.COLUMNS,
            {
                "id": "8fb51ac9", "status": "granted $5,000.00", "person": "alice", "budget": "person",
                "amount_nanos": 5 * 10**9,
                "ends": "2026-11-30 00:00 CET", "asked_of": "pay@acme.example", "reason": "release week",
                "reached": "delivered to json-862ae81f, json-a35af4f3, mail:lead, mailto-c753f451",
            },
            "reached",
        ),
        (
            me.COLUMNS,
            {
                "table": "deliveries", "rows": 28, "first_at": "2026-11-29T08:32:05.138Z", "last_at": "2026-11-29T08:36:28.000Z",
                "until": "for good", "what": "what a budget's window has settled and holds for you or a session of yours",
            },
            "what",
        ),
    ],
    ids=["ask list", "me"],
)  # fmt: skip
def test_what_a_list_is_for_fits_80_columns(columns: tuple[Column, ...], row: Row, promised: str) -> None:
    """Whether an ask has arrived; what is kept about somebody: the README sends people to these columns."""
    cells = {column.key: [str(row[column.key])] for column in columns}
    assert promised in [column.key for column in fitting(columns, cells, 80)]


def test_whose_calls_and_what_is_left_fit_80_columns() -> None:
    """Who, with which tool, which model, at what price: what the product is for goes last; whether a budget is enforced."""
    call = {
        "id": "019acb7e-91c0", "started_at": "14:05:09", "person": "alice", "tool": "claude-code", "model": "claude-sonnet-4-5",
        "path": "/v1/messages", "state": "interrupted", "input_tokens": "1,234,567", "output_tokens": "12,345",
        "cost_nanos": "$0.12", "basis": "reported",
    }  # fmt: skip
    cells = {column.key: [call.get(column.key, "")] for column in calls.COLUMNS}
    assert {"person", "tool", "model", "state", "cost_nanos"} <= {
        each.key for each in fitting(calls.COLUMNS, cells, 80)
    }
    budget = {
        "budget": "person", "value": "alice", "spent": "$12.34", "held": "$0.25", "limit": "$100.00", "left": "$87.41",
        "used": "12%", "resets": "12-01 00:00 UTC", "mode": "enforced",
    }  # fmt: skip
    cells = {key: [text] for key, text in budget.items()}
    assert [each.key for each in fitting(budget_rows.COLUMNS, cells, 80)] == list(budget)
