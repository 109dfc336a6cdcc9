"""Whose policy `status` goes by where a gate of `run` and commands of `exec` share a state directory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.cli import in_force
from spendgate.config.last_good import LastGood
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger

NOW_MS = time.time_ns() // 1_000_000


@contextmanager
def gate(state: State, file: Path, *, command: bool = False) -> Iterator[None]:
    """One that lives, and that has said by which policy it goes; at its end it says no more."""
    found = LastGood(state, command=command).start(file, NOW_MS)
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    said = in_force.InForce(
        found.policy.hash, found.source, NOW_MS, (), None, "m" * 32, "", ("regular",), gate=ledger.gate_name, command=command
    )  # fmt: skip
    in_force.tell(state, said, found.copy)
    try:
        yield
    finally:
        in_force.forget(state, ledger.gate_name)
        ledger.close()


def shown(state: State) -> tuple[list[str], list[str]]:
    """The limits that `status` shows, and the gates that go by another policy."""
    answer = CliRunner().invoke(app, ["status", "--state", str(state.root), "--format", "json"])
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    return [each["budget"] for each in told["budgets"]], told["gate"]["by_other_policies"]


@pytest.fixture
def policies(tmp_path: Path) -> tuple[State, dict[str, Path]]:
    """A state directory, and three policies of one budget each."""
    files = {name: tmp_path / f"{name}.yaml" for name in ("live", "tried", "other")}
    for name, file in files.items():
        file.write_text(f"version: 1\nowner: tests@acme.example\nbudgets: [{{name: {name}, limit: $1 per day}}]\n")
    return prepare(State(tmp_path / "state")), files


def test_a_command_does_not_stand_for_the_gate(policies: tuple[State, dict[str, Path]]) -> None:
    """While it runs, after it has ended, and after the gate has ended too; where no gate ever was, it is all there is."""
    state, files = policies
    with gate(state, files["tried"], command=True):
        assert shown(state) == (["tried"], [])
    assert shown(state) == (["tried"], [])
    with gate(state, files["live"]):
        with gate(state, files["tried"], command=True):
            limits, others = shown(state)
            assert limits == ["live"]
            assert [str(files["tried"]) in each for each in others] == [True]
        assert shown(state) == (["live"], [])
        with gate(state, files["other"]):  # the later of two gates; the first is named, and shown again after its end
            limits, others = shown(state)
            assert (limits, len(others)) == (["other"], 1)
        assert shown(state) == (["live"], [])
    with gate(state, files["tried"], command=True):
        assert shown(state)[0] == ["tried"]
    assert in_force.told(state) is not None


def test_exec_says_that_a_gate_goes_by_another_policy(
    policies: tuple[State, dict[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line on stderr, also where the command is not found, which says nothing of the gate then either."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    state, files = policies
    with gate(state, files["live"]):
        answer = CliRunner().invoke(app, ["exec", "--state", str(state.root), "--", "/no/such"])
        assert answer.exit_code == 127
        line = f"a gate runs here under {files['live']}; this command goes by policies/default.yaml"
        assert line in " ".join(answer.stderr.split())
        assert shown(state) == (["live"], [])


def test_a_command_is_no_way_back_to_an_older_policy(policies: tuple[State, dict[str, Path]]) -> None:
    """Two places keep what took force; a revision that either has seen is not gone below by the other."""
    state, files = policies
    text = files["live"].read_text()
    files["live"].write_text(f"{text}revision: 8\n")
    LastGood(state, command=True).start(files["live"], NOW_MS)
    files["live"].write_text(f"{text}revision: 7\n")
    assert LastGood(state).start(files["live"], NOW_MS).policy.validity.revision == 8
