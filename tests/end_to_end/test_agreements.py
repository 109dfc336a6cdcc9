"""What a company has agreed with providers, through the whole product: its prices, its accounts, its seats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx2

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, running_gate

AGREED = """\
pricing:
  adjust:
    - {match: {provider: anthropic}, multiply: 0.85}
billing:
  accounts: [{provider: openai, account: org-acme}]
  personal: refuse
  seats:
    - {name: max, match: {provider: anthropic}, price: $200 per month, included: $600 per month}
"""
LIST_NANOS = 12 * 3_000 + 7 * 15_000
"""The stand-in's answer: 12 tokens of input and 7 of output, of claude-sonnet-4-6."""


def said(gate: Gate, folder: Path, *words: str) -> str:
    """What a command prints."""
    command = [*PRODUCT, *words, "--state", str(gate.state)]
    done = subprocess.run(command, env=environment(folder), capture_output=True, timeout=PATIENCE_S, check=True)
    return done.stdout.decode()


def message(http: httpx2.Client, **headers: str) -> httpx2.Response:
    """One of Anthropic's."""
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    return http.post("https://api.anthropic.com/v1/messages", json=body, headers={"x-standin": "", **headers})


def chat(http: httpx2.Client, organization: str) -> httpx2.Response:
    """One of OpenAI's, on this account."""
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-standin": "", "authorization": "Bearer sk-proj-made-up", "openai-organization": organization}
    return http.post("https://api.openai.com/v1/chat/completions", json=body, headers=headers)


def test_prices_accounts_and_seats(provider: Provider, folder: Path) -> None:
    """A key's call costs the contract's price, a plan's nothing, somebody else's account is refused; and each says so."""
    with (
        running_gate(folder, provider, policy(folder, more=AGREED)) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S) as http,
    ):
        assert message(http, **{"x-api-key": "sk-ant-api03-made-up"}).status_code == 200
        assert message(http, authorization="Bearer sk-ant-oat01-made-up").status_code == 200
        assert chat(http, "org-acme").status_code == 200
        refused = chat(http, "org-home")
        rows = {row["billing"]: row for row in gate.ended() if row["provider"] == "anthropic"}
        shown = said(gate, folder, "calls", "show", rows["metered"]["id"])
        status = json.loads(said(gate, folder, "status", "--format", "json"))
        table = said(gate, folder, "status")
        (turned_away,) = [row for row in gate.calls() if row["state"] == "refused"]
    assert refused.status_code == 429
    assert "the openai account org-home is not the company's" in refused.json()["error"]["message"]
    assert (turned_away["refused_by"], turned_away["refused_why"]) == ("billing.personal", "rule")
    metered, plan = rows["metered"], rows["subscription"]
    assert (metered["cost_nanos"], metered["value_nanos"]) == (LIST_NANOS * 85 // 100, LIST_NANOS)
    assert (plan["cost_nanos"], plan["value_nanos"]) == (0, LIST_NANOS)
    assert "$0.00011985 by the policy's pricing.adjust[1] (x 0.85): what budgets count" in shown
    assert "sum, rounded once" in shown
    (seat,) = status["seats"]
    assert (seat["in_use"], seat["value_nanos"], seat["price_in_use_nanos"]) == (1, LIST_NANOS, 200 * 10**9)
    assert (seat["own"]["value_nanos"], seat["own"]["share"]) == (LIST_NANOS, "0%")
    assert "max: 1 in use in " in table
