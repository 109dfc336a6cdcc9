"""Who a request says it is from; a credential never goes on, and a forged header makes nothing free."""

from __future__ import annotations

import json

import pytest

from providers.feeding import head
from spendgate.attribution import Evidence
from spendgate.providers.ask import Claim
from spendgate.providers.client import fingerprint, sender

SESSION = "0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"
LIBRARIES = (
    *("ai-sdk", "anthropic-sdk", "boto3", "google-genai-sdk", "langchain", "langchain-google-genai"),
    *("openai-agents", "openai-sdk", "opencode", "pydantic-ai"),
)
"""What many programs are built on, and OpenCode, whose name Kilo's CLI sends."""
JWT = "eyJhbGciOiJub25l.eyJzdWIiOiJ4In0.c2ln"


@pytest.mark.parametrize(
    ("headers", "tool"),
    [
        ({"user_agent": "claude-cli/2.1.197 (external, cli)", "x_app": "cli"}, "claude-code"),
        ({"user_agent": "codex_exec/0.169.0 (Linux)"}, "codex"),
        ({"user_agent": "node", "originator": "codex_cli_rs"}, "codex"),
        ({"user_agent": "Anthropic/Python 0.112.0"}, "anthropic-sdk"),
        ({"user_agent": "AsyncAnthropic/Python 0.112.0"}, "anthropic-sdk"),
        ({"user_agent": "AnthropicBedrock/Python 2.12.0"}, "anthropic-sdk"),
        ({"user_agent": "copilot/1.0.102 (linux v24.20.0) term/unknown client/github/cli"}, "copilot-cli"),
        ({"user_agent": "Boto3/1.44.8 md/Botocore#1.44.8"}, "boto3"),
        ({"user_agent": "OpenAI/Python 3.54.0"}, "openai-sdk"),
        ({"user_agent": "AsyncAzureOpenAI/Python 3.54.0"}, "openai-sdk"),
        ({"user_agent": "AsyncGeminiNextGenAPIClient/Python 2.8.0"}, "google-genai-sdk"),
        ({"user_agent": "opencode/1.18.33 ai-sdk/5"}, "opencode"),
        ({"user_agent": "ai/6.0.326 ai-sdk/provider-utils/4.0.66 runtime/node.js/v20.20.2"}, "ai-sdk"),
        ({"user_agent": "QwenCode/0.15.10 (linux; x64)"}, "qwen-code"),
        ({"user_agent": "Agents/Python 0.24.0"}, "openai-agents"),
        ({"user_agent": "pydantic-ai/2.68.0"}, "pydantic-ai"),
        ({"user_agent": "langchain-anthropic/1.7.10"}, "langchain"),
        ({"user_agent": "langchainjs-openai/1.0.0 ((node/v20.20.2; linux; x64))"}, "langchain"),
        (
            {"user_agent": "google-genai-sdk/3.6.1 gl-python/3.13.0 langchain-google-genai/4.4.3-ChatGoogle"},
            "langchain-google-genai",
        ),
        ({"user_agent": "google-genai-sdk/3.6.1 gl-python/3.13.0"}, "google-genai-sdk"),
        ({"user_agent": "factory-cli/0.215.0"}, "droid"),
        ({"user_agent": "Mozilla/5.0 claude-cli/2"}, None),
        ({}, None),
    ],
)
def test_tool(headers: dict[str, str], tool: str | None) -> None:
    """A tool is what the client names first; what does not name itself is not guessed."""
    library = tool in LIBRARIES
    assert sender(head(**headers))["tool"] == (Claim(tool, Evidence.HEADER, library) if tool else Claim())


@pytest.mark.parametrize(
    ("headers", "user_id", "expected"),
    [
        ({"x_claude_code_session_id": SESSION}, None, Claim(SESSION, Evidence.HEADER)),
        ({"session_id": SESSION}, None, Claim(SESSION, Evidence.HEADER)),
        ({"thread_id": "t-1"}, None, Claim("t-1", Evidence.HEADER)),
        ({}, json.dumps({"device_id": "d", "session_id": SESSION}), Claim(SESSION, Evidence.BODY)),
        ({}, f"user_{'a' * 64}_account__session_{SESSION}", Claim(SESSION, Evidence.BODY)),
        ({}, '{"session_id": 7}', Claim()),
        ({}, "{broken", Claim()),
        ({}, "someone", Claim()),
        ({"session_id": "a prompt, not an id"}, None, Claim()),
        ({"session_id": "x" * 500}, None, Claim()),
        ({"session_id": "sk-ant-api03-secret"}, None, Claim()),
    ],
)
def test_session(headers: dict[str, str], user_id: str | None, expected: Claim) -> None:
    """A session comes from the client's header, else its metadata; what does not look like an id is dropped."""
    assert sender(head(**headers), user_id)["session"] == expected


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param(
            {"x_claude_code_session_id": "s", "x_claude_code_agent_id": "a"}, ("s", "a", None, None), id="claude"
        ),
        pytest.param(
            {"x_claude_code_session_id": "s", "x_claude_code_agent_id": "a1", "x_claude_code_parent_agent_id": "a0"},
            ("s", "a1", None, "a0"),
            id="claude, nested",
        ),
        pytest.param({"session_id": "s", "thread_id": "s"}, ("s", None, None, None), id="codex, main"),
        pytest.param(
            {"session_id": "s", "thread_id": "s", "x_openai_subagent": "compact"},
            ("s", None, "compact", None),
            id="codex, an errand",
        ),
        pytest.param(
            {"session_id": "s", "thread_id": "t", "x_openai_subagent": "review", "x_codex_parent_thread_id": "s"},
            ("s", "t", "review", None),
            id="codex",
        ),
        pytest.param(
            {"session_id": "s", "thread_id": "t2", "x_codex_parent_thread_id": "t1"},
            ("s", "t2", None, "t1"),
            id="codex, nested",
        ),
        pytest.param({"x_session_id": "s1", "x_parent_session_id": "s0"}, ("s0", "s1", None, None), id="opencode"),
        pytest.param({"x_session_id": "s", "x_parent_session_id": "s"}, ("s", None, None, None), id="its own parent"),
        pytest.param(
            {"x_session_id": "s", "x_parent_session_id": "no id, a text"}, ("s", None, None, None), id="no id"
        ),
        pytest.param(
            {"x_client_session_id": "s", "x_agent_task_id": "t0", "x_interaction_type": "conversation-agent"},
            ("s", None, None, None),
            id="copilot, main",
        ),
        pytest.param(
            {"x_client_session_id": "s", "x_agent_task_id": "t1", "x_parent_agent_id": "t0", "x_interaction_id": "i"},
            ("s", "t1", None, "t0"),
            id="copilot",
        ),
    ],
)
def test_agents(headers: dict[str, str], said: tuple[str | None, ...]) -> None:
    """One session for the whole conversation; who asks, what for, and who started it, as each client says it."""
    found = sender(head(**headers))
    assert (found["session"].value, found["agent"], found["agent_name"], found["parent_agent"]) == said


@pytest.mark.parametrize(
    ("headers", "host", "billing"),
    [
        ({"x_api_key": "sk-ant-api03-AAAA"}, "api.anthropic.com", "metered"),
        ({"authorization": "Bearer sk-ant-oat01-AAAA"}, "api.anthropic.com", "subscription"),
        ({"authorization": "Bearer sk-ant-oat01-A", "x_api_key": "sk-ant-api03-B"}, "api.anthropic.com", "metered"),
        ({"x_api_key": "sk-ant-oat01-A, sk-ant-api03-B"}, "api.anthropic.com", "metered"),
        ({"x_api_key": "sk-ant-oat01-A", "x_litellm_api_key": "sk-real"}, "llm.acme.example", "metered"),
        ({"authorization": "Bearer sk-ant-oat01-A"}, "api.openai.com", "metered"),
        ({"authorization": f"Bearer {JWT}", "chatgpt_account_id": "acc"}, "api.openai.com", "metered"),
        ({"authorization": f"Bearer {JWT}", "chatgpt_account_id": "acc"}, "acme.openai.azure.com", "metered"),
        ({"authorization": f"Bearer {JWT}"}, "chatgpt.com", "subscription"),
        ({"authorization": f"Bearer {JWT}"}, "acme.openai.azure.com", "metered"),
        ({"authorization": "Bearer sk-proj-A", "chatgpt_account_id": "acc"}, "api.openai.com", "metered"),
        ({}, "api.openai.com", "metered"),
        ({"authorization": "Bearer\tsk-ant-api03-B", "x_api_key": "sk-ant-oat01-A"}, "api.anthropic.com", "metered"),
        (
            {"authorization": "Bearer\tsk-ant-api03-B", "x_goog_api_key": "sk-ant-oat01-A"},
            "api.anthropic.com",
            "metered",
        ),
        ({"authorization": "Bearer sk-ant-oat01-A, Bearer sk-ant-api03-B"}, "api.anthropic.com", "metered"),
        ({"api_key": "sk-ant-oat01-A"}, "api.anthropic.com", "metered"),
        ({"authorization": "bearer  sk-ant-oat01-AAAA "}, "api.anthropic.com", "subscription"),
    ],
    ids=[
        "key",
        "oauth",
        "both",
        "twice",
        "gateway",
        "elsewhere",
        "account header",
        "entra and header",
        "codex host",
        "entra",
        "forged account header",
        "none",
        "a key behind a tab",
        "a key behind a tab, the token elsewhere",
        "two in one",
        "another provider's header",
        "spaced",
    ],
)
def test_billing(headers: dict[str, str], host: str, billing: str) -> None:
    """Only a plan's credential, alone and at its own provider, makes a call a subscription's; what can be forged does not."""
    assert sender(head(host=host, **headers))["billing"] == billing


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        ("sk-ant-api03-SECRETSECRET", "sk-ant-api03"),
        ("sk-proj-SECRETSECRET", "sk-proj"),
        ("sk-SECRETSECRET", "sk"),
        ("0123SECRETSECRET", "key"),
    ],
)
def test_fingerprint(key: str, prefix: str) -> None:
    """A fingerprint is the key's public prefix and twelve hex digits: stable, different for different keys, no secret."""
    found = fingerprint(key)
    assert found.startswith(f"{prefix}:") and len(found) == len(prefix) + 13
    assert found == fingerprint(key) != fingerprint(key + "x")
    assert "SECRET" not in found


def test_no_credential_survives() -> None:
    """Nothing that a client's credentials hold is in what goes on."""
    shown = sender(head(authorization="Bearer sk-proj-CANARY", x_api_key="CANARYCANARY", api_key="CANARY"))
    assert "CANARY" not in repr(shown)


@pytest.mark.parametrize(
    ("host", "header", "account", "claimed"),
    [
        ("api.openai.com", "openai_organization", "org-1", True),
        ("eu.api.openai.com", "openai_organization", "org-1", True),
        ("chatgpt.com", "chatgpt_account_id", "org-1", True),
        ("api.openai.com", "chatgpt_account_id", None, False),
        ("api.anthropic.com", "openai_organization", None, False),
        ("api.anthropic.com", "chatgpt_account_id", None, False),
        ("acme.openai.azure.com", "openai_organization", None, False),
    ],
)
def test_an_account_is_read_where_its_provider_goes_by_it(
    host: str, header: str, account: str | None, claimed: bool
) -> None:
    """Elsewhere the header would be an idle claim; beside a key it is a claim everywhere."""
    said = sender(head(host=host, authorization="Bearer sk-proj-A", **{header: "org-1"}))
    assert (said["account"], said["account_claimed"]) == (account, claimed)
