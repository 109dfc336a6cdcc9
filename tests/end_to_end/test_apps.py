"""Apps with backends of their own, through a running gate, as HTTP clients shaped like them."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx2
import pytest
import zstandard

from end_to_end.world import Gate, Provider, until
from spendgate.standin.script import Canned

JWT = "eyJhbGciOiJub25l.eyJzdWIiOiJ4In0.c2ln"
ORG, CONVERSATION = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"


def post(gate: Gate, url: str, body: bytes, **headers: str) -> httpx2.Response:
    """One request through the gate; underscores in header names stand for dashes."""
    trusted = ssl.create_default_context(cafile=str(gate.ca))
    with httpx2.Client(proxy=gate.proxy, verify=trusted, timeout=30) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(url, content=body, headers={"content-type": "application/json", **named})


def last(gate: Gate, provider: str, before: int) -> dict[str, Any]:
    """The row that this call made, ended."""

    def look() -> dict[str, Any] | None:
        rows = [row for row in gate.calls() if row["provider"] == provider]
        done = len(rows) > before and rows[-1]["state"] in ("settled", "interrupted")
        return rows[-1] if done else None

    return until(look)


def count(gate: Gate, provider: str) -> int:
    """How many rows there are of this provider."""
    return sum(1 for row in gate.calls() if row["provider"] == provider)


@pytest.mark.parametrize(("model", "nano_aiu", "nanos"), [("gpt-5.3-codex", 150_325_000, 1_503_250), ("gpt-4.1", 0, 0)])
def test_copilot_is_charged_what_it_states(
    gate: Gate, provider: Provider, model: str, nano_aiu: int, nanos: int
) -> None:
    """The stated cost is the row's; an included model costs nothing, and its price is known."""
    answer = {
        "id": "c", "model": model, "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hi"}}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 105, "total_tokens": 124},
        "copilot_usage": {"token_details": [], "total_nano_aiu": nano_aiu},
    }  # fmt: skip
    provider.set(canned=Canned(200, body=json.dumps(answer).encode(), headers=()))
    before = count(gate, "github-copilot")
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
    url = "https://api.business.githubcopilot.com/chat/completions"
    said = post(gate, url, body, copilot_integration_id="vscode-chat", x_interaction_id="i-1")
    assert said.json() == answer
    row = last(gate, "github-copilot", before)
    assert (row["basis"], row["cost_nanos"], row["model"], row["tool"]) == ("reported", nanos, model, "copilot")
    assert "unknown price" not in str(row["flags"])


def test_codex_with_a_login(gate: Gate) -> None:
    """A compressed body of Codex with a ChatGPT login: the plan's, at no cost, with its value."""
    before = count(gate, "chatgpt")
    body = zstandard.compress(json.dumps({"model": "gpt-5.1", "stream": True, "input": "hi"}).encode())
    url = "https://chatgpt.com/backend-api/codex/responses"
    headers = {"authorization": f"Bearer {JWT}", "originator": "codex_cli_rs", "content_encoding": "zstd"}
    assert post(gate, url, body, **headers).status_code == 200
    row = last(gate, "chatgpt", before)
    assert (row["basis"], row["billing"], row["cost_nanos"], row["tool"]) == ("reported", "subscription", 0, "codex")
    assert row["value_nanos"] > 0


@pytest.mark.parametrize(
    ("name", "url", "headers"),
    [
        ("claude-ai", f"https://claude.ai/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/completion", {}),
        ("chatgpt", "https://chatgpt.com/backend-api/f/conversation", {"authorization": f"Bearer {JWT}"}),
    ],
)
def test_a_turn_without_counts(gate: Gate, name: str, url: str, headers: dict[str, str]) -> None:
    """A seat's turn costs nothing, is valued by an estimate, and says so."""
    before = count(gate, name)
    model = "claude-sonnet-4-6" if name == "claude-ai" else "gpt-5.1"
    assert post(gate, url, json.dumps({"model": model, "prompt": "hi"}).encode(), **headers).status_code == 200
    row = last(gate, name, before)
    assert (row["basis"], row["billing"], row["cost_nanos"]) == ("estimated", "subscription", 0)
    assert row["value_nanos"] > 0
    assert row["flags"]
