"""More coding agents and SDKs, each with its own folder of packages: how it is installed, configured and started.

Each is pinned to the version that its registry gave when it was measured. Most read no proxy from the environment by themselves
under Node 20; the scripts here ask undici for it, as their users have to.
"""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from end_to_end.clients import CACHE, INSTALL_S, MODEL, PROMPT

_PROXIED = (
    "import {setGlobalDispatcher, EnvHttpProxyAgent} from 'undici'; setGlobalDispatcher(new EnvHttpProxyAgent());\n"
)


@dataclass(frozen=True, slots=True)
class Agent:
    """One more client."""

    name: str
    tool: str | None
    """What the ledger calls it; None: it does not say on the wire."""
    folder: str
    """Of its packages, in the cache."""
    packages: tuple[str, ...]
    """The first is the client itself."""
    command: tuple[str, ...]
    """The program, then its arguments; `PROMPT` stands in them."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of its configuration, by path under the home."""
    python: bool = False

    @property
    def version(self) -> str:
        """The pinned version of the client itself."""
        return self.packages[0].rpartition("==" if self.python else "@")[2]

    def program(self) -> list[str]:
        """The command with the program's whole path. Skips the test where it cannot be installed."""
        if reason := _installed(self.folder, self.packages, python=self.python):
            pytest.skip(reason)
        place = CACHE / self.folder
        names = place / "bin" if self.python else place / "node_modules" / ".bin"
        first, *rest = self.command
        return ["node" if first == "node" else str(names / first), *rest]

    def prepare(self, home: Path) -> None:
        """Write its configuration into an empty home; its script stands there, but finds its packages in the cache."""
        for name, text in self.files.items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if not self.python:
            (home / "work").mkdir(exist_ok=True)
            (home / "work" / "node_modules").symlink_to(CACHE / self.folder / "node_modules")


def _node(name: str, packages: tuple[str, ...], code: str) -> Agent:
    return Agent(name, None, "vercel", packages, ("node", "ask.mjs"), files={"work/ask.mjs": _PROXIED + code})


@functools.cache
def _installed(folder: str, packages: tuple[str, ...], *, python: bool) -> str | None:
    """Why these packages are not here; None: they are. Tried once in a process, by one process at a time."""
    place = CACHE / folder
    place.mkdir(parents=True, exist_ok=True)
    done, wanted = place / "installed.txt", "\n".join(sorted(packages))
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == wanted:
            return None
        npm = shutil.which("npm")
        if npm is None and not python:
            return f"{packages[0]} is installed by npm, and there is no npm here"
        steps = (
            [[sys.executable, "-m", "venv", str(place)], [str(place / "bin" / "pip"), "install", "-q", *packages]]
            if python
            else [
                [str(npm), "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", str(place), *packages]
            ]
        )
        try:
            for step in steps:
                subprocess.run(step, check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
            said = (fault.stderr or b"").decode(errors="replace").strip().partition("\n")[0]
            return f"{packages[0]} could not be installed: {said or type(fault).__name__}"
        done.write_text(wanted)
    return None


_NODE = ("ai@6.0.326", "@ai-sdk/openai@3.0.141", "openai@6.49.0", "@anthropic-ai/sdk@1.14.0", "undici@7.30.2")
OPENCODE = Agent(
    "OpenCode", "opencode", "opencode", ("opencode-ai@1.18.33",), ("opencode", "run", "-m", f"openai/{MODEL}", PROMPT)
)
QWEN_CODE = Agent(
    "Qwen Code",
    "qwen-code",
    "qwen",
    ("@qwen-code/qwen-code@0.15.10",),
    ("qwen", "--auth-type", "openai", "-m", MODEL, "-p", PROMPT),
    env={"OPENAI_BASE_URL": "https://api.openai.com/v1"},
)
AI_SDK = replace(
    _node(
        "AI SDK (Vercel)",
        _NODE,
        "import {generateText} from 'ai'; import {openai} from '@ai-sdk/openai';\n"
        f"console.log((await generateText({{model: openai('{MODEL}'), prompt: 'hi'}})).text);",
    ),
    tool="ai-sdk",
)
PI = Agent(
    "pi",
    "openai-sdk",
    "pi",
    ("@mariozechner/pi-coding-agent@0.73.1",),
    ("pi", "-p", "--provider", "openai", "--model", MODEL, PROMPT),
    env={"PI_OFFLINE": "1"},
)
OPENAI_NODE = replace(
    _node(
        "openai (node)",
        ("openai@6.49.0", *(name for name in _NODE if not name.startswith("openai@"))),
        "import OpenAI from 'openai';\n"
        f"console.log((await new OpenAI().responses.create({{model: '{MODEL}', input: 'hi'}})).output_text);",
    ),
    tool="openai-sdk",
)
AGENTS = (OPENCODE, QWEN_CODE, AI_SDK, PI, OPENAI_NODE)
STOPPING = (OPENCODE, QWEN_CODE, AI_SDK)
"""Those that show a refusal and stop at once. pi does not say its name on the wire, and asks four times."""
