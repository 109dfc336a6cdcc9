"""Which past calls a candidate is asked about: those that its gate would decrypt, by the host that they went to."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.providers.registry import Registry
from spendgate.replay.engine import Replay
from spendgate.review.cases import Calls, step_of

HEAD = "version: 1\nowner: lead@acme.example\nbudgets: [{name: r, limit: $1}]\n"
AZURE = "hosts: [{host: acme.openai.azure.com, dialect: azure}]"
BELOW = "hosts: [{host: '*.ai.acme.example', dialect: openai, prices: anthropic}]"
GATEWAY = "hosts: [{host: llm.acme.example, dialect: openai, billing: gateway}]"


@pytest.mark.parametrize(
    ("capture", "host", "provider", "seen"),
    [
        ("", "api.anthropic.com", "anthropic", True),
        ("never: [api.anthropic.com]", "api.anthropic.com", "anthropic", False),
        ("never: ['*.anthropic.com']", "api.anthropic.com", "anthropic", False),
        ("never: ['*.anthropic.com']", "api.openai.com", "openai", True),
        ("providers: [openai]", "api.anthropic.com", "anthropic", False),
        (f"providers: [anthropic], {AZURE}", "acme.openai.azure.com", "azure", True),
        ("providers: [anthropic]", "acme.openai.azure.com", "azure", False),
        ("", "acme.openai.azure.com", "azure", False),
        (f"providers: [openai], {BELOW}", "gpt.ai.acme.example", "anthropic", True),
        (f"{BELOW}, never: [gpt.ai.acme.example]", "gpt.ai.acme.example", "anthropic", False),
        (f"{BELOW}, never: ['*.acme.example']", "gpt.ai.acme.example", "anthropic", False),
        (GATEWAY, "llm.acme.example", "openai", True),
        ("", "llm.acme.example", "openai", False),
    ],
)
def test_a_candidate_is_asked_about_what_its_gate_decrypts(capture: str, host: str, provider: str, seen: bool) -> None:
    """What it drops passes unseen, and is not refused; a host of its own is decided, whatever `providers` names."""
    policy = parse_policy(f"{HEAD}capture: {{{capture}}}\n".encode())
    billing = "gateway" if host == "llm.acme.example" else "metered"
    calls = Calls(0, {"person": "alice", "model": "m", "provider": provider, "billing": billing}, 2_000_000_000)
    outcome = Replay(policy, 0).run([step_of(calls, "asked", "1", 1_000, 2_000)._replace(host=host)])
    assert (outcome.calls == 1) is seen
    assert (Registry.build(policy.capture).host(host) is not None) is seen
