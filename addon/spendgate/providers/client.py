"""Who a request says it is from: tool, session, agent, credential and account, read from its head and `metadata`.

All of it is claimed by the client and can be forged, so each claim carries where it stood (attribution.Evidence). A credential
never leaves this module: what goes on is its public prefix and 12 hex digits of its SHA-256.

Sources: facts/wire-formats.md 1b, 2.2, 3, 15 and 20 (Claude Code 2.1.197 and Codex 0.169.0 as seen on the wire).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, NamedTuple, TypedDict

from spendgate.attribution import BESIDE, Evidence
from spendgate.providers.ask import Claim
from spendgate.providers.credentials import BEARER, X_API_KEY, keys_of
from spendgate.providers.interface import Head, Headers

_NAME_MAX: Final = 128
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]*")
KEY_PREFIX: Final = r"sk-ant-[a-z]+[0-9]{2}|sk-(?:proj|svcacct|admin|or-v1|ant)|sk|gsk|xai"
"""What stands before the part of a key that is nobody else's to know."""
_KEY_PREFIX: Final = re.compile(KEY_PREFIX)
# Whole: a header that is sent twice is joined by a comma, and the second key may be a metered one.
_CLAUDE_TOKEN: Final = re.compile(r"sk-ant-oat[\w-]*", re.ASCII)
_CHATGPT_TOKEN: Final = re.compile(r"eyJ[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)
_OLD_USER_ID: Final = re.compile(r"_session_([0-9a-fA-F-]{36})$")

# By the User-Agent's first product. A tool that is built on an SDK mostly names itself first.
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
_BEARER: Final = re.compile(r"bearer +[^\s,]+ *", re.IGNORECASE)
_LANGCHAIN_GOOGLE: Final = "langchain-google-genai"
"""Stands behind the token of Google's SDK, and has another way with refusals than that."""
_ANTHROPIC_SDK: Final = re.compile(r"(?:async)?anthropic[a-z]{0,20}")
"""Its clients for other clouds name themselves after their class: `AnthropicBedrock`, `AsyncAnthropicVertex`."""
_SESSION_HEADERS: Final = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",
    "thread-id",
    "x-client-session-id",
    "x-interaction-id",
)
_MAIN: Final = ("conversation-user", "conversation-agent")
"""How Copilot names the calls of its main agent, in contrast to sub-agents, compactions and titles."""
_UNSAID: Final = Claim()


class Sender(TypedDict):
    """What a request's head and metadata say of its sender: the fields of an Ask that tell it."""

    tool: Claim
    session: Claim
    agent: str | None
    agent_name: str | None
    parent_agent: str | None
    known_as: str | None
    api_key: str | None
    billing: str
    account: str | None
    account_claimed: bool


def sender(head: Head, user_id: str | None = None) -> Sender:
    """Read the sender; `user_id` is the body's `metadata.user_id`, where the dialect has one."""
    headers = head.headers
    keys = keys_of(head)
    subscription = _of_a_plan(keys, head)
    claimed = _account(head)
    lineage = _lineage(headers, _session(headers, user_id))
    return Sender(
        tool=tool(headers),
        session=lineage.session,
        agent=lineage.agent,
        agent_name=_agent_name(headers),
        parent_agent=lineage.parent_agent,
        known_as=lineage.known_as,
        api_key=None if subscription else BESIDE.join(sorted({fingerprint(key) for key in keys})) or None,
        billing="subscription" if subscription else "metered",
        account=claimed or _copilot_plan(head.host),
        account_claimed=claimed is not None and not subscription,
    )


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
    return Claim(name, Evidence.HEADER, library=name in _LIBRARIES) if name else _UNSAID


def _product(first: str, agent: str) -> str | None:
    """The tool by the first product of a whole `User-Agent`, both in lower case."""
    if _LANGCHAIN_GOOGLE in agent:
        return _LANGCHAIN_GOOGLE
    return _AGENTS.get(first) or ("anthropic-sdk" if _ANTHROPIC_SDK.fullmatch(first) else None)


def fingerprint(key: str) -> str:
    """A credential's public prefix and the first 12 hex digits of its SHA-256: `sk-ant-api03:1f0c…`; `key:…` without one."""
    prefix = _KEY_PREFIX.match(key)
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{prefix[0] if prefix else 'key'}:{digest}"


def _of_a_plan(keys: tuple[str, ...], head: Head) -> bool:
    """Whether all credentials are of a plan. One in a form that is not read here, or where no plan's stands, is none: beside a
    real key that the provider finds all the same it would make a metered call free of charge."""
    if not keys or not all(_is_subscription(key, head) for key in keys):
        return False
    bearer = head.headers.get(BEARER) or ""
    unread = bool(bearer) and _BEARER.fullmatch(bearer) is None
    return not unread and not any(head.headers.get(field) for field in head.keys if field not in (BEARER, X_API_KEY))


def _is_subscription(key: str, head: Head) -> bool:
    """Whether a credential belongs to a plan that is not billed by the call: Claude's OAuth tokens, ChatGPT's JWTs.

    Only where the provider itself would turn a forged one away: elsewhere (gateways, Azure, the metered API) what looks like
    such a token may be ignored beside a real key, or be a company's own sign-in. There the policy's `billing` says what it is.
    """
    if head.host == "api.anthropic.com":
        return _CLAUDE_TOKEN.fullmatch(key) is not None
    return head.host == "chatgpt.com" and _CHATGPT_TOKEN.fullmatch(key) is not None


class _Lineage(NamedTuple):
    session: Claim
    """The main agent's, whichever of its agents asks."""
    agent: str | None = None
    """None: the main agent."""
    parent_agent: str | None = None
    """None: the main agent, where `agent` is not."""
    known_as: str | None = None


def _lineage(headers: Headers, said: Claim) -> _Lineage:
    """Which agent of which conversation asks; `said` is the session that the client names.

    Claude Code and Codex name the main agent's session in every call of the conversation, Codex its sub-agents as threads.
    OpenCode gives each agent a session of its own, and names the one that it comes from. Copilot names every agent, also the
    main one, which alone has no parent (each as seen on the wire of the real client, `tests/end_to_end/test_sub_agents.py`).
    """
    own = _first(headers, "x-claude-code-agent-id")
    if own is not None:
        return _Lineage(said, own, _first(headers, "x-claude-code-parent-agent-id"))
    task, of = _first(headers, "x-agent-task-id"), _first(headers, "x-parent-agent-id")
    if task is not None:
        return _Lineage(said, task, of) if of is not None else _Lineage(said, known_as=task)
    thread = _first(headers, "thread-id")
    parent = _first(headers, "x-codex-parent-thread-id", "x-parent-session-id")
    if parent is None:
        return _Lineage(said)
    if thread is not None and thread != said.value:
        return _Lineage(said, thread, parent if parent != said.value else None)
    if parent != said.value:
        return _Lineage(Claim(parent, Evidence.HEADER), said.value)
    return _Lineage(said)


def _agent_name(headers: Headers) -> str | None:
    """What an agent is for, as its client calls it: Codex's `review`, `compact`, …; Copilot's `conversation-subagent`, …"""
    name = _first(headers, "x-openai-subagent", "x-interaction-type")
    return name if name not in _MAIN else None


def _session(headers: Headers, user_id: str | None) -> Claim:
    value = _first(headers, *_SESSION_HEADERS)
    if value is not None:
        return Claim(value, Evidence.HEADER)
    value = _session_of(user_id) if user_id else None
    return Claim(value, Evidence.BODY) if value else _UNSAID


def _session_of(user_id: str) -> str | None:
    """Claude Code's `metadata.user_id`: a JSON object since 2.1.78, `user_…_account_…_session_…` before."""
    if not user_id.startswith("{"):
        old = _OLD_USER_ID.search(user_id)
        return old[1] if old else None
    try:
        parsed = json.loads(user_id)
    except ValueError:
        return None
    session = parsed.get("session_id") if isinstance(parsed, dict) else None
    return name_of(session) if isinstance(session, str) else None


def _first(headers: Headers, *names: str) -> str | None:
    """The first of these fields that holds an id fit for the ledger."""
    for name in names:
        value = headers.get(name)
        if value is not None and (fit := name_of(value)) is not None:
            return fit
    return None


def _account(head: Head) -> str | None:
    """The account that a header names, read only on the hosts that themselves go by it: to others it would be an idle claim."""
    if head.host == "chatgpt.com":
        return _first(head.headers, "chatgpt-account-id")
    openai = head.host == "api.openai.com" or head.host.endswith(".api.openai.com")
    return _first(head.headers, "openai-organization") if openai else None


def _copilot_plan(host: str) -> str | None:
    """`individual`, `business` or `enterprise`: of a Copilot account, its host says as much, and its token rotates."""
    plan, _, rest = host.removeprefix("api.").partition(".")
    return plan if rest == "githubcopilot.com" else None


def name_of(value: str) -> str | None:
    """An id fit for the ledger; None: what does not look like one (and could be content or a secret) is dropped."""
    if len(value) > _NAME_MAX or not _NAME.fullmatch(value) or value.startswith(("sk-", "eyJ")):
        return None
    return value
