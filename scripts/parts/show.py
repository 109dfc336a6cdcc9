"""What `scripts/run` shows: one tool through the gate until its budget is spent, then status, spend and calls."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPENDGATE = [sys.executable, "-m", "spendgate"]
POLICY = """\
version: 1
owner: you@acme.example
help: "Ask in #ai-budget."
budgets:
  - {name: person, per: person, limit: $0.30 per day}
"""
SCRIPT = "input=2500; cache_read=50000; write_5m=30000; output=1000; events=12; interval_ms=20"
"""A turn of a coding agent, in tokens: $0.05 with Haiku 4.5, $0.10 with Sonnet 5, $0.25 with Opus 4.8."""
PROMPT = "Say hello."
CALLS_MAX = 12
PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Tool:
    """A real client, and the surroundings in which it needs no account."""

    name: str
    command: list[str]
    variables: dict[str, str]


def main() -> int:
    """Show it; exit status 1 where what was promised did not happen."""
    options = argparse.ArgumentParser(
        prog="scripts/run", description="Shows the main job in a minute, without a provider key."
    )
    options.add_argument(
        "--keep", metavar="FOLDER", type=Path, help="leave the policy and the ledger (FOLDER/state) there"
    )
    kept: Path | None = options.parse_args().keep
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    place = (
        tempfile.TemporaryDirectory(prefix="spendgate-show-")
        if kept is None
        else contextlib.nullcontext(str(kept.resolve()))
    )
    with place as name, _standin(Path(name)) as upstream:
        folder = Path(name)
        policy, state = folder / "policy.yaml", folder / "state"
        policy.write_text(POLICY)
        if not any(_until_refused(tool, policy, state, upstream) for tool in _tools(folder)):
            _say(
                "No tool met a refusal. If one above did not end in time, this machine was busy: run it again. If not, that is a"
                " fault: please report it."
            )
            return 1
        for number, words in enumerate((["status"], ["spend", "--by", "person,tool,model"], ["calls"]), start=2):
            _say(f"{number}. spendgate {' '.join(words)}")
            subprocess.run([*SPENDGATE, *words, "--state", str(state)], check=True, env=_env())
    _say(
        "Now with your own tool and account (the default policy: policies/default.yaml):\n"
        "   .venv/bin/spendgate exec -- claude        # or codex, or any program\n"
        "   .venv/bin/spendgate status                # then spend, calls, calls show ID"
    )
    return 0


def _until_refused(tool: Tool, policy: Path, state: Path, upstream: list[str]) -> bool:
    """Run the tool until it is refused; False where it makes no call, as one that is set up for another provider does."""
    _say(f"1. {tool.name} through the gate, its provider played by a stand-in. Budget: $0.30 per person and day.")
    command = [*SPENDGATE, "exec", "--policy", str(policy), "--state", str(state), *upstream, "--", *tool.command]
    for number in range(1, CALLS_MAX + 1):
        print(f"   turn {number}: the gate starts, then {tool.name} …", flush=True)
        try:
            done = subprocess.run(
                command,
                env={**_env(), **tool.variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            _say(f"{tool.name} did not end within {PATIENCE_S} s.")
            return False
        for line in (done.stdout + done.stderr).strip().splitlines():
            if "WARNING connect_to" not in line:  # the stand-in's own detour, said once above
                print(f"   | {line}", flush=True)
        if "refused" in done.stderr or "budget" in done.stdout:
            return True
        if "spendgate: 0 billable calls" in done.stderr:
            _say(f"{tool.name} made no call that costs anything.")
            return False
    return False


def _tools(folder: Path) -> Iterator[Tool]:
    """Claude Code and Codex where they are installed, in an empty home; last the official Anthropic SDK."""
    home = folder / "home"
    home.mkdir()
    claude, codex = shutil.which("claude"), shutil.which("codex")
    if claude:
        quiet = {"DISABLE_AUTOUPDATER": "1", "ANTHROPIC_API_KEY": "sk-ant-api03-not-a-key", "HOME": str(home)}
        yield Tool("Claude Code", [claude, "-p", PROMPT], quiet)
    if codex:
        keys = dict.fromkeys(("OPENAI_API_KEY", "CODEX_API_KEY"), "sk-not-a-key")
        command = [codex, "exec", "--skip-git-repo-check", PROMPT]
        yield Tool("Codex", command, {**keys, "HOME": str(home), "CODEX_HOME": str(home)})
    sdk = [sys.executable, "-m", "parts.hello"]
    yield Tool("the Anthropic SDK", sdk, {"ANTHROPIC_API_KEY": "sk-ant-api03-not-a-key"})


@contextlib.contextmanager
def _standin(folder: Path) -> Iterator[list[str]]:
    """A running stand-in, and the options that lead the gate to it in place of the providers."""
    command = [sys.executable, "-m", "spendgate.standin", "--script", SCRIPT, "--ca", str(folder / "standin-ca.pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_env()) as process:
        try:
            assert process.stdout
            where = json.loads(process.stdout.readline())
            options = [f"ssl_verify_upstream_trusted_ca={where['ca']}"]
            options += [
                f"connect_to={host}=127.0.0.1:{where['port']}" for host in ("api.anthropic.com", "api.openai.com")
            ]
            yield [word for option in options for word in ("--set", option)]
        finally:
            process.terminate()


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'addon'}:{ROOT / 'scripts'}"}


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
