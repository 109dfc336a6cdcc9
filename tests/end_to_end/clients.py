"""The real Claude Code and Codex: where they are, how they are started in an empty home, and what they showed when."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from end_to_end.world import PATIENCE_S, ROOT, environment

PACKAGES = ("@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.169.0")
CACHE = ROOT / ".cache" / "clients"
INSTALL_S = 240
MODEL = "gpt-5.1"
"""A model that genai-prices knows; Codex's own default changes with its releases."""
PROMPT = "say hi"
CODEX = ("codex", "exec", "--skip-git-repo-check", "-s", "read-only", "-m", MODEL)
OVER_HTTP = (
    "-c",
    'model_provider="openai-http"',
    "-c",
    'model_providers.openai-http={name="OpenAI",base_url="https://api.openai.com/v1",env_key="OPENAI_API_KEY",'
    'wire_api="responses",supports_websockets=false}',
)


@dataclass(frozen=True, slots=True)
class Client:
    """One way to run a tool."""

    name: str
    tool: str
    """What the ledger calls it."""
    command: tuple[str, ...]


CLAUDE_CODE = Client("Claude Code", "claude-code", ("claude", "-p"))
CODEX_WEBSOCKET = Client("Codex (WebSocket)", "codex", CODEX)
CODEX_HTTP = Client("Codex (HTTP)", "codex", (*CODEX, *OVER_HTTP))
CLIENTS = (CLAUDE_CODE, CODEX_WEBSOCKET, CODEX_HTTP)


@dataclass(frozen=True, slots=True)
class Run:
    """What a client did. Seconds since it was started."""

    status: int | None
    """None: it had to be ended."""
    seconds: float
    ended: float
    """Epoch seconds."""
    lines: tuple[tuple[float, str], ...]
    stdout: str

    @property
    def text(self) -> str:
        """All that it showed."""
        return "\n".join(line for _, line in self.lines)

    def shown(self, word: str) -> float | None:
        """When the first line with this word appeared."""
        return next((at for at, line in self.lines if word in line), None)


def binaries() -> Path:
    """The folder of the clients' programs, installed by npm at the first use. Skips the test where that cannot be."""
    if reason := _installed():
        pytest.skip(reason)
    return CACHE / "node_modules" / ".bin"


@functools.cache
def _installed() -> str | None:
    """Why the clients are not here; None: they are. Tried once in a process, by one process at a time."""
    found = CACHE / "node_modules" / ".bin"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((found / name).exists() for name in ("claude", "codex")):
            return None
        npm = shutil.which("npm")
        if npm is None:
            return "Claude Code and Codex are installed by npm, and there is no npm here"
        command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        try:
            subprocess.run([*command, "--prefix", CACHE, *PACKAGES], check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            said = (fault.stderr or b"").decode(errors="replace").strip().partition("\n")[0]
            return f"npm could not install {' '.join(PACKAGES)}: {said or type(fault).__name__}"
    return None


def surroundings(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An empty account that has the clients on its path, made-up keys, and these variables more."""
    made_up = {
        "ANTHROPIC_API_KEY": "sk-ant-api03-made-up",
        "OPENAI_API_KEY": "sk-made-up",
        "CODEX_API_KEY": "sk-made-up",
    }
    env = environment(folder, **{**made_up, **(more or {})})
    env["PATH"] = f"{binaries()}:{env['PATH']}"
    return env


def through(env: dict[str, str], proxy: str, ca: Path) -> dict[str, str]:
    """The same with a proxy and what must be trusted, for a client that `spendgate exec` does not start."""
    proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy)
    names = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CODEX_CA_CERTIFICATE")
    trust = dict.fromkeys(names, str(ca))
    return {**env, **proxies, **trust}


def run(command: Sequence[str], env: Mapping[str, str], *, patience_s: float = PATIENCE_S) -> Run:
    """Run a client to its end, noting when each line came."""
    home = Path(env["HOME"])
    work = home / "work"
    work.mkdir(exist_ok=True)
    program = shutil.which(command[0], path=env["PATH"])
    assert program is not None, f"no {command[0]} on the path"
    started = time.monotonic()
    # A session of its own: Codex is a script that starts the real program, and ending the script alone would leave that.
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([program, *command[1:]], env=dict(env), cwd=work, start_new_session=True, **pipes)
    lines: list[tuple[float, str]] = []
    stdout: list[str] = []
    readers = [
        threading.Thread(target=_read, args=(process.stdout, started, lines, stdout)),
        threading.Thread(target=_read, args=(process.stderr, started, lines, None)),
    ]
    for reader in readers:
        reader.start()
    try:
        status: int | None = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        status = None
    seconds, ended = time.monotonic() - started, time.time()
    for reader in readers:
        reader.join()
    return Run(status, seconds, ended, tuple(sorted(lines)), "".join(stdout))


def _read(pipe: object, started: float, lines: list[tuple[float, str]], whole: list[str] | None) -> None:
    assert hasattr(pipe, "readline")
    with pipe:  # type: ignore[attr-defined]  # both ends of a Popen pipe are context managers
        while data := pipe.readline():
            text = data.decode(errors="replace")
            lines.append((time.monotonic() - started, text.rstrip()))
            if whole is not None:
                whole.append(text)


def version(name: str) -> str:
    """What a client says of itself."""
    found = subprocess.run(
        [str(binaries() / name), "--version"], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    return found.stdout.split()[0 if name == "claude" else -1]
