"""Show 6: `doctor` says that all is fine of a running gate, and finds each breakage with its remedy."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, running_gate, until

BODY = json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
TOOLS = ("curl", "git", "python3")


@dataclass(frozen=True, slots=True)
class Machine:
    """A gate, and a person whose programs go through it."""

    gate: Gate
    variables: dict[str, str]

    def doctor(self, status: int, **more: str) -> dict[str, Any]:
        """What it says for programs."""
        done = self.run("--format", "json", **more)
        assert done.returncode == status, (done.stdout, done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The command as this person types it."""
        return subprocess.run(
            [*PRODUCT, "doctor", "--state", str(self.gate.state), *words],
            env={**self.variables, **more}, capture_output=True, text=True, check=False, timeout=5 * PATIENCE_S,
        )  # fmt: skip


@pytest.fixture
def machine(folder: Path, provider: Provider) -> Iterator[Machine]:
    """With the tools that the tests are about on its PATH, and the gate's certificate where each looks for one."""
    programs = folder / "programs"
    programs.mkdir()
    for name in TOOLS:
        found = sys.executable if name == "python3" else shutil.which(name)
        if found is None:
            pytest.skip(f"needs {name}")
        (programs / name).symlink_to(os.path.realpath(found))
    with running_gate(folder, provider, policy(folder)) as gate:
        bundle = folder / "bundle.pem"
        roots = ssl.get_default_verify_paths().cafile
        bundle.write_text((Path(roots).read_text() if roots else "") + gate.ca.read_text())
        trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"), str(bundle))
        base = environment(folder, HTTPS_PROXY=gate.proxy, https_proxy=gate.proxy, **trust)
        yield Machine(gate, {**base, "PATH": str(programs)})


def findings(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """By kind and what it is about."""
    return {(each["check"], each["about"]): each for each in found["checks"] if each["state"] == "finding"}


def test_all_is_fine_then_a_tool_distrusts(machine: Machine, folder: Path) -> None:
    """Each tool makes a canary call of its own; one whose trust is broken on purpose is told, with the variable to mend."""
    fine = machine.doctor(0)
    assert (fine["fine"], findings(fine)) == (True, {})
    assert {tool["tool"]: (tool["trusted"], tool["captured"]) for tool in fine["tools"]} == {
        "curl": (True, True), "git": (True, True), "python": (True, True)
    }  # fmt: skip
    assert [tool["last_call_at"] for tool in fine["tools"]] == [None, None, None]
    call = ("curl", "-sS", "-d", BODY, "-H", "x-api-key: sk-ant-api03-made-up", "https://api.anthropic.com/v1/messages")
    subprocess.run(call, env=machine.variables, capture_output=True, check=True, timeout=5 * PATIENCE_S)
    until(lambda: machine.gate.ended() or None)
    others = folder / "others.pem"
    others.write_text(Path(ssl.get_default_verify_paths().cafile or "").read_text())
    broken = machine.doctor(1, CURL_CA_BUNDLE=str(others))
    assert findings(broken).keys() == {("tool.trust", "curl")}
    told = findings(broken)["tool.trust", "curl"]
    assert "CURL_CA_BUNDLE" in told["says"]
    assert str(machine.gate.ca) in told["remedy"]
    assert {tool["tool"]: tool["last_call_at"] is not None for tool in broken["tools"]} == {
        "curl": True, "git": False, "python": False
    }  # fmt: skip
    assert [tool["tool"] for tool in broken["coverage"]] == ["curl"]
    assert {row["host"] for row in machine.gate.calls()} == {"api.anthropic.com"}  # no canary among them
    _went_around(machine)


def _went_around(machine: Machine) -> None:
    """Without a variable no program is led to a gate that listens and is well."""
    none = findings(machine.doctor(1, HTTPS_PROXY="", https_proxy=""))
    assert {about for name, about in none if name == "tool.capture"} == {"curl", "git", "python"}
    assert f"HTTPS_PROXY={machine.gate.proxy}" in none["environment.proxy", "this environment"]["remedy"]
