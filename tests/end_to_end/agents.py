"""Coding agents, agent frameworks and SDKs beside Claude Code and Codex: what each asks, and with which surroundings.

Most read no proxy from the environment by themselves under Node 20; the scripts here ask undici for it, as their users have to.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from end_to_end.agent import Agent
from end_to_end.clients import MODEL, PROMPT
from spendgate.standin import github

_PROXIED = (
    "import {setGlobalDispatcher, EnvHttpProxyAgent} from 'undici'; setGlobalDispatcher(new EnvHttpProxyAgent());\n"
)
_LIBRARIES = ("undici@7.30.2",)
GEMINI = "gemini-2.5-flash"
CLAUDE = "claude-sonnet-4-6"
_ONES_OWN = (
    "a program of one's own that asks through the OpenAI SDK: nothing tells it from that SDK's own users, whom a 429 suits, "
    "and it asks again after a 429, whatever stands beside it"
)
_GEMINI_KEY = {"GEMINI_API_KEY": "AIzaMadeUp"}


def _node(name: str, tool: str, folder: str, packages: tuple[str, ...], code: str, **words: Any) -> Agent:
    """A script of Node's over these packages; `words` as `Agent` has them."""
    files = {"work/ask.mjs": _PROXIED + code}
    return Agent(name, tool, folder, (*packages, *_LIBRARIES), ("node", "ask.mjs"), files=files, **words)


def _python(name: str, tool: str, folder: str, packages: tuple[str, ...], code: str, **words: Any) -> Agent:
    """A script of Python's over these packages; `words` as `Agent` has them."""
    files = {"work/ask.py": code}
    return Agent(name, tool, folder, packages, ("python", "ask.py"), files=files, python="3", **words)


OPENCODE = Agent(
    "OpenCode",
    "opencode",
    "opencode",
    ("opencode-ai@1.18.33",),
    ("opencode", "run", "-m", f"openai/{MODEL}", PROMPT),
    heavy=True,
)
QWEN_CODE = Agent(
    "Qwen Code",
    "qwen-code",
    "qwen",
    ("@qwen-code/qwen-code@0.15.10",),
    ("qwen", "--auth-type", "openai", "-m", MODEL, "-p", PROMPT),
    env={"OPENAI_BASE_URL": "https://api.openai.com/v1"},
    heavy=True,
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
    heavy=True,
)
COPILOT_CLI = Agent(
    "Copilot CLI",
    "copilot-cli",
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
    heavy=True,
)
COPILOT_WITH_A_SEAT = replace(
    COPILOT_CLI,
    name="Copilot CLI with an account",
    command=(
        "copilot",
        "--model",
        github.MODEL,
        "--disable-builtin-mcps",
        "--allow-all-tools",
        "--no-auto-update",
        "-p",
        PROMPT,
    ),
    # The stand-in is GitHub, too: the token is looked at by nobody.
    env={"COPILOT_GITHUB_TOKEN": f"gho_{'a' * 36}"},
)
DEEPAGENTS = _python(
    "deepagents",
    "openai-sdk",
    "deepagents",
    ("deepagents==0.7.32", "langchain-openai==1.7.4"),
    "from deepagents import create_deep_agent\n"
    f"agent = create_deep_agent(model='openai:{MODEL}')\n"
    f"print(agent.invoke({{'messages': [{{'role': 'user', 'content': '{PROMPT}'}}]}})['messages'][-1].text)\n",
    heavy=True,
)
PI = Agent(
    "pi",
    "pi",
    "pi",
    ("@mariozechner/pi-coding-agent@0.73.1",),
    ("pi", "-p", "--provider", "openai", "--model", MODEL, PROMPT),
    env={"PI_OFFLINE": "1"},
    heavy=True,
)
AIDER = Agent(
    "aider",
    "aider",
    "aider",
    ("aider-chat==0.86.2",),
    (
        "aider",
        *("--model", f"openai/{MODEL}", "--no-git", "--yes", "--no-show-model-warnings"),
        *("--analytics-disable", "--no-check-update", "--message", PROMPT),
    ),
    python="3.12",
    heavy=True,
)
CLINE = Agent(
    "Cline CLI",
    "cline",
    "cline",
    ("cline@3.0.65",),
    ("cline", "-P", "openai-native", "-m", MODEL, "-k", "sk-made-up", PROMPT),
    heavy=True,
)
KILO = Agent(
    "Kilo CLI",
    "kilo",
    "kilo",
    ("@kilocode/cli@7.7.7",),
    ("kilo", "run", "-m", f"openai/{MODEL}", PROMPT),
    heavy=True,
)
CONTINUE = Agent(
    "Continue CLI",
    "continue",
    "continue",
    ("@continuedev/cli@1.5.47",),
    ("cn", "--config", "config.yaml", "-p", PROMPT),
    files={
        "work/config.yaml": "name: tests\nversion: 1.0.0\nschema: v1\nmodels:\n"
        f"  - {{name: gpt, provider: openai, model: {MODEL}, apiKey: sk-made-up}}\n"
    },
    heavy=True,
)
DROID = Agent(
    "Droid (Factory)",
    "droid",
    "droid",
    ("droid@0.215.0",),
    ("droid", "exec", "-m", "custom:gpt-0", PROMPT),
    files={
        ".factory/settings.json": json.dumps(
            {
                "customModels": [
                    {
                        "model": MODEL,
                        "id": "custom:gpt-0",
                        "displayName": "gpt",
                        "baseUrl": "https://api.openai.com/v1",
                        "apiKey": "sk-made-up",
                        "provider": "openai",
                    }
                ]
            }
        )
    },
    unshown='`droid exec` prints "Exec failed" for each of 400, 401, 402, 403 and 404, as JSON, too',
    heavy=True,
)
GPTME = Agent(
    "gptme",
    "gptme",
    "gptme",
    ("gptme==0.35.1",),
    ("gptme", "--non-interactive", "-m", f"openai/{MODEL}", "--tools", "none", PROMPT),
    python="3",
    heavy=True,
)
MINI = Agent(
    "mini-swe-agent",
    "mini-swe-agent",
    "mini",
    ("mini-swe-agent==2.4.6",),
    ("mini", "-m", f"openai/{MODEL}", "-y", "--exit-immediately", "-t", PROMPT),
    env={"MSWEA_CONFIGURED": "true"},
    python="3",
    heavy=True,
    talks=False,
)
VIBE = Agent(
    "Mistral Vibe",
    "mistral-vibe",
    "vibe",
    ("mistral-vibe==3.0.2",),
    ("vibe", "-p", PROMPT),
    env={"MISTRAL_API_KEY": "made-up"},
    python="3",
    heavy=True,
)
OPENAI_AGENTS = _python(
    "OpenAI Agents SDK (Python)",
    "openai-agents",
    "frameworks",
    ("openai-agents==0.24.0", "pydantic-ai-slim[openai,anthropic]==2.68.0"),
    "from agents import Agent, Runner, set_tracing_disabled\nset_tracing_disabled(True)\n"
    f"print(Runner.run_sync(Agent(name='tests', model='{MODEL}'), '{PROMPT}').final_output)\n",
    heavy=True,
)
PYDANTIC_AI = _python(
    "Pydantic AI",
    "pydantic-ai",
    "frameworks",
    ("pydantic-ai-slim[openai,anthropic]==2.68.0", "openai-agents==0.24.0"),
    "from pydantic_ai import Agent\n" + f"print(Agent('openai:{MODEL}').run_sync('{PROMPT}').output)\n",
    heavy=True,
)
LANGCHAIN = _python(
    "LangChain (Python)",
    "openai-sdk",
    "deepagents",
    ("langchain-openai==1.7.4", "deepagents==0.7.32"),
    f"from langchain_openai import ChatOpenAI\nprint(ChatOpenAI(model='{MODEL}').invoke('{PROMPT}').text)\n",
    heavy=True,
)
LANGCHAIN_ANTHROPIC = _python(
    "LangChain, Anthropic (Python)",
    "langchain",
    "deepagents",
    ("langchain-anthropic==1.7.10", "deepagents==0.7.32", "langchain-openai==1.7.4"),
    f"from langchain_anthropic import ChatAnthropic\nprint(ChatAnthropic(model='{CLAUDE}').invoke('{PROMPT}').text)\n",
    heavy=True,
)
LITELLM = _python(
    "LiteLLM (library)",
    "openai-sdk",
    "litellm",
    ("litellm==1.110.2",),
    "import litellm\nlitellm.suppress_debug_info = True\n"
    f"said = litellm.completion(model='openai/{MODEL}', messages=[{{'role': 'user', 'content': '{PROMPT}'}}])\n"
    "print(said.choices[0].message.content)\n",
    heavy=True,
)
INSTRUCTOR = _python(
    "instructor",
    "openai-sdk",
    "instructor",
    ("instructor==1.17.0",),
    "import instructor\n"
    f"said = instructor.from_provider('openai/{MODEL}').chat.completions.create("
    f"response_model=None, messages=[{{'role': 'user', 'content': '{PROMPT}'}}])\n"
    "print(said.choices[0].message.content)\n",
    heavy=True,
)
SMOLAGENTS = _python(
    "smolagents (library)",
    "openai-sdk",
    "smolagents",
    ("smolagents[openai]==1.26.0",),
    "from smolagents import OpenAIServerModel, ToolCallingAgent\n"
    f"ToolCallingAgent(tools=[], model=OpenAIServerModel('{MODEL}'), max_steps=1).run('{PROMPT}')\n",
    unshown=_ONES_OWN,
    talks=False,
    heavy=True,
)
STRANDS = _python(
    "Strands Agents",
    "openai-sdk",
    "strands",
    ("strands-agents[openai]==1.62.0",),
    "from strands import Agent\nfrom strands.models.openai import OpenAIModel\n"
    f"Agent(model=OpenAIModel(model_id='{MODEL}'))('{PROMPT}')\n",
    unshown=_ONES_OWN,
    heavy=True,
)
GOOGLE_ADK = _python(
    "Google ADK",
    "google-genai-sdk",
    "adk",
    ("google-adk==2.13.0",),
    "import asyncio\nfrom google.adk.agents import LlmAgent\nfrom google.adk.runners import InMemoryRunner\n"
    f"runner = InMemoryRunner(LlmAgent(name='tests', model='{GEMINI}'))\n"
    f"asyncio.run(runner.run_debug('{PROMPT}'))\n",
    env=_GEMINI_KEY,
    heavy=True,
)
CREWAI = _python(
    "CrewAI",
    "openai-sdk",
    "crew",
    ("crewai==1.15.30",),
    "from crewai import Agent\n"
    f"agent = Agent(role='r', goal='g', backstory='b', llm='openai/{MODEL}')\nprint(agent.kickoff('{PROMPT}').raw)\n",
    heavy=True,
)
LLAMA_INDEX = _python(
    "LlamaIndex",
    "openai-sdk",
    "llama",
    ("llama-index-llms-openai==0.8.3",),
    f"from llama_index.llms.openai import OpenAI\nprint(OpenAI(model='{MODEL}').complete('{PROMPT}'))\n",
    heavy=True,
)
CLAUDE_AGENT_SDK = _python(
    "Claude Agent SDK (Python)",
    "claude-code",
    "casdk",
    ("claude-agent-sdk==0.2.189",),
    "import asyncio\nfrom claude_agent_sdk import query\n"
    "async def main():\n"
    f"    async for message in query(prompt='{PROMPT}'):\n        print(message)\n"
    "asyncio.run(main())\n",
    heavy=True,
)
SMOLAGENT = Agent(
    "smolagent (CLI)",
    "smolagents",
    "smolagents",
    ("smolagents[openai]==1.26.0",),
    (
        *("smolagent", PROMPT, "--tools", "--model-type", "OpenAIModel", "--model-id", MODEL),
        *("--api-base", "https://api.openai.com/v1", "--api-key", "sk-made-up"),
    ),
    python="3",
    heavy=True,
)
GOOGLE_GENAI = _python(
    "google-genai (Python)",
    "google-genai-sdk",
    "google",
    ("google-genai==3.6.1", "langchain-google-genai==4.4.3"),
    "from google import genai\nclient = genai.Client()\n"
    f"print(client.models.generate_content(model='{GEMINI}', contents='{PROMPT}').text)\n",
    env=_GEMINI_KEY,
    heavy=True,
)
LANGCHAIN_GOOGLE = _python(
    "LangChain, Google (Python)",
    "langchain-google-genai",
    "google",
    ("langchain-google-genai==4.4.3", "google-genai==3.6.1"),
    "from langchain_google_genai import ChatGoogleGenerativeAI\n"
    f"print(ChatGoogleGenerativeAI(model='{GEMINI}').invoke('{PROMPT}').text)\n",
    env=_GEMINI_KEY,
    heavy=True,
)
AI_SDK = _node(
    "AI SDK (Vercel)",
    "ai-sdk",
    "vercel",
    ("ai@6.0.326", "@ai-sdk/openai@3.0.141"),
    "import {generateText} from 'ai'; import {openai} from '@ai-sdk/openai';\n"
    f"console.log((await generateText({{model: openai('{MODEL}'), prompt: 'hi'}})).text);",
    heavy=True,
)
OPENAI_NODE = _node(
    "openai (Node)",
    "openai-sdk",
    "sdks",
    ("openai@6.49.0", "@anthropic-ai/sdk@1.14.0", "@google/genai@3.3.0"),
    "import OpenAI from 'openai';\n"
    f"console.log((await new OpenAI().responses.create({{model: '{MODEL}', input: 'hi'}})).output_text);",
)
ANTHROPIC_NODE = _node(
    "anthropic (Node)",
    "anthropic-sdk",
    "sdks",
    ("@anthropic-ai/sdk@1.14.0", "openai@6.49.0", "@google/genai@3.3.0"),
    "import Anthropic from '@anthropic-ai/sdk';\n"
    f"const said = await new Anthropic().messages.create({{model: '{CLAUDE}', max_tokens: 99, "
    "messages: [{role: 'user', content: 'hi'}]});\nconsole.log(said.content[0].text);",
)
GOOGLE_NODE = _node(
    "google-genai (Node)",
    "google-genai-sdk",
    "sdks",
    ("@google/genai@3.3.0", "openai@6.49.0", "@anthropic-ai/sdk@1.14.0"),
    "import {GoogleGenAI} from '@google/genai';\n"
    f"console.log((await new GoogleGenAI({{}}).models.generateContent({{model: '{GEMINI}', contents: 'hi'}})).text);",
    env=_GEMINI_KEY,
    heavy=True,
)
LANGCHAIN_NODE = _node(
    "LangChain (Node)",
    "langchain",
    "langchain-node",
    ("@langchain/openai@1.6.0", "@langchain/core@1.4.0"),
    "import {ChatOpenAI} from '@langchain/openai';\n"
    f"console.log((await new ChatOpenAI({{model: '{MODEL}'}}).invoke('hi')).text);",
    heavy=True,
)
OPENAI_AGENTS_NODE = _node(
    "OpenAI Agents SDK (Node)",
    "openai-agents",
    "agents-node",
    ("@openai/agents@0.20.0", "zod@4.6.7"),
    "import {Agent, run, setTracingDisabled} from '@openai/agents';\nsetTracingDisabled(true);\n"
    f"console.log((await run(new Agent({{name: 'tests', model: '{MODEL}'}}), 'hi')).finalOutput);",
    heavy=True,
)
AI_SDK_ANTHROPIC = _node(
    "AI SDK, Anthropic",
    "ai-sdk",
    "vercel",
    ("@ai-sdk/anthropic@3.0.140", "ai@6.0.326", "@ai-sdk/openai@3.0.141"),
    "import {generateText} from 'ai'; import {anthropic} from '@ai-sdk/anthropic';\n"
    f"console.log((await generateText({{model: anthropic('{CLAUDE}'), prompt: 'hi'}})).text);",
    heavy=True,
)
CLIS = (
    *(OPENCODE, QWEN_CODE, GEMINI_CLI, COPILOT_CLI, PI, AIDER, CLINE, KILO, CONTINUE, DROID),
    *(GPTME, MINI, SMOLAGENT, VIBE),
)
FRAMEWORKS = (
    *(DEEPAGENTS, OPENAI_AGENTS, PYDANTIC_AI, LANGCHAIN, LANGCHAIN_ANTHROPIC, LANGCHAIN_GOOGLE, LITELLM),
    *(STRANDS, GOOGLE_ADK, CREWAI, LLAMA_INDEX, CLAUDE_AGENT_SDK),
    *(INSTRUCTOR, SMOLAGENTS, AI_SDK, AI_SDK_ANTHROPIC, LANGCHAIN_NODE, OPENAI_AGENTS_NODE),
)
MORE_SDKS = (GOOGLE_GENAI, OPENAI_NODE, ANTHROPIC_NODE, GOOGLE_NODE)
AGENTS = (*CLIS, *FRAMEWORKS, *MORE_SDKS)
