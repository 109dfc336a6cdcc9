"""The reference of policy keys cannot drift from what the reader knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError
from spendgate.selector import ATTRIBUTES

README = (Path(__file__).parents[2] / "policies" / "README.md").read_text()
HEAD = "version: 1\nowner: ops@acme.example\n"

SECTIONS = [
    pytest.param("zz: x\n", "", id="top"),
    pytest.param("mode: {zz: x}\n", "mode.", id="mode"),
    pytest.param("capture: {zz: x}\n", "capture.", id="capture"),
    pytest.param("people: {a: {zz: x}}\n", "people.NAME.", id="people"),
    pytest.param("budgets: [{zz: x}]\n", "budgets[].", id="budgets"),
    pytest.param("models: [{zz: x}]\n", "models[].", id="models"),
    pytest.param("pricing: {zz: x}\n", "pricing.", id="pricing"),
]
# Documented by their parts, or by their rows' text.
PARENTS = {"people", "teams", "budgets", "models", "capture", "pricing"}


def keys_of(text: str) -> set[str]:
    """The keys that the reader allows where `zz` stands."""
    with pytest.raises(PolicyError) as caught:
        parse_policy((HEAD + text).encode())
    (line,) = [fault for fault in caught.value.faults if "unknown key" in fault]
    return set(re.search(r"allowed: ([\w, ]+)", line)[1].split(", "))  # type: ignore[index]  # the line above has it


def documented() -> set[str]:
    """Every key in the first column of the table."""
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize(("text", "prefix"), SECTIONS)
def test_every_key_is_in_the_reference(text: str, prefix: str) -> None:
    """Each key that the reader knows has a row, and each row names a key that the reader knows."""
    known = {f"{prefix}{key}" for key in keys_of(text)}
    rows = documented()
    assert known - PARENTS <= rows
    here = {key for key in rows if re.fullmatch(re.escape(prefix) + r"\w+", key)}
    assert here <= known


@pytest.mark.parametrize(
    ("text", "start"),
    [
        pytest.param("teams: {a: {zz: x}}\n", "| `teams.NAME`", id="teams"),
        pytest.param("capture: {hosts: [{zz: x}]}\n", "| `capture.hosts`", id="hosts"),
        pytest.param("pricing: {unknown_model: {zz: x}}\n", "| `pricing.unknown_model`", id="unknown model"),
    ],
)
def test_keys_told_in_one_row(text: str, start: str) -> None:
    """A row that stands for a whole section names all of its keys."""
    (row,) = [line for line in README.splitlines() if line.startswith(start)]
    assert keys_of(text) <= set(re.findall(r"`(\w+)`", row))


def test_every_attribute_is_in_the_reference() -> None:
    """Selectors are told in full."""
    (listed,) = re.findall(r"Selectors: ([^.]+)\.", README)
    assert re.findall(r"`(\w+)`", listed) == list(ATTRIBUTES)


def test_the_three_lines_load() -> None:
    """The policy on the first screen takes force as printed."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert parse_policy(block.encode()).budgets[0].name == "person"
