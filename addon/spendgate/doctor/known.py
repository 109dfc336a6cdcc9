"""The programs that are known: by which variables and stores each trusts, and by what it is led to a proxy.

Measured on Linux with the real programs behind a gate, or by `doctor` itself, which lets those of `asking` make a canary call;
Cursor and VS Code by their documentation alone.
"""

from __future__ import annotations

from spendgate.doctor.interface import Proxies, Store, Tool
from spendgate.runtimes import ADDING

_SYSTEM = frozenset({Store.SYSTEM})
_WINDOW = frozenset({Store.SYSTEM, Store.BROWSER})
_OPENSSL = ("SSL_CERT_FILE",)
_NODE_SYSTEM = ("NODE_USE_SYSTEM_CA", "1")


def _node(name: str, *programs: str) -> Tool:
    return Tool(name, programs, adding=ADDING, stores=_SYSTEM, switch=_NODE_SYSTEM)


def _bun(name: str, *programs: str) -> Tool:
    return Tool(name, programs, _OPENSSL, ADDING, _SYSTEM, switch=_NODE_SYSTEM)


TOOLS: tuple[Tool, ...] = (
    Tool(
        "claude-code",
        ("claude",),
        _OPENSSL,
        ADDING,
        _SYSTEM,
        unless=("CLAUDE_CODE_CERT_STORE", "bundled"),
        settings=True,
    ),
    Tool("codex", ("codex",), _OPENSSL, "CODEX_CA_CERTIFICATE", _SYSTEM),
    _node("gemini-cli", "gemini"),
    Tool("copilot-cli", ("copilot",), _OPENSSL, stores=_SYSTEM),
    Tool("cursor", ("cursor",), stores=_WINDOW, adding=ADDING, proxies=Proxies.SETTINGS),
    Tool("vscode", ("code",), stores=_WINDOW, adding=ADDING, proxies=Proxies.SETTINGS),
    _bun("opencode", "opencode"),
    _node("qwen-code", "qwen"),
    Tool("aider", ("aider",), _OPENSSL),
    _node("node", "node"),
    _bun("bun", "bun"),
    Tool("deno", ("deno",), ("DENO_CERT",), stores=_SYSTEM, adding=ADDING, switch=("DENO_TLS_CA_STORE", "system")),
    Tool("python", ("python3", "python"), _OPENSSL, stores=_SYSTEM),
    Tool("go", ("go",), _OPENSSL, stores=_SYSTEM, version=("version",)),
    Tool(
        "java",
        ("java",),
        ("JAVA_TOOL_OPTIONS",),
        stores=frozenset({Store.JAVA}),
        proxies=Proxies.JAVA,
        version=("-version",),
    ),
    Tool("git", ("git",), ("GIT_SSL_CAINFO",), stores=_SYSTEM),
    Tool("curl", ("curl",), ("CURL_CA_BUNDLE", *_OPENSSL), stores=_SYSTEM),
)
"""In the order in which they are shown."""
