"""Coding agents, agent frameworks and SDKs beside Claude Code and Codex: what each asks, and with which surroundings.

Most read no proxy from the environment by themselves under Node 20; the scripts here ask undici for it, as their users have to.
"""

from __future__ import annotations

import json

from end_to_end.agent import Agent
from end_to_end.clients import MODEL, PROMPT

_PROXIED = (
    "import {setGlobalDispatcher, EnvHttpProxyAgent} from 'undici'; setGlobalDispatcher(new EnvHttpProxyAgent());\n"
)
_LIBRARIES = ("undici@7.30.2",)
GEMINI = "gemini-2.5-flash"
CLAUDE = "claude-sonnet-4-6"
_GEMINI_KEY = {"GEMINI_API_KEY": "AIzaMadeUp"}


def _node(name: str, tool: str | None, folder: str, packages: tuple[str, ...], code: str) -> Agent:
    return Agent(
        name, tool, folder, (*packages, *_LIBRARIES), ("node", "ask.mjs"), files={"work/ask.mjs": _PROXIED + code}
    )


def _python(name: str, tool: str | None, folder: str, packages: tuple[str, ...], code: str) -> Agent:
    return Agent(name, tool, folder, packages, ("python", "ask.py"), files={"work/ask.py": code}, python=True)


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
GEMINI_CLI = Agent(
    "Gemini CLI",
    "gemini-cli",
    "gemini",
    ("@google/gemini-cli@0.61.0",),
    ("gemini", "-m", GEMINI, "-p", PROMPT),
    env={**_GEMINI_KEY, "GEMINI_CLI_TRUST_WORKSPACE": "true"},
    files={
        ".gemini/settings.json": json.dumps(
            {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "privacy": {"usageStatisticsEnabled": False},
            }
        )
    },
)
COPILOT_CLI = Agent(
    "Copilot CLI",
    "openai-sdk",
    "copilot",
    ("@github/copilot@1.0.102",),
    ("copilot", "--allow-all-tools", "--no-auto-update", "-p", PROMPT),
    env={
        # A provider of one's own: the one mode in which it asks for an answer without an account.
        "COPILOT_PROVIDER_BASE_URL": "https://api.openai.com/v1",
        "COPILOT_PROVIDER_API_KEY": "sk-made-up",
        "COPILOT_PROVIDER_WIRE_API": "responses",
        "COPILOT_MODEL": MODEL,
        "COPILOT_OFFLINE": "true",
    },
)
DEEPAGENTS = _python(
    "deepagents",
    "openai-sdk",
    "deepagents",
    ("deepagents==0.7.32", "langchain-openai==1.7.4"),
    "from deepagents import create_deep_agent\n"
    f"agent = create_deep_agent(model='openai:{MODEL}')\n"
    f"print(agent.invoke({{'messages': [{{'role': 'user', 'content': '{PROMPT}'}}]}})['messages'][-1].text)\n",
)
PI = Agent(
    "pi",
    "openai-sdk",
    "pi",
    ("@mariozechner/pi-coding-agent@0.73.1",),
    ("pi", "-p", "--provider", "openai", "--model", MODEL, PROMPT),
    env={"PI_OFFLINE": "1"},
)
AI_SDK = _node(
    "AI SDK (Vercel)",
    "ai-sdk",
    "vercel",
    ("ai@6.0.326", "@ai-sdk/openai@3.0.141"),
    "import {generateText} from 'ai'; import {openai} from '@ai-sdk/openai';\n"
    f"console.log((await generateText({{model: openai('{MODEL}'), prompt: 'hi'}})).text);",
)
OPENAI_NODE = _node(
    "openai (node)",
    "openai-sdk",
    "sdks-node",
    ("openai@6.49.0", "@anthropic-ai/sdk@1.14.0"),
    "import OpenAI from 'openai';\n"
    f"console.log((await new OpenAI().responses.create({{model: '{MODEL}', input: 'hi'}})).output_text);",
)
AGENTS = (OPENCODE, QWEN_CODE, GEMINI_CLI, COPILOT_CLI, DEEPAGENTS, AI_SDK, PI, OPENAI_NODE)
STOPPING = (OPENCODE, QWEN_CODE, AI_SDK)
"""Those that show a refusal and stop at once."""
