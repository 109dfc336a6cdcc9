"""A request in which the model stands twice, through a running gate: it leaves only where both may."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Provider, policy, running_gate

DENIED, FREE = "gpt-5-pro", "gpt-5-nano"
RULES = {
    "deny": f"models: [{{name: dear, deny: [{DENIED}]}}]\n",
    "allow": f"models: [{{name: dear, allow: [{FREE}]}}]\n",
    "budget": f"  - {{name: dear, match: {{model: {DENIED}}}, limit: $0}}\n",
}
KEYS = {"authorization": "Bearer sk-made-up", "content-type": "application/json"}


@pytest.mark.parametrize("rule", RULES)
def test_both_are_asked(provider: Provider, folder: Path, rule: str) -> None:
    """Whichever comes first, and however its key is spelled; twice the one that may is fine."""
    file = policy(folder, limit="$1000")
    file.write_text(file.read_text() + RULES[rule])
    with running_gate(folder, provider, file) as gate:
        before = len(provider.served)
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=KEYS, timeout=PATIENCE_S) as http:
            for key, first, last in (("model", DENIED, FREE), ("model", FREE, DENIED), ("mod\\u0065l", DENIED, FREE)):
                body = f'{{"{key}":"{first}","messages":[{{"role":"user","content":"hi"}}],"model":"{last}"}}'
                answer = http.post("https://api.openai.com/v1/chat/completions", content=body.encode())
                assert answer.headers["x-should-retry"] == "false"
                assert "dear" in answer.text
            assert len(provider.served) == before
            body = f'{{"model":"{FREE}","messages":[{{"role":"user","content":"hi"}}],"model":"{FREE}"}}'
            assert http.post("https://api.openai.com/v1/chat/completions", content=body.encode()).status_code == 200
        refused = [row for row in gate.calls() if row["state"] == "refused"]
        assert {row["refused_by"] for row in refused} == {"dear"}
        assert len(refused) == 3
