"""Keys in another case beside the right one, to a gateway of the company's own: asked about as its parser may read them."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from end_to_end.conftest import HOSTS
from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate

DENIED, FREE = "gpt-5-pro", "gpt-5-nano"
URL = "https://{}/v1/chat/completions"
GATEWAY = URL.format("llm.acme.example")
KEYS = {"authorization": "Bearer sk-made-up", "content-type": "application/json"}
MESSAGES = '"messages":[{"role":"user","content":"hi"}]'


def client(gate: Gate) -> httpx2.Client:
    """A client of the gate."""
    return httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=KEYS, timeout=PATIENCE_S)


@pytest.mark.parametrize("key", ["MODEL", "Model", "m\\u004fdel"])
def test_both_models_are_asked(provider: Provider, folder: Path, key: str) -> None:
    """Whichever comes first; twice the one that may is fine, and so is what any text says."""
    file = policy(folder, more=HOSTS + f"models: [{{name: dear, deny: [{DENIED}]}}]\n")
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        before = len(provider.served)
        for first, last in ((f'"{key}":"{DENIED}"', f'"model":"{FREE}"'), (f'"model":"{FREE}"', f'"{key}":"{DENIED}"')):
            answer = http.post(GATEWAY, content=f"{{{first},{MESSAGES},{last}}}".encode())
            assert "dear" in answer.text
        assert len(provider.served) == before
        said = f'{{"model":"{FREE}","{key}":"{FREE}",{MESSAGES},"note":"\\"MODEL\\":\\"{DENIED}\\""}}'
        assert http.post(GATEWAY, content=said.encode()).status_code == 200


@pytest.mark.parametrize("key", ["Max_Tokens", "MAX_TOKENS", "max_to\u212aens", "Max_Completion_Tokens"])
def test_the_weaker_bound_holds(provider: Provider, folder: Path, key: str) -> None:
    """A small cap bounds nothing where another one stands beside it that the gateway may heed."""
    file = folder / "policy.yaml"
    file.write_text(
        f"version: 1\nowner: tests@acme.example\n{HOSTS}budgets: [{{name: cap, limit: $100 per day, hold: ceiling}}]\n"
    )
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        for said in ('"max_tokens":100000', '"max_tokens":1', f'"max_tokens":1,"{key}":100000'):
            http.post(GATEWAY, content=f'{{"model":"{FREE}",{said},{MESSAGES}}}'.encode()).raise_for_status()
        large, small, both = (row["ceiling_nanos"] for row in gate.calls())
        assert both >= large > small
