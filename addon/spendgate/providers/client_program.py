"""Which program a request says it is from: by its `User-Agent`'s first product, or by a header that only this program sends.

A tool that is built on an SDK mostly names itself first. Sources: facts/wire-formats.md 15, 20 (as seen on the wire).
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.attribution import Evidence
from spendgate.providers.ask import Claim
from spendgate.providers.interface import Headers

_AGENTS: Final = {
    "claude-cli": "claude-code",
    "claude-code": "claude-code",
    "opencode": "opencode",
    "zed": "zed",
    "cline": "cline",
    "aider": "aider",
    "litellm": "litellm",
    # The AI SDK of Vercel, `ai/6.0.326 ai-sdk/provider-utils/…`; a provider of it used alone begins with `ai-sdk/`.
    "ai": "ai-sdk",
    "ai-sdk": "ai-sdk",
    "qwencode": "qwen-code",
    "agents": "openai-agents",
    "pydantic-ai": "pydantic-ai",
    "langchain-anthropic": "langchain",
    "langchainjs-openai": "langchain",
    "factory-cli": "droid",
    "copilot": "copilot-cli",
    "curl": "curl",
    "geminicli": "gemini-cli",
    "geminicli-tui": "gemini-cli",
    "antigravity": "antigravity",
    "google-genai-sdk": "google-genai-sdk",
    # google-genai 2 and Node's ask for interactions under this name.
    "gemininextgenapiclient": "google-genai-sdk",
    "asyncgemininextgenapiclient": "google-genai-sdk",
    "boto3": "boto3",
    "openai": "openai-sdk",
    "asyncopenai": "openai-sdk",
    "azureopenai": "openai-sdk",
    "asyncazureopenai": "openai-sdk",
}
_LIBRARIES: Final = frozenset(
    {
        "ai-sdk",
        "anthropic-sdk",
        "boto3",
        "google-genai-sdk",
        "langchain",
        "litellm",
        "langchain-google-genai",
        "openai-agents",
        "openai-sdk",
        # Kilo's CLI is built on it and goes by its name.
        "opencode",
        "pydantic-ai",
    }
)
"""What names itself although an agent was built on it: pi, aider, Copilot CLI and others send no name of their own."""
_CODEX: Final = "codex"
TOOLS: Final = frozenset({*_AGENTS.values(), _CODEX, "copilot", "kiro", "anthropic-sdk", "langchain-google-genai"})
"""What `tool` may call a client."""
_LANGCHAIN_GOOGLE: Final = "langchain-google-genai"
"""Stands behind the token of Google's SDK, and has another way with refusals than that."""
_ANTHROPIC_SDK: Final = re.compile(r"(?:async)?anthropic[a-z]{0,20}")
"""Its clients for other clouds name themselves after their class: `AnthropicBedrock`, `AsyncAnthropicVertex`."""
UNSAID: Final = Claim()
"""What a client does not say."""


def tool(headers: Headers) -> Claim:
    """The program that the client says it is."""
    agent = (headers.get("user-agent") or "").lower()
    if (headers.get("originator") or "").lower().startswith(_CODEX) or agent.startswith(_CODEX):
        return Claim(_CODEX, Evidence.HEADER)
    product, slash, _ = agent.partition("/")
    name = _product(product, agent) if slash else None
    if name is None and headers.get("x-claude-code-session-id"):
        name = "claude-code"
    if name is None and headers.get("copilot-integration-id"):
        name = "copilot"
    if name is None and " kiroide-" in agent:
        name = "kiro"
    return Claim(name, Evidence.HEADER, library=name in _LIBRARIES) if name else UNSAID


def _product(first: str, agent: str) -> str | None:
    """The tool by the first product of a whole `User-Agent`, both in lower case."""
    if _LANGCHAIN_GOOGLE in agent:
        return _LANGCHAIN_GOOGLE
    return _AGENTS.get(first) or ("anthropic-sdk" if _ANTHROPIC_SDK.fullmatch(first) else None)
