"""Two gates in two processes on one ledger admit together no more than one would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import crowded
from gate.world import Rows, dollars

_ROOT = Path(__file__).parents[2]
_GATE = """
import asyncio, json, sys
from pathlib import Path
import crowded
from gate.test_crowd import call
from gate.world import Hold, budget, house, intent, policy, serve

async def main(folder, name, hold, budgets):
    crowd = budgets == "30"
    alone = policy(budget(1.0, hold=Hold(hold), wait_ms=60_000))
    rules = crowded.rules(crowded.Limited("narrow", "", "$1", hold)) if crowd else alone
    async with house(Path(folder), rules) as place:
        words = dict(text_bytes=5_000, output_max=1_000) if hold == "ceiling" else {}
        calls = [call(number, prefix=name, **words) if crowd else intent(prefix=name, **words) for number in range(40)]
        print(json.dumps(await asyncio.gather(*(serve(place.gate, call, 0.05, seconds=0.1) for call in calls))))

asyncio.run(main(*sys.argv[1:]))
"""


def _run(folder: Path, hold: str, budgets: int) -> list[str]:
    environment = {"PYTHONPATH": f"{_ROOT / 'addon'}:{_ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    gates = [
        subprocess.Popen(
            [sys.executable, "-c", _GATE, str(folder), name, hold, str(budgets)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said: list[str] = []
    for gate in gates:
        out, _ = gate.communicate(timeout=120)
        said += json.loads(out)
    if budgets == crowded.BUDGETS:
        crowded.agree(folder / "ledger.db")
    return said


@pytest.mark.parametrize("budgets", [1, crowded.BUDGETS])
def test_two_gates_hold_one_ceiling(tmp_path, budgets):
    """Under `ceiling` two gates admit exactly what fits, and every call is charged once."""
    said = _run(tmp_path, "ceiling", budgets)

    assert (said.count("admitted"), said.count("spent")) == (20, 60)
    assert Rows(tmp_path / "ledger.db").spent() == dollars(1)


@pytest.mark.parametrize("budgets", [1, crowded.BUDGETS])
def test_two_gates_learn_together(tmp_path, budgets):
    """Under `expected`, cold, with equal costs: at least nine tenths used, at most 5% over."""
    said = _run(tmp_path, "expected", budgets)

    assert 18 <= said.count("admitted") <= 21
    assert set(said) <= {"admitted", "spent"}
