"""The JSON Schema has the keys that the readers read, takes what they take, and marks what an editor can mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from spendgate.cli.main import app
from spendgate.config.known import KNOWN
from spendgate.config.policy_file import policy_schema

POLICIES = Path(__file__).parents[2] / "policies"
SCHEMA = policy_schema(KNOWN)
VALIDATOR = Draft202012Validator(SCHEMA)


def read(text: str) -> Any:
    """As an editor reads YAML: with its own numbers and truths, and dates as text."""
    return json.loads(json.dumps(yaml.load(text, yaml.CSafeLoader), default=str))


def test_it_is_a_schema() -> None:
    """Of the draft that it names."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert SCHEMA["required"] == ["owner", "version"]


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(POLICIES.rglob("*.yaml")) if "\nversion: 1\n" in f"\n{file.read_text()}"],
    ids=lambda file: file.name,
)
def test_shipped_policies_fit(file: Path) -> None:
    """No fault is marked where there is none."""
    assert [fault.message for fault in VALIDATOR.iter_errors(read(file.read_text()))] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\n",
        "version: 1\nowner: a\nbudget: []\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, windows: day}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, hold: expect}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, per: human}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, match: {colour: red}}]\n",
        "version: 1\nowner: a\nbudgets: {name: a, limit: $1}\n",
        "version: 1\nowner: a\nmodels: [{name: a, deny: []}]\n",
        "version: 1\nowner: a\nmode: enforced\n",
        "version: 1\nowner: a\nmode: {default: observe, enforcing: []}\n",
        "version: 1\nowner: a\npeople: {alice: {mail: a@b.example}}\n",
        "version: 1\nowner: a\npeople: {alice: {until: soon}}\n",
        "version: 1\nowner: a\ncapture: {providers: [anthropics]}\n",
        "version: 1\nowner: a\ncapture: {hosts: [{host: llm.acme.example}]}\n",
    ],
)
def test_what_an_editor_marks(text: str) -> None:
    """Unknown keys, unknown words, wrong shapes and what is missing."""
    assert not VALIDATOR.is_valid(read(text))


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nowner: a\nmode: {default: observe, enforce: [{group: canary}]}\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: [$1 per day, $5 per month], per: [person, tool], cut: true}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: none, match: {provider: 'open*', billing: Metered}}]\n",
        "version: 1\nowner: a\npeople: {alice: {until: 2027-03-31, accounts: alice}}\n",
    ],
)
def test_what_it_takes(text: str) -> None:
    """One word or a list, globs, dates, truths."""
    assert [fault.message for fault in VALIDATOR.iter_errors(read(text))] == []


def test_the_command_prints_it() -> None:
    """Whole, as JSON."""
    assert json.loads(CliRunner().invoke(app, ["policy", "schema"]).stdout) == SCHEMA
