"""What Windows has not is taken away (`without_posix`): the gate starts, counts and ends all the same. No Windows was there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from end_to_end import world
from end_to_end.raw import trust
from end_to_end.storm import MODEL, post
from end_to_end.world import Provider, environment, policy, running_gate

PRODUCT = (sys.executable, "-W", "ignore", str(Path(__file__).with_name("without_posix.py")))


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no simulation")
def test_a_gate_starts_counts_and_ends(provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` to its end by a signal, with a metered call, which is of the account that made it; `status` tells of it."""
    monkeypatch.setattr(world, "PRODUCT", PRODUCT)
    with running_gate(folder, provider, policy(folder), USERNAME="alice") as gate:
        body = {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
        done = asyncio.run(post(gate.port, trust(gate), json.dumps(body).encode(), "input=10; output=5", "one"))
        assert done[0] == 200
        gate.stop()
    assert gate.process.returncode == 0, gate.output
    (row,) = gate.calls()
    assert (row["state"], row["input_tokens"], row["output_tokens"]) == ("settled", 10, 5)
    assert row["cost_nanos"] > 0
    mine = psutil.Process().username()
    assert (row["person"], row["account_os"], row["process"]) == (mine, mine, Path(sys.executable).resolve().name)
    words = [*PRODUCT, "status", "--state", str(gate.state), "--format", "json"]
    told = subprocess.run(words, capture_output=True, text=True, env=environment(folder, USERNAME="alice"), check=False)
    assert (told.returncode, json.loads(told.stdout)["ledger"]["rows"]) == (0, 1), told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no simulation")
def test_exec_outlives_ctrl_c_as_its_command_does(folder: Path) -> None:
    """Which has it from the console, too: the command's exit status is that of `exec`."""
    script = "kill -INT $PPID; sleep 0.2; echo still there; exit 3"
    words = [*PRODUCT, "exec", "--state", str(folder / "state"), "--", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(folder, USERNAME="alice"), check=False)
    assert (done.returncode, done.stdout) == (3, "still there\n"), done.stderr
