"""A deployment in the path and another model in the body, through a running gate: each is asked about."""

from __future__ import annotations

from pathlib import Path

import httpx2

from end_to_end.conftest import HOSTS
from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Provider, policy, running_gate

URL = "https://standin.openai.azure.com/openai/deployments/{}/chat/completions?api-version=2025-04-01-preview"


def test_both_are_asked(provider: Provider, folder: Path) -> None:
    """Gateways with Azure's paths differ in which they obey; one model in two spellings is one."""
    file = policy(folder, more=HOSTS + "models: [{name: dear, deny: [gpt-5-pro]}]\n")
    with running_gate(folder, provider, file) as gate:
        keys = {"api-key": "k"}
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=keys, timeout=PATIENCE_S) as http:

            def status(path: str, body: str) -> int:
                said = {"model": body, "messages": [{"role": "user", "content": "hi"}]}
                return http.post(URL.format(path), json=said).status_code

            assert status("gpt-4o", "gpt-4o") == 200
            assert status("gpt-4o", "openai/gpt-4o") == 200
            assert status("gpt-5-pro", "gpt-4o") >= 400
            assert status("gpt-4o", "gpt-5-pro") >= 400
        refused = [row for row in gate.calls() if row["state"] == "refused"]
        assert sorted(row["model_requested"] for row in refused) == ["gpt-4o", "gpt-5-pro"]
