"""Programs to tools."""

from __future__ import annotations

import pytest

from spendgate.identity.tools import tool_of


@pytest.mark.parametrize(
    ("path", "arguments", "tool"),
    [
        pytest.param("/home/a/.local/share/claude/versions/2.1.197", (), "claude-code", id="Claude Code, native"),
        pytest.param(
            "/usr/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe", (), "claude-code", id="from npm"
        ),
        pytest.param(
            "/usr/bin/node", ("/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js",), "claude-code", id="in node"
        ),
        pytest.param("/usr/bin/node", ("--no-warnings", "/x/@openai/codex/bin/codex.js"), "codex", id="Codex in node"),
        pytest.param(
            "/x/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/codex/codex", (), "codex", id="Codex"
        ),
        pytest.param("/usr/local/bin/codex", (), "codex", id="Codex installed"),
        pytest.param("/Applications/Claude.app/Contents/MacOS/Claude", (), "claude-desktop", id="Claude Desktop"),
        pytest.param("/Applications/Cursor.app/Contents/MacOS/Cursor", (), "cursor", id="Cursor on macOS"),
        pytest.param("/usr/share/cursor/cursor", (), "cursor", id="Cursor on Linux"),
        pytest.param(r"C:\Users\a\AppData\Local\Programs\cursor\Cursor.exe", (), "cursor", id="Cursor on Windows"),
        pytest.param("/usr/share/code/code", (), "vscode", id="VS Code"),
        pytest.param("/usr/bin/python3.13", ("-c", "x"), "python", id="a Python program"),
        pytest.param("/usr/bin/python3", ("-m", "aider"), "aider", id="aider as a module"),
        pytest.param("/usr/bin/node", (), "node", id="node"),
        pytest.param("/usr/bin/curl", ("https://api.example/codex",), "curl", id="arguments of others do not count"),
        pytest.param("/usr/bin/python3", ("/x/bin/aider", "--yes"), "aider", id="aider's own script"),
        pytest.param("/usr/bin/node", ("/x/node_modules/.bin/cn", "-p", "x"), "continue", id="Continue"),
        pytest.param("/usr/bin/node", ("/x/.bin/qwen",), "qwen-code", id="Qwen Code"),
        pytest.param("/usr/bin/node", ("/x/@mariozechner/pi-coding-agent/dist/cli.js",), "pi", id="pi"),
        pytest.param("/x/@kilocode/cli/bin/.kilo", (), "kilo", id="Kilo"),
        pytest.param("/x/opencode-ai/bin/opencode.exe", (), "opencode", id="OpenCode"),
        pytest.param("/x/.bin/cline", (), "cline", id="Cline"),
        pytest.param("/x/bin/droid", (), "droid", id="Droid"),
        pytest.param("/x/python3", ("/x/bin/vibe-app-server",), "mistral-vibe", id="Mistral Vibe"),
        pytest.param("/x/python3", ("/x/bin/smolagent", "x"), "smolagents", id="smolagent"),
        pytest.param("/x/python3", ("/x/bin/mini",), "mini-swe-agent", id="mini-swe-agent"),
        pytest.param("/x/python3", ("/x/bin/gptme", "x"), "gptme", id="gptme"),
        pytest.param("/usr/bin/vim", ("claude",), None, id="not a tool"),
        pytest.param("/home/claude/bin/thing", (), None, id="a folder that is called so"),
        pytest.param("", (), None, id="nothing"),
    ],
)
def test_a_program_is_a_tool(path: str, arguments: tuple[str, ...], tool: str | None) -> None:
    """By its path, or by the script of an interpreter."""
    assert tool_of(path, arguments) == tool


@pytest.mark.parametrize(
    ("path", "arguments", "name", "tool"),
    [
        pytest.param("/usr/bin/node", (), "pi", "pi", id="its arguments overwritten"),
        pytest.param("/usr/bin/node", ("/x/claude-code/cli.js",), "node", "node", id="a name that says nothing"),
        pytest.param("/usr/bin/node", ("/x/bin/cn",), "pi", "continue", id="the script before the name"),
        pytest.param("/usr/bin/vim", (), "pi", None, id="of an interpreter alone"),
    ],
)
def test_a_script_may_name_its_process(path: str, arguments: tuple[str, ...], name: str, tool: str | None) -> None:
    """pi does, by `process.title`, which overwrites what it was started with."""
    assert tool_of(path, arguments, name) == tool
