"""Two gates in two processes on one ledger admit together no more than one would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gate.world import Rows, dollars

_ROOT = Path(__file__).parents[2]
_GATE = """
import asyncio, json, sys
from pathlib import Path
from gate.world import Hold, budget, house, intent, policy, serve

async def main(folder, name, hold):
    async with house(Path(folder), policy(budget(1.0, hold=Hold(hold), wait_ms=60_000))) as place:
        words = dict(text_bytes=5_000, output_max=1_000) if hold == "ceiling" else {}
        calls = [intent(prefix=name, **words) for _ in range(40)]
        print(json.dumps(await asyncio.gather(*(serve(place.gate, call, 0.05, seconds=0.1) for call in calls))))

asyncio.run(main(*sys.argv[1:]))
"""


def _run(folder: Path, hold: str) -> list[str]:
    environment = {"PYTHONPATH": f"{_ROOT / 'addon'}:{_ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    gates = [
        subprocess.Popen(
            [sys.executable, "-c", _GATE, str(folder), name, hold], env=environment, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    said: list[str] = []
    for gate in gates:
        out, _ = gate.communicate(timeout=120)
        said += json.loads(out)
    return said


def test_two_gates_hold_one_ceiling(tmp_path):
    """Under `ceiling` two gates admit exactly what fits, and every call is charged once."""
    said = _run(tmp_path, "ceiling")

    assert (said.count("admitted"), said.count("spent")) == (20, 60)
    assert Rows(tmp_path / "ledger.db").spent() == dollars(1)


def test_two_gates_learn_together(tmp_path):
    """Under `expected`, cold, with equal costs: at least nine tenths used, at most 5% over."""
    said = _run(tmp_path, "expected")

    assert 18 <= said.count("admitted") <= 21
    assert set(said) <= {"admitted", "spent"}
