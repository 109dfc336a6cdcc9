"""Which tool a process is, by its program: evidence for a client that says nothing of itself in its requests.

A name can be forged by renaming a file, so a tool known this way carries the evidence `process` and no more.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from spendgate.privacy import PROGRAMS

_INTERPRETERS = re.compile(rf"^({'|'.join(PROGRAMS)}|python[0-9.]+)$", re.IGNORECASE)

# First match wins. Each pattern is searched in the program's path, or for an interpreter in its script's path.
_TOOLS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), tool)
    for pattern, tool in (
        (r"/claude\.app/|/claude-desktop(/|$)|/opt/claude desktop/", "claude-desktop"),
        (r"/@anthropic-ai/claude-code|/claude/versions/[^/]+$|(^|/)claude(\.exe)?$", "claude-code"),
        (r"/chatgpt\.app/", "chatgpt-desktop"),
        (r"/@openai/codex|(^|/)codex(-[a-z0-9_-]+)?(\.exe)?$", "codex"),
        (r"(^|/)cursor-agent(/|$)|/cursor-agent/versions/", "cursor-cli"),
        (r"/cursor\.app/|(^|/)cursor(\.exe|\.appimage)?$|/cursor/cursor$", "cursor"),
        (r"(^|/)windsurf(\.exe)?$|/windsurf\.app/", "windsurf"),
        (r"/@github/copilot|(^|/)copilot(\.exe)?$", "copilot-cli"),
        (r"/@google/gemini-cli|(^|/)gemini$", "gemini-cli"),
        (r"(^|/)(code|code-insiders)(\.exe)?$|/visual studio code", "vscode"),
        (r"(^|/)zed(-editor)?(\.exe)?$", "zed"),
        (r"(^|/)\.?opencode(\.exe)?$|/opencode-ai/", "opencode"),
        (r"(^|/)aider$|/aider/__main__\.py$", "aider"),
        (r"(^|/)goose(d)?$", "goose"),
        (r"(^|/)crush$", "crush"),
        (r"/@kilocode/cli|(^|/)\.?kilo(code)?(\.exe)?$", "kilo"),
        (r"(^|/)cline(\.exe)?$|/node_modules/cline/", "cline"),
        (r"/@qwen-code/qwen-code|(^|/)qwen$", "qwen-code"),
        (r"/pi-coding-agent/|(^|/)pi$", "pi"),
        (r"/@continuedev/cli|(^|/)cn$", "continue"),
        (r"(^|/)droid(\.exe)?$", "droid"),
        (r"(^|/)amp(\.exe)?$|/@(sourcegraph|ampcode)/", "amp"),
        (r"(^|/)gptme(-[a-z]+)?$", "gptme"),
        (r"(^|/)mini(-swe-agent)?$", "mini-swe-agent"),
        (r"(^|/)(smol|web)agent$", "smolagents"),
        (r"(^|/)vibe(-acp|-app-server)?$", "mistral-vibe"),
        (r"(^|/)curl(\.exe)?$", "curl"),
    )
)


KNOWN = frozenset(tool for _, tool in _TOOLS)
"""What `tool_of` may call a program that it knows; other answers of its are the names of interpreters."""


def tool_of(path: str, arguments: tuple[str, ...] = (), name: str = "") -> str | None:
    """The tool that the program at `path` is, started with `arguments` (without the program itself).

    An interpreter is known by the script it runs, or by the `name` that its script gave to the process, which overwrites the
    arguments (pi does so); else by its own name without version: `python`, `node`. None: not known.
    """
    found = _named(path)
    if found is not None:
        return found
    program = PurePosixPath(path.replace("\\", "/")).name
    if not _INTERPRETERS.match(program):
        return None
    script = next((word for word in arguments if not word.startswith("-")), None)
    return (_named(script) if script else None) or _named(name) or re.sub(r"[0-9.]+$", "", program.lower())


def _named(path: str) -> str | None:
    plain = path.replace("\\", "/")
    return next((tool for pattern, tool in _TOOLS if pattern.search(plain)), None)
