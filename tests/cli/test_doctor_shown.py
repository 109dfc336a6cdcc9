"""The document for compliance checks is what `mdm/README.md` says it is, and people read what is wrong first."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.kit import NOW_MS
from spendgate.cli import doctor_checks, doctor_shown
from spendgate.cli.examining import Examined, ToolFound
from spendgate.cli.file_desk import FileDesk
from spendgate.config.paths import State as StateDirectory
from spendgate.doctor.around import Process
from spendgate.doctor.interface import Check, Installed, Reached, State, Store, Trusted
from spendgate.doctor.known import TOOLS

ROOT = Path(__file__).parents[2]
README = (ROOT / "mdm" / "README.md").read_text().partition("## Compliance checks")[2].partition("\n##")[0]


@pytest.fixture
def found(state: StateDirectory) -> Examined:
    """With one of everything."""
    report = replace(FileDesk(state.root).status(), gates=1)
    tool = ToolFound(
        Installed(TOOLS[0], "/usr/bin/claude", "2.1.197"), Trusted(False, "no", "do"), Reached(True, "transparent"), False, NOW_MS
    )  # fmt: skip
    checks = (
        Check("gate", "gate", State.FINE, "up"),
        Check("tool.trust", "claude-code", State.FINDING, "has not our certificate", "import it"),
        Check("tool.trust", "codex", State.FINDING, "has not our certificate", "import it"),
        Check("around", "other accounts", State.UNSEEN, "2 connections", "run it as root"),
    )
    process = Process(7, "alice", "/usr/bin/x", "", False, ("api.openai.com",), ("203.0.113.5",))
    return Examined(datetime.now(UTC), checks, report, (tool,), (process,), {Store.SYSTEM: False})


def test_the_document_is_as_documented(found: Examined) -> None:
    """Every key, of every part, and none that is not there."""
    document = doctor_shown.document(found)
    parts = {name: each[0] for name, each in document.items() if isinstance(each, list) and each}
    assert parts.keys() == {"checks", "tools", "coverage", "around"}
    rows = dict(re.findall(r"^\| (`[^|]+`) \| (.*) \|$", README, re.MULTILINE))
    assert {name for keys in rows for name in re.findall(r"`(\w+)`", keys)} == document.keys()
    for name, part in parts.items():
        assert part.keys() <= set(re.findall(r"`(\w+)`", rows[f"`{name}`"])), name
    assert (document["fine"], document["findings"], document["not_seen"]) == (False, 2, 1)


def test_every_kind_of_check_is_documented() -> None:
    """Whichever module makes it."""
    package = ROOT / "addon" / "spendgate"
    sources = [*package.glob("cli/*.py"), *package.glob("doctor/*.py")]
    made = {kind for path in sources for kind in re.findall(r'\bCheck\(\s*"([a-z_.]+)"', path.read_text())}
    told = set(re.findall(r"`([a-z_.]+)`", README.partition("Kinds of `check`:")[2].partition("CSV")[0]))
    assert made == told
    assert len(made) > 10


def test_people_read_what_is_wrong_first(found: Examined, capsys: pytest.CaptureFixture[str]) -> None:
    """The same finding of several tools is one, with its remedy below."""
    doctor_shown.print_examined(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "x claude-code, codex  has not our certificate"
    assert lines[1] == "    import it"
    assert lines[2].startswith("? other accounts")
    assert lines[-1] == "2 findings, 1 not seen"
    assert any("2.1.197" in line and "transparent" in line for line in lines)


def test_all_fine_is_said(found: Examined, capsys: pytest.CaptureFixture[str]) -> None:
    """In words."""
    doctor_shown.print_examined(replace(found, checks=(Check("gate", "gate", State.FINE, "up"),)))
    assert capsys.readouterr().out.splitlines()[-1] == "all fine"
    assert doctor_shown.document(replace(found, checks=()))["fine"] is True
    assert doctor_checks.START.startswith("start the gate")
