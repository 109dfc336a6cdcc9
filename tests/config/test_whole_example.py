"""The whole example of the contract of the file is a policy: every key that it shows is read, and says something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.config.test_yaml_fuzz import renamed, second
from typer.testing import CliRunner

from cli.kit import app
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError

CONTRACT = Path(__file__).parents[3] / "shared" / "policy.md"
pytestmark = pytest.mark.skipif(not CONTRACT.is_file(), reason="the contract of the file is not beside this repository")

ELIDED = "RWQf6LRC…"
KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
"""minisign's own example of a public key, which begins as the elided one does."""
PEOPLE = """\
people:
  dora: {email: dora@acme.example, team: data}
teams:
  data: {owner: data-lead@acme.example, parent: commerce}
machines:
  kiosks: {match: ["kiosk-*"]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The example as a file, with what it includes beside it."""
    found = re.search(r"^## A whole policy\n.*?^```yaml\n(.*?)^```", CONTRACT.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    assert ELIDED in found[1]
    (tmp_path / "people.yaml").write_text(PEOPLE)
    made = tmp_path / "policy.yaml"
    made.write_text(found[1].replace(ELIDED, KEY))
    return made


def test_it_passes_check_without_a_fault(file: Path) -> None:
    """Warnings are about what it asks for and this version does not do yet, and about what a claimed account is worth."""
    done = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert done.exit_code == 0, done.output
    warned = [line.split(": warning: ")[1] for line in done.stdout.splitlines() if ": warning: " in line]
    assert {text.split(" ")[0] for text in warned} == {
        "fleet.hub",
        "personal",
    }, warned
    assert "1 checked: 0 faults, 2 warnings" in done.output
    assert not any(line.startswith(f"{file}:1:1:") for line in done.stdout.splitlines())


def test_what_it_includes_is_in_it(file: Path) -> None:
    """People, teams and machines of both files."""
    policy = load(file, KNOWN)
    assert {person.name for person in policy.roster.people} == {"alice", "bob", "pay-lead", "dora"}
    assert policy.roster.team_by_name["data"].lineage == ("data", "commerce")
    assert {group.name for group in policy.roster.machines} == {"ci", "kiosks"}


def test_each_of_its_keys_says_something(file: Path) -> None:
    """A key that is written otherwise is a fault or another policy: none is read and passed over."""
    whole, text = load(file, KNOWN).hash, file.read_text()
    tried = 0
    for tree in renamed(second(text)):
        tried += 1
        try:
            found = parse_policy(yaml.dump(tree).encode(), known=KNOWN, beside=lambda _: PEOPLE.encode())
            assert found.hash != whole
        except PolicyError as fault:
            assert fault.faults
    assert tried > 150
