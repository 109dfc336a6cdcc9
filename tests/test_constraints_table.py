"""`scripts/constraints-table`, with one verifier that is here and one that is not: what is written is what was measured."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from spendgate.verifiers.runtimes import RUNTIMES, Interpreted

ROOT = Path(__file__).parents[1]
BEFORE, AFTER = "# Before\n\n", "\n## After\n"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script's own part, on a README of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    part = import_module("parts.constraints_table")
    python = next(each for each in RUNTIMES if each.name == "Python ssl")
    assert isinstance(python, Interpreted)
    absent = replace(python, name="Netscape", needs=(("netscape-navigator",),))
    monkeypatch.setattr(part, "VERIFIERS", (python, absent))
    monkeypatch.setattr(part, "README", tmp_path / "README.md")
    return part


def written(table: ModuleType) -> str:
    with pytest.raises(SystemExit) as end:
        table.main()
    assert end.value.code == 0
    text: str = table.README.read_text()
    return text


def test_the_table_is_what_was_measured(table: ModuleType) -> None:
    """A row of what is here, the name of what is not, and the control: without constraints every forbidden name passes."""
    table.README.write_text(f"{BEFORE}{table.BEGIN}\nold\n{table.END}{AFTER}")
    text = written(table)
    assert text.startswith(f"{BEFORE}{table.BEGIN}\n")
    assert text.endswith(f"{table.END}{AFTER}")
    assert "old" not in text
    (first, second) = [line for line in text.splitlines() if line.startswith("| Python ssl ")]
    assert first.endswith(f"| passes |{' fails |' * 9}")
    assert second == "| Python ssl | 0 of 9 | 0 of 4 | 4 of 4 |"
    assert "Not run, since not there: Netscape (no netscape-navigator)." in text
    assert "s3.amazonaws.com" in text


def test_another_run_writes_the_same(table: ModuleType) -> None:
    table.README.write_text(f"{BEFORE}{table.BEGIN}\n{table.END}{AFTER}")
    assert written(table) == written(table)
