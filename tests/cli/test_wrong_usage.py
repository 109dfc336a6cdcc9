"""Plain bad input to the reading commands: one line that names the option and what is allowed, exit status 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app, ran
from spendgate.cli import main
from spendgate.config.paths import State


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["spend", "--since", "999999w"], ("--since", "'999999w'", "write today"), id="weeks"),
        pytest.param(["spend", "--until", "999999d"], ("--until", "'999999d'", "write today"), id="days"),
        pytest.param(["calls", "--since", ""], ("--since", "'' is not a time", "write today"), id="empty"),
        pytest.param(["calls", "--until", ""], ("--until", "'' is not a time", "write today"), id="empty end"),
        pytest.param(["calls", "--limit", "9" * 20], ("--limit", "whole number from 1 to"), id="limit"),
        pytest.param(["calls", "--limit", "0"], ("--limit", "whole number from 1 to"), id="no limit"),
        pytest.param(["calls", "--where", "person=\udcff"], ("--where", "\\udcff", "UTF-8"), id="where"),
        pytest.param(["spend", "--where", "person=\udcff"], ("--where", "\\udcff", "UTF-8"), id="where in spend"),
        pytest.param(["calls", "show", "\udcff"], ("ID", "\\udcff", "UTF-8"), id="id"),
        pytest.param(["spend", "--by", ""], ("--by ''", "no ''", "day", "tool"), id="by nothing"),
        pytest.param(["spend", "--by", "tool,"], ("--by 'tool,'", "no ''", "day", "tool"), id="a comma too many"),
        pytest.param(["spend", "--by", "tool, tool"], ("'tool' stands twice", "day", "person"), id="by twice"),
        pytest.param(["spend", "--by", "colour"], ("no 'colour'", "day", "person"), id="no such attribute"),
        pytest.param(
            ["calls", "--where", "tool=a", "--where", "tool=b"], ("'tool' stands twice", "person"), id="where twice"
        ),
    ],
)
@pytest.mark.parametrize("ledger", [True, False], ids=["a ledger", "no ledger yet"])
def test_bad_input_is_wrong_usage(
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: tuple[str, ...],
    *,
    ledger: bool,
) -> None:
    """As the whole program ends: never as a fault of its own, and on a machine that has no ledger yet as on any other."""
    root = state.root if ledger else state.root / "nothing yet"
    status, told = ended(monkeypatch, capsys, *words, "--state", str(root))

    assert status == 2
    assert told.count("\n") == 1 and all(part in told for part in says)


ROOT = ["--root", "none"]


@pytest.mark.parametrize(
    ("words", "given", "most"),
    [
        pytest.param(["issue", *ROOT, "--device", "d", "--out", "o", "--new-key", "--days"], "400", 90, id="issue"),
        pytest.param(["init", "--out", "o", "--name", "n", "--years"], "-1", 20, id="init"),
        pytest.param(["token", *ROOT, "--days"], "1.5", 90, id="token"),
        pytest.param(["token", *ROOT, "--fleet"], "0", 10_000, id="fleet"),
        pytest.param(["serve", *ROOT, "--listen", "x:1", "--certificate", "c", "--days"], "x", 90, id="serve"),
    ],
)
def test_a_number_out_of_range_is_told_with_its_range(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], given: str, most: int
) -> None:
    """By the option's own name, before anything is looked for or made."""
    status, told = ended(monkeypatch, capsys, "ca", "org", *words, given)

    assert (status, told) == (2, f"spendgate: {words[-1]} {given}: write a whole number from 1 to {most}\n")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param(["--format", "json"], "--format", id="format"),
        pytest.param(["--since", "nonsense"], "--since", id="an option that show has not"),
        pytest.param(["--free", "--limit", "3"], "--limit, --free", id="two"),
    ],
)
def test_options_before_show_are_not_lost(
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    """They would belong to the list, which is not made: the line names them and where they belong."""
    status, told = ended(monkeypatch, capsys, "calls", *options, "show", "0a1b", "--state", str(state.root))

    assert status == 2
    assert told.startswith(f"spendgate: {named} before `show` would be lost: write options behind it")
    assert told.count("\n") == 1


def test_a_state_before_show_is_not_lost(state: State) -> None:
    """Another ledger than the one that was named would be read."""
    words = ["calls", "--state", str(state.root), "show", "0a1b"]

    assert "--state before `show`" in str(CliRunner().invoke(app, words).exception)


def test_options_behind_show_hold(state: State) -> None:
    """Where the line says that they belong."""
    assert ran(state, "calls", "show", "0a1b", "--format", "json").startswith("{")


def test_each_fault_of_a_statement_is_a_line_of_spendgates(
    state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The second as the first."""
    bill = tmp_path / "bill.yaml"
    bill.write_text("statement: 1\nprovider: anthropic\nfrom: never\nthrough: ever\n")

    status, told = ended(monkeypatch, capsys, "reconcile", "import", str(bill), "--state", str(state.root))

    places = [line.partition("spendgate: bill.yaml:")[2].partition(":")[0] for line in told.splitlines()]
    assert (status, places) == (1, ["3", "4"])


def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int | str | None, str]:
    """The program's exit status, and what it said on stderr."""
    monkeypatch.setattr("sys.argv", ["spendgate", *words])
    with pytest.raises(SystemExit) as end:
        main.run()
    return end.value.code, capsys.readouterr().err
