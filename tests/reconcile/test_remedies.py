"""What to do next is something that can be done: commands that exist, keys that a policy or a map has."""

from __future__ import annotations

import re

import pytest
from msgspec import structs
from typer.testing import CliRunner

from cli.kit import app
from spendgate.config.key_map import parse
from spendgate.reconcile.facts import Role
from spendgate.reconcile.remedies import MEANINGS, REMEDIES, compare_below, remedy
from spendgate.reconcile.result import Cause, Confidence, Finding
from spendgate.reconcile.witnesses import whys

ALL = [*REMEDIES.values(), *whys.REMEDIES.values()]
NAMED = sorted({each for remedy in ALL for each in re.findall(r"`([^`]*)`", remedy)})


def asked(*words: str) -> str:
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_each_cause_and_each_why_has_one() -> None:
    assert set(REMEDIES) == set(MEANINGS) == set(Cause)
    assert set(whys.REMEDIES) == set(whys.TOLD) == set(whys.Why)


@pytest.mark.parametrize("named", [each for each in NAMED if each.startswith("spendgate ")])
def test_a_command_is_one(named: str) -> None:
    asked(*(word for word in named.split()[1:] if word != "ID"), "--help")


@pytest.mark.parametrize("named", [each for each in NAMED if not each.startswith(("spendgate ", "--", "role: "))])
def test_a_key_is_one_of_a_policy(named: str) -> None:
    schema = asked("policy", "schema")
    for word in named.split("."):
        assert f'"{word}"' in schema


def test_whose_a_key_is_can_be_said_in_the_map_that_is_named() -> None:
    assert {"--map", "role: elsewhere"} <= set(NAMED)
    assert "--map" in asked("reconcile", "report", "--help")
    facts = parse(b"map: 1\nkeys:\n  - {key: k, provider: openai, role: elsewhere}\n", "keys.yaml")
    assert facts.keys[0].role is Role.ELSEWHERE


def test_what_no_ledger_has_is_looked_for_in_session_logs() -> None:
    """No statement is imported by the minute, and a session log is no statement: nobody could follow that."""
    assert "spendgate reconcile witness" in REMEDIES[Cause.UNCAPTURED]
    assert "an SDK writes no log" in REMEDIES[Cause.UNCAPTURED]


def test_where_no_session_log_is_read_none_is_named() -> None:
    """Cursor's has no counts of requests."""
    found = Finding(Cause.UNCAPTURED, 1, Confidence.RESIDUAL, 0, "cursor")
    told = remedy(Cause.UNCAPTURED, [found])
    assert "witness" not in told
    assert "cursor.com/dashboard" in told
    assert "witness" in remedy(Cause.UNCAPTURED, [found, structs.replace(found, provider="anthropic")])


@pytest.mark.parametrize(
    ("uncounted", "elsewhere", "calls", "told"),
    [
        ("a", "b", True, "begin with calls that have no counts of the provider's (`spendgate calls show a`); add up"),
        (
            None,
            "b",
            False,
            "begin with calls that the findings name (`spendgate calls show b`); add up lines and calls",
        ),
        (None, None, True, "add up lines and calls by model and class of tokens, and look up in the Claude Console"),
        (None, None, False, "no call is here to compare with: look up in the Claude Console (Usage, Cost) and"),
    ],
)
def test_one_day_and_key_goes_on_with_its_calls_and_the_console(
    uncounted: str | None, elsewhere: str | None, calls: bool, told: str
) -> None:
    """Behind `reconcile explain` the next step is no `reconcile explain`."""
    said = compare_below(["anthropic", "x"], uncounted, elsewhere, calls=calls)
    assert said.startswith(told)
    assert "the console of x" in said
