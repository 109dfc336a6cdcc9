"""The JSON Schema has the keys that the readers read, takes what they take, and marks what an editor can mark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from cli.kit import app
from spendgate.config.cases import cases_schema
from spendgate.config.key_texts import described, reference
from spendgate.config.known import KNOWN
from spendgate.config.policy_file import include_schema, policy_schema

POLICIES = Path(__file__).parents[2] / "policies"
SCHEMA = policy_schema(KNOWN)
VALIDATOR = Draft202012Validator(SCHEMA)
INCLUDED = Draft202012Validator(include_schema(KNOWN))
CASES = Draft202012Validator(cases_schema())


class _Editor(yaml.SafeLoader):
    """Without YAML 1.1's dates and sexagesimal numbers."""


_Editor.yaml_implicit_resolvers = {
    first: [each for each in known if each[0] not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Editor.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))


def read(text: str) -> Any:
    """As an editor reads YAML 1.2: with its own numbers and truths, and dates as text."""
    return yaml.load(text, _Editor)  # noqa: S506 - a safe loader with fewer types


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
        "version: 2\nowner: a\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1 per fortnight}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $2.000 per day}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: 20}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, wait: 1h}]\n",
        "version: 1\nowner: a\nbudgets: [{name: a, limit: $1, alerts: [80]}]\n",
        "version: 1\nowner: a\nrates: [{name: a, requests: 100}]\n",
        "version: 1\nowner: a\nrates: [{name: a, parallel: 0}]\n",
        "version: 1\nowner: a\npricing: {adjust: [{match: {tool: a}, multiply: 85%}]}\n",
        "version: 1\nowner: a\nvalid_until: next year\n",
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


@pytest.mark.parametrize("file", sorted((POLICIES / "examples").glob("*.test.yaml")), ids=lambda file: file.name)
def test_shipped_cases_fit(file: Path) -> None:
    """Cases have a schema of their own, by which none that passes is marked."""
    Draft202012Validator.check_schema(CASES.schema)
    assert [fault.message for fault in CASES.iter_errors(read(file.read_text()))] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nowner: a\n",
        "cases: [{name: a, when: {person: b, costs: $1}, then: refuse}]\n",
        "cases: [{name: a, when: {person: b, costs: 1}, then: admitted}]\n",
        "cases: [{name: a, when: {team: b, costs: $1}, then: admitted}]\n",
        "cases: [{name: a, given: [{spent: $1, ago: soon}], when: {costs: $1}, then: admitted}]\n",
    ],
)
def test_what_an_editor_marks_in_cases(text: str) -> None:
    """Keys of a policy, and values that no case has."""
    assert not CASES.is_valid(read(text))


@pytest.mark.parametrize(
    "text",
    [
        "people: {alice: {team: core, until: 2027-03-31}}\nteams: {core: {owner: a@b.example}}\n",
        "machines: {ci: {match: ['ci-*']}}\n",
        "team: core\nbudgets: [{name: a, limit: $20 per day}]\nmodels: [{name: b, deny: [gpt-5*]}]\n",
    ],
)
def test_included_files_fit(text: str) -> None:
    """A list of people, teams and machines, or one team's rules."""
    Draft202012Validator.check_schema(INCLUDED.schema)
    assert [fault.message for fault in INCLUDED.iter_errors(read(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nowner: a\n",
        "budgets: [{name: a, limit: $20 per day}]\n",
        "team: core\npeople: {alice: {}}\n",
        "team: core\nbudgets: [{name: a, limit: $20 a day}]\n",
    ],
)
def test_what_an_editor_marks_in_an_included_file(text: str) -> None:
    """What belongs into the policy itself, and rules without the team they are of."""
    assert not INCLUDED.is_valid(read(text))


def test_shipped_included_files_fit() -> None:
    """Those of the example that has some."""
    files = [
        file for file in (POLICIES / "examples" / "overlay").glob("*.yaml") if "version: 1" not in file.read_text()
    ]
    files = [file for file in files if not file.name.endswith(".test.yaml")]
    assert len(files) >= 2
    assert [str(fault.message) for file in files for fault in INCLUDED.iter_errors(read(file.read_text()))] == []


@pytest.mark.parametrize(
    ("kind", "schema"), [((), SCHEMA), (("--for", "include"), INCLUDED.schema), (("--for", "cases"), CASES.schema)]
)
def test_the_command_prints_it(kind: tuple[str, ...], schema: Any) -> None:
    """Whole, as JSON."""
    shown = json.loads(CliRunner().invoke(app, ["policy", "schema", *kind]).stdout)
    assert shown == described(schema, reference())
    Draft202012Validator.check_schema(shown)


Keys = dict[str, dict[str, Any]]


def keys_of(schema: Any, path: str = "") -> Keys:
    """Every key of a schema by its path, and every value that must be of a pattern."""
    found: Keys = {}
    if isinstance(schema, list):
        return {key: each for branch in schema for key, each in keys_of(branch, path).items()}
    if "pattern" in schema:
        found[f"{path} pattern"] = schema
    for key, each in schema.get("properties", {}).items():
        found |= {f"{path}.{key}": each, **keys_of(each, f"{path}.{key}")}
    for word in ("anyOf", "oneOf", "if", "then", "else", "items", "additionalProperties"):
        if isinstance(schema.get(word), (list, dict)):
            found |= keys_of(schema[word], path + ("[]" if word == "items" else ""))
    return found


@pytest.mark.parametrize("kind", ["policy", "include", "cases"])
def test_an_editor_has_words_for_every_key_and_fault(kind: str) -> None:
    """What hovering shows, in the words of the reference; no value is answered with a bare pattern."""
    keys = keys_of(json.loads(CliRunner().invoke(app, ["policy", "schema", "--for", kind]).stdout))
    assert len(keys) > 40
    assert [path for path, each in keys.items() if " pattern" not in path and not each.get("description")] == []
    assert [path for path, each in keys.items() if " pattern" in path and not each.get("patternErrorMessage")] == []
    assert [path for path, each in keys.items() if re.search(r"\]\(|`", each.get("description", ""))] == []


def test_descriptions_are_the_references_own_words() -> None:
    """A key of a row of its own, one that a row tells with others, one of a selector; changed there they change here."""
    readme = reference()
    budget = described(SCHEMA, readme)["properties"]["budgets"]["items"]["properties"]
    assert (
        budget["wait"]["description"]
        == "how long a call waits for others' holds; default 20s, at most 10m. Example: 30s"
    )
    assert budget["match"]["description"].startswith("which calls it counts, and which of them not. Example")
    assert budget["match"]["properties"]["tool"]["description"].startswith(
        "a name or glob, or a list of them; known by: what the client"
    )
    changed = readme.replace("how long a call waits for others' holds;", "how patient a call is;")
    again = described(SCHEMA, changed)["properties"]["budgets"]["items"]["properties"]
    assert again["wait"]["markdownDescription"] == "how patient a call is; default 20s, at most 10m. Example: `30s`"
