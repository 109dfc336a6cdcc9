"""What a running gate keeps: no home folder in anything that it writes; rows as long as the policy says, then sums."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest

from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, running_gate, until
from ledger.kit import DAY, admit, open_ledger, row, settled
from ledger.kit import scope as budget
from spendgate.standin.script import Canned

HOME = "henrietta-canary"
BODY = json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
CURL = shutil.which("curl")


ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [],
    "stop_reason": "end_turn", "usage": {"input_tokens": 10, "output_tokens": 10},
}  # fmt: skip


def dated(provider: Provider) -> None:
    """From now on its answers have a date, as all providers' have."""
    headers = (("date", formatdate(usegmt=True)),)
    provider.set(canned=Canned(200, headers, json.dumps(ANSWER).encode()))


def called(gate: Gate, program: str, at: Path) -> None:
    """One call through the gate by this program, in this folder."""
    words = [
        program, "-sS", "--fail", "--proxy", gate.proxy, "--cacert", str(gate.ca), "-H", "x-api-key: sk-ant-api03-made-up",
        "-H", "content-type: application/json", "-d", BODY, "https://api.anthropic.com/v1/messages",
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, cwd=at, timeout=PATIENCE_S)


def asked(gate: Gate, *words: str) -> str:
    """What a reading command prints."""
    command = [*PRODUCT, *words, "--state", str(gate.state)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(gate.state.parent))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(CURL is None, reason="no curl here")
def test_no_home_folder_is_written(folder: Path, provider: Provider) -> None:
    """A tool in somebody's home, in a repository there whose remote is in a home: paths begin with `~`, nothing has the name."""
    assert CURL is not None
    home = folder / "people" / "home" / HOME
    work, tool = home / "work", home / "bin" / "my-agent"
    work.mkdir(parents=True)
    tool.parent.mkdir()
    shutil.copy(CURL, tool)
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    remote = f"ssh://nas.acme.example/home/{HOME}/tools/x.git"
    subprocess.run(["git", "-C", str(work), "remote", "add", "origin", remote], check=True)
    with running_gate(folder, provider, policy(folder, more="privacy: {process: path}\n")) as gate:
        called(gate, str(tool), work)
        [call] = until(lambda: [each for each in gate.calls() if each["ended_at"]] or None)
        said = asked(gate, "me", "--format", "json")
    assert (call["process"], call["project"]) == ("~/bin/my-agent", "nas.acme.example/~/tools/x")
    files = [file for file in gate.state.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"ledger.db", "heads.json"}
    assert [file for file in files if HOME.encode() in file.read_bytes()] == []
    assert HOME not in said
    assert HOME.encode() not in gate.output


@pytest.mark.skipif(CURL is None, reason="no curl here")
def test_a_running_gate_purges_once_it_knows_the_time(folder: Path, provider: Provider) -> None:
    """Old rows stay while only this machine says that they are old; after three answers of a provider they are sums."""
    assert CURL is not None
    (folder / "state").mkdir(mode=0o711)
    now_ms = time.time_ns() // 1_000_000
    with closing(open_ledger(folder / "state", now_ms)) as ledger:
        for number in range(500):
            when = now_ms - (100 * DAY) + number * (DAY // 5)
            call, drawn = f"old-{number}", budget(starts_ms=when, ends_ms=when + DAY, window=f"w{number}")
            ledger.hold(row(call, started_ms=when), (drawn,), admit(1_000_000), when)
            ledger.settle(call, settled(1_000_000, drawn, ended_ms=when + 5))
    with running_gate(folder, provider, policy(folder, more="privacy: {keep: 40 days}\n")) as gate:
        whole = json.loads(asked(gate, "spend", "--by", "person", "--where", "person=alice", "--format", "json"))
        called(gate, CURL, folder)
        time.sleep(3)
        assert len(gate.calls()) == 501
        for _ in range(3):  # dates have whole seconds: one a second says all
            dated(provider)
            called(gate, CURL, folder)
            time.sleep(1.05)
        left = until(lambda: calls if len(calls := gate.calls()) < 300 else None)
        assert all(each["booked_at"] for each in left)
        until(lambda: True if "purged beside" in asked(gate, "audit", "list", "--format", "json") else None)
        assert whole == json.loads(
            asked(gate, "spend", "--by", "person", "--where", "person=alice", "--format", "json")
        )
        assert "purged by privacy.keep" in asked(gate, "audit", "verify")
        assert "before 20" in asked(gate, "status")
        called(gate, CURL, folder)
    assert b"Traceback" not in gate.output
