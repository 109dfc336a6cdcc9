"""Which key a call is on, through a running gate: the one that its provider reads, whatever else a client sends beside it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate
from spendgate.standin.script import Canned

OPENAI, ANTHROPIC = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"
KEY, CLAUDE_KEY = "sk-proj-made-up", "sk-ant-api03-made-up"
IGNORED = ("x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key")


def printed(key: str, prefix: str) -> str:
    """The key as policies name it."""
    return f"{prefix}:{hashlib.sha256(key.encode()).hexdigest()[:12]}"


BY_KEY = f"""\
models:
  - {{name: theirs, match: {{api_key: ["{printed(KEY, "sk-proj")}", "{printed(CLAUDE_KEY, "sk-ant-api03")}"]}},
     deny: ["gpt-5-pro*", "claude-opus-*"]}}
rates:
  - {{name: slow, per: api_key, requests: 1 per hour}}
"""
ACCOUNTS = """\
billing:
  accounts: [{{provider: openai, account: org-acme}}, {{provider: anthropic, account: org-acme}}]
  personal: {personal}
"""


def client(gate: Gate) -> httpx2.Client:
    """One that trusts the gate."""
    return httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S)


def ask(http: httpx2.Client, url: str, model: str, text: str = "hi", **headers: str) -> httpx2.Response:
    """One call; `_` in a header's name is `-`."""
    body = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}]}
    return http.post(url, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def on_account(account: str) -> Canned:
    """OpenAI's answer to a call on this account."""
    usage = {"prompt_tokens": 200, "completion_tokens": 1000, "total_tokens": 1200}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": usage}
    return Canned(200, (("openai-organization", account),), json.dumps(body).encode())


@pytest.mark.parametrize("name", IGNORED)
def test_what_openai_ignores_is_no_key(provider: Provider, folder: Path, name: str) -> None:
    """A header that only other providers read hides no key from a rule, and is no key of its own to a rate."""
    with running_gate(folder, provider, policy(folder, limit="$1000", more=BY_KEY)) as gate, client(gate) as http:
        own = {"authorization": f"Bearer {KEY}"}
        denied = ask(http, OPENAI, "gpt-5-pro", **own, **{name: "sk-proj-else"})
        answers = [ask(http, OPENAI, "gpt-4o", str(each), **own, **{name: f"no-{each}"}) for each in range(3)]
        rows = gate.calls()
    assert "theirs" in denied.text
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert {row["api_key"] for row in rows} == {printed(KEY, "sk-proj")}


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_two_keys_are_both_asked_about(provider: Provider, folder: Path, name: str) -> None:
    """Anthropic reads two fields: where they differ a rule for either holds, and no third key makes room in a rate."""
    other = {"authorization": "x-api-key", "x-api-key": "authorization"}[name]

    def sent(key: str, beside: str) -> dict[str, str]:
        return {
            each: f"Bearer {value}" if each == "authorization" else value
            for each, value in ((name, key), (other, beside))
        }

    with running_gate(folder, provider, policy(folder, limit="$1000", more=BY_KEY)) as gate, client(gate) as http:
        denied = ask(http, ANTHROPIC, "claude-opus-4-5", **sent(CLAUDE_KEY, "sk-ant-api03-else"))
        answers = [
            ask(http, ANTHROPIC, "claude-sonnet-4-6", str(each), **sent(CLAUDE_KEY, f"sk-ant-api03-{each}"))
            for each in range(3)
        ]
        same = ask(http, ANTHROPIC, "claude-sonnet-4-6", "same", **sent("sk-ant-api03-two", "sk-ant-api03-two"))
        rows = gate.calls()
    assert "theirs" in denied.text
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert same.status_code == 200, "the same key in both is one key"
    assert printed("sk-ant-api03-two", "sk-ant-api03") in {row["api_key"] for row in rows}


def test_a_company_key_stays_the_companys(provider: Provider, folder: Path) -> None:
    """What a private key's answer says is learned of that key alone, not of what stands beside both it and the company's."""
    file = policy(folder, limit="$1000", more=ACCOUNTS.format(personal="ignore"))
    file.write_text(file.read_text().replace("$1000 per day", "$0.05 per day\n    hold: ceiling"))
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        provider.set(canned=on_account("org-home"))
        assert ask(http, OPENAI, "gpt-4o", authorization="Bearer sk-proj-home", x_api_key="X").status_code == 200
        provider.set(canned=on_account("org-acme"))

        def again(each: int) -> int:
            return ask(http, OPENAI, "gpt-4o", str(each), authorization=f"Bearer {KEY}", x_api_key="X").status_code

        with ThreadPoolExecutor(12) as pool:
            answers = sorted(pool.map(again, range(12)))
        rows = gate.ended()
    assert answers[-1] == 429
    assert 0 < sum(row["cost_nanos"] or 0 for row in rows) <= 50_000_000
    assert sum(row["state"] == "settled" for row in rows) == 1 + answers.count(200) <= 5


@pytest.mark.parametrize("url", [OPENAI, ANTHROPIC])
def test_a_private_key_stays_private(provider: Provider, folder: Path, url: str) -> None:
    """Where personal accounts are refused, a private key is after its first answer, whatever is sent beside it; and two keys
    that the provider reads are refused at once, since nobody knows which of them pays."""
    model = "gpt-4o" if url == OPENAI else "claude-sonnet-4-6"
    more = ACCOUNTS.format(personal="refuse")
    with running_gate(folder, provider, policy(folder, limit="$1000", more=more)) as gate, client(gate) as http:
        if url == OPENAI:
            provider.set(canned=on_account("org-home"))
        home = "Bearer sk-proj-home" if url == OPENAI else "Bearer sk-ant-api03-home"
        answers = [ask(http, url, model, str(each), authorization=home, x_api_key=f"no-{each}") for each in range(3)]
        refused = answers[-1]
    assert [answer.status_code for answer in answers] == ([200, 429, 429] if url == OPENAI else [429, 429, 429])
    assert "the openai account org-home is not the company's" in refused.text or (
        url == ANTHROPIC and "carries several keys" in refused.text
    )
