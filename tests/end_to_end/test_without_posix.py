"""What Windows has not is taken away (`without_posix`), or macOS (`as_macos`): the gate starts, counts and ends all the same, and
`doctor` looks at it. Neither was there.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from end_to_end import world
from end_to_end.raw import trust
from end_to_end.storm import MODEL, post
from end_to_end.world import Provider, environment, policy, running_gate

PRODUCT, MAC = (
    (sys.executable, "-W", "ignore", str(Path(__file__).with_name(f"{name}.py")))
    for name in ("without_posix", "as_macos")
)
on_each = pytest.mark.parametrize(
    ("product", "system"), [(PRODUCT, "Windows"), (MAC, "macOS")], ids=["Windows", "macOS"]
)


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no simulation")
@on_each
def test_a_gate_starts_counts_and_ends(
    provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch, product: tuple[str, ...], system: str
) -> None:
    """`run` to its end by a signal, with a metered call, which is of the account that made it; `status` tells of it."""
    monkeypatch.setattr(world, "PRODUCT", product)
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
    assert (row["person"], row["account_os"], row["process"]) == (mine, mine, Path(sys.executable).resolve().name), (
        system
    )
    words = [*product, "status", "--state", str(gate.state), "--format", "json"]
    told = subprocess.run(words, capture_output=True, text=True, env=environment(folder, USERNAME="alice"), check=False)
    assert (told.returncode, json.loads(told.stdout)["ledger"]["rows"]) == (0, 1), told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no simulation")
@on_each
def test_doctor_tells_what_it_sees_and_what_not(
    provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch, product: tuple[str, ...], system: str
) -> None:
    """curl's own canary call, and the gate's health; a variable that is not set is found. What was never measured is not told
    as fine."""
    monkeypatch.setattr(world, "PRODUCT", product)
    (folder / "programs").mkdir()
    for name in ("curl", "codex"):
        (folder / "programs" / name).symlink_to(shutil.which("curl") or pytest.skip("needs curl"))
    with running_gate(folder, provider, policy(folder), USERNAME="alice") as gate:
        led = {
            "HTTPS_PROXY": gate.proxy,
            "CURL_CA_BUNDLE": str(gate.ca),
            "CODEX_CA_CERTIFICATE": str(gate.ca),
            "PATH": str(folder / "programs"),
        }
        for more, status in ((led, 0), ({**led, "HTTPS_PROXY": ""}, 1)):
            words = [*product, "doctor", "--state", str(gate.state), "--format", "json"]
            done = subprocess.run(words, capture_output=True, text=True, env=environment(folder, **more), check=False)
            assert done.returncode == status, [
                each for each in json.loads(done.stdout)["checks"] if each["state"] == "finding"
            ]
            found = json.loads(done.stdout)
            assert {one["tool"]: one["captured"] for one in found["tools"]} == dict.fromkeys(
                ("codex", "curl"), status == 0
            )
    assert [each["about"] for each in found["checks"] if each["check"] == "system"] == [system]


@pytest.mark.skipif(sys.platform == "win32", reason="there it is no simulation")
def test_exec_outlives_ctrl_c_as_its_command_does(folder: Path) -> None:
    """Which has it from the console, too: the command's exit status is that of `exec`."""
    script = "kill -INT $PPID; sleep 0.2; echo still there; exit 3"
    words = [*PRODUCT, "exec", "--state", str(folder / "state"), "--", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(folder, USERNAME="alice"), check=False)
    assert (done.returncode, done.stdout) == (3, "still there\n"), done.stderr
