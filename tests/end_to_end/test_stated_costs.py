"""Hosts that state what a call costs, through a running gate: no list bounds it, so `hold: ceiling` lets none of them leave."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx2

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, PRODUCT, Provider, environment, running_gate

HOSTS = {
    "https://openrouter.ai/api/v1/chat/completions": "cost=1.5",
    "https://api.x.ai/v1/chat/completions": "ticks=15000000000",
}
MODELS = {
    "https://openrouter.ai/api/v1/chat/completions": "deepseek/deepseek-chat-v3.1",
    "https://api.x.ai/v1/chat/completions": "grok-4",
}
HEAD = "version: 1\nowner: tests@acme.example\n"
CASES = """\
cases:
  - name: a router says itself what it costs
    when: {person: alice, provider: openrouter, model: deepseek-chat, costs: $0.10}
    then: refused by cap
  - name: a vendor's list bounds it
    when: {person: alice, model: claude-sonnet-4-5, costs: $0.10}
    then: admitted
"""


def test_no_ceiling_is_passed(provider: Provider, folder: Path) -> None:
    """What such a host states may be more than any list says."""
    file = folder / "policy.yaml"
    file.write_text(HEAD + "budgets: [{name: cap, limit: $1 per day, hold: ceiling}]\n")
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S) as http,
    ):
        before = len(provider.served)
        for url, states in HOSTS.items():
            body = {"model": MODELS[url], "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
            keys = {"authorization": "Bearer sk-made-up", "x-standin": f"output=100;input=10;{states}"}
            answer = http.post(url, json=body, headers=keys)
            assert answer.status_code >= 400
            assert "nothing bounds this one" in answer.text
        assert len(provider.served) == before
        said = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        assert http.post("https://api.anthropic.com/v1/messages", json=said, headers={"x-api-key": "k"}).is_success
        rows = gate.calls()
        assert [(row["refused_by"], row["refused_why"]) for row in rows if row["state"] == "refused"] == [
            ("cap", "unbounded")
        ] * len(HOSTS)
        assert sum(row["cost_nanos"] or 0 for row in rows) < 10**9


def test_a_reviewer_is_told_the_same(folder: Path) -> None:
    """`policy explain` and a file of cases, of a call with such a provider; a vendor's own is bounded."""
    file = folder / "policy.yaml"
    file.write_text(HEAD + "budgets: [{name: cap, limit: $1 per day, hold: ceiling}]\n")
    (folder / "policy.test.yaml").write_text(CASES)

    def says(*words: str) -> str:
        done = subprocess.run(
            [*PRODUCT, "policy", *words],
            check=False,
            env=environment(folder),
            capture_output=True,
            timeout=PATIENCE_S,
            text=True,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout + done.stderr

    asked = ("explain", str(file), "--person", "alice", "--cost", "$0.10", "--model")
    assert "is refused by cap: Spendgate: budget cap holds the most that a call can cost" in " ".join(
        says(*asked, "deepseek-chat", "--with", "provider=openrouter").split()
    )
    assert "is refused by" not in says(*asked, "claude-sonnet-4-5")
    assert "2 passed, 0 failed" in says("test", str(file))


def test_status_tells_of_what_nothing_bounds(provider: Provider, folder: Path) -> None:
    """While such a call runs, under `hold: expected`, no figure is the most that it may still cost."""
    file = folder / "policy.yaml"
    file.write_text(HEAD + "budgets: [{name: day, limit: $9 per day}]\n")
    url = "https://openrouter.ai/api/v1/chat/completions"
    body = {"model": MODELS[url], "max_tokens": 100, "messages": [{"role": "user", "content": "x"}], "stream": True}
    keys = {"authorization": "Bearer sk-made-up", "x-standin": "output=100;input=10;interval_ms=1000;events=9"}
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S) as http,
        http.stream("POST", url, json=body, headers=keys) as answer,
    ):
        assert answer.status_code == 200
        done = subprocess.run(
            [*PRODUCT, "status", "--state", str(gate.state)],
            check=True,
            env=environment(folder),
            capture_output=True,
            timeout=PATIENCE_S,
            text=True,
        )
        (row,) = gate.calls()
    assert row["state"] == "open"
    assert "open calls could still cost $0.00 above what they hold, and 1 that nothing bounds any amount" in done.stdout
