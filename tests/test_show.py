"""What `scripts/run` says while it works."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[1] / "scripts" / "parts" / "show.py"
HELLO = FILE.with_name("hello.py")


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, which is part of a script and of no package."""
    spec = importlib.util.spec_from_file_location("show", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "show", module)
    spec.loader.exec_module(module)
    return module


def test_each_turn_is_announced_before_it_runs(
    show: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A turn takes seconds and shows its lines at its end: whoever watches is told beforehand what is going on."""
    said: list[str] = []

    def turn(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        said.append(capsys.readouterr().out)
        return subprocess.CompletedProcess(command, 0, "hello", "1 refused" if len(said) == 2 else "1 billable call")

    monkeypatch.setattr(show.subprocess, "run", turn)
    assert show._until_refused(show.Tool("a tool", ["tool"], {}), tmp_path, tmp_path, [])
    assert [text.splitlines()[-1].split(":")[0].strip() for text in said] == ["turn 1", "turn 2"]
    assert all("the gate starts" in text for text in said)


def test_the_program_sends_as_much_as_the_stand_in_counts(show: ModuleType) -> None:
    """Else its calls would cost more than their requests can, and `calls show` an estimate above the ceiling."""
    counts = dict(re.findall(r"(input|cache_read|write_5m)=([0-9]+)", show.SCRIPT))
    text = HELLO.read_text()
    sent = int(re.search(r"(?m)^BYTES = ([0-9_]+)$", text)[1])
    assert sum(map(int, counts.values())) <= sent // 4
    assert sum(file.stat().st_size for file in (HELLO.parents[2] / "addon" / "spendgate").rglob("*.py")) > sent
