"""A model that a request names second, or by an alias, through a running gate: what is said of it holds all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Gate, Provider, running_gate

OPUS, SONNET, MINI = "claude-opus-4-5", "claude-sonnet-4-6", "openai/gpt-4o-mini"
ROUTER = "https://openrouter.ai/api/v1/chat/completions"
HEAD = "version: 1\nowner: tests@acme.example\n"
ENFORCED = "mode: {default: observe, enforce: [{model: 'claude-opus-*'}]}\n"
WAYS = ("itself", "alias", "router", "fallback", "models")


class Client:
    """Calls in which opus may answer, named in several ways."""

    def __init__(self, gate: Gate, http: httpx2.Client) -> None:
        self.gate, self._http, self._count = gate, http, 0

    def call(self, way: str) -> int:
        """The answer's status; of `none` no opus is named."""
        self._count += 1
        said: dict[str, object] = {"max_tokens": 30, "messages": [{"role": "user", "content": f"{way} {self._count}"}]}
        if way in ("models", "router"):
            named = (
                {"model": MINI, "models": [f"anthropic/{OPUS}"]} if way == "models" else {"model": "openrouter/auto"}
            )
            body = {**said, **named}
            return self._http.post(ROUTER, json=body, headers={"authorization": "Bearer sk-or-v1-made-up"}).status_code
        more: dict[str, object] = {
            "itself": {"model": OPUS},
            "alias": {"model": "claude-opus-latest"},
            "fallback": {"model": SONNET, "fallbacks": [{"model": OPUS}]},
            "none": {"model": SONNET},
        }[way]
        keys = {"x-api-key": "sk-ant-api03-made-up"}
        return self._http.post("https://api.anthropic.com/v1/messages", json={**said, **more}, headers=keys).status_code


@contextmanager
def client(provider: Provider, folder: Path, rules: str) -> Iterator[Client]:
    """A client of a gate with these rules."""
    file = folder / "policy.yaml"
    file.write_text(HEAD + rules)
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S) as http,
    ):
        yield Client(gate, http)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_is_enforced_however_it_is_named(provider: Provider, folder: Path, way: str) -> None:
    """`mode.enforce` asks every model that may answer: what is refused of the one is not got as another's second."""
    rules = ENFORCED + "budgets: [{name: opus, match: {model: 'claude-opus-*'}, limit: $0 per day}]\n"
    with client(provider, folder, rules) as calls:
        assert calls.call(way) >= 400
        assert calls.call("none") == 200
        refused = [row["refused_by"] for row in calls.gate.calls() if row["state"] == "refused"]
        assert refused == ["opus"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", ["requests: 2 per hour", "tokens: 1 per hour"])
def test_a_rate_counts_a_model_however_it_is_named(provider: Provider, folder: Path, limit: str, way: str) -> None:
    """Calls of a model count in its rate where they name it second, and are refused there; others never are."""
    rules = f"rates: [{{name: few, match: {{model: 'claude-opus-*'}}, {limit}}}]\n"
    with client(provider, folder, rules) as calls:
        answers = [calls.call(way) for _ in range(4)]
        assert answers[0] == 200
        assert answers[-1] >= 400
        assert calls.call("none") == 200
        assert {row["refused_by"] for row in calls.gate.calls() if row["state"] == "refused"} == {"few"}
