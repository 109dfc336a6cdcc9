"""The ten minutes of policies/README.md, as a reader goes through them: each file is written and each command run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.gate.world import budget, policy
from tests.replay.virtual import START_MS, Scripted, play

README = (Path(__file__).parents[2] / "policies" / "README.md").read_text()
LESSON = README.partition("\n## Ten minutes\n")[2].partition("\n## ")[0]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WORDS_MAX = 2_000
DAYS_OF = [
    *(Scripted(60_000 * number, "alice", 5, 500) for number in range(9)),
    Scripted(800_000, "bob", 0.2, 500),
]
"""What stands in the ledger that the lesson's `replay` is about."""


def shown(line: str) -> re.Pattern[str]:
    """A line as printed here: `…` stands for what differs from one machine or day to another, any blanks for any blanks."""
    return re.compile(
        r"\s*" + r"\s*".join(".*".join(map(re.escape, word.split("…"))) for word in line.split()) + r"\s*"
    )


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Each command with the lines that are shown of what it prints."""
    parts = [part.splitlines() for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(lines[0], lines[1:]) for lines in parts]


def ran(command: str, folder: Path) -> list[str]:
    """What it prints, on both streams. It must end with exit status 0."""
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    env |= {"SPENDGATE_STATE": str(folder / "state"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S602 - the README's own words
        command,
        shell=True,
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout.splitlines()


@pytest.mark.skipif(os.name != "posix", reason="the lesson's shell is POSIX's")
def test_the_lesson_does_what_it_says(tmp_path: Path) -> None:
    """Every YAML block is a file, or goes on with one; every command prints the lines that are shown, in their order."""
    # At noon here: the calls take a quarter of an hour, and over midnight each of two days has a budget of its own.
    yesterday = int((datetime.now().astimezone().replace(hour=12) - timedelta(days=1)).timestamp() * 1000) - START_MS
    said = 0
    for kind, block in BLOCK.findall(LESSON):
        if kind == "yaml":
            more, name = re.findall(r"^# (more of )?([\w.]+)\n", block)[0]
            text = block.partition("\n")[2] if more else block
            (tmp_path / name).write_text(((tmp_path / name).read_text() if more else "") + text)
            continue
        assert kind == "console"
        for command, lines in commands(block):
            if "--since" in command and not (tmp_path / "state").exists():
                (tmp_path / "state").mkdir()
                play(tmp_path / "state", policy(budget(500)), DAYS_OF, wall_ms=lambda ms: ms + yesterday)
            printed = iter(ran(command, tmp_path))
            for line in lines:
                assert any(shown(line).fullmatch(each) for each in printed), f"{command}\nprints no (further) {line}"
                said += 1
    assert said > 20


def test_the_lesson_takes_ten_minutes() -> None:
    """At a reader's pace, with its files and commands."""
    assert 0 < len(LESSON.split()) <= WORDS_MAX
