"""A fault of `notify` and `capture.hosts` says what to write instead."""

from __future__ import annotations

import pytest

from spendgate.config.faults import meant
from spendgate.config.known import KNOWN
from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError

HEAD = "version: 1\nowner: ops@acme.example\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("notify: [{to: ops@acme.example, for: [alert]}]", "for mail write mailtos://"),
        (
            'notify: [{to: "https://hooks.slack.com/services/T0/B0/x", for: [alert]}]',
            "write slack://${SPENDGATE_SECRET_AI}",
        ),
        ('notify: [{to: "teams://${SPENDGATE_SECRET_T}", for: [alert]}]', "write workflows:// for Microsoft Teams"),
        ('capture: {hosts: [{host: "https://llm.acme.example/v1", dialect: openai}]}', "; here: llm.acme.example"),
        ('capture: {hosts: [{host: "llm.acme.example:8443", dialect: openai}]}', "; here: llm.acme.example"),
    ],
)
def test_what_to_write(text: str, told: str) -> None:
    """And nothing of what may be a secret."""
    with pytest.raises(PolicyError) as caught:
        parse_policy((HEAD + text).encode())
    assert told in "\n".join(caught.value.faults)
    assert "T0/B0" not in "\n".join(caught.value.faults)


@pytest.mark.parametrize(
    ("word", "provider"),
    [("gemini", "google"), ("Grok", "x-ai"), ("bedrock", "aws"), ("kiro", "amazon-q"), ("antropic", "anthropic")],
)
def test_a_provider_is_known_by_what_it_sells(word: str, provider: str) -> None:
    """By its letters alone the nearest to gemini is minimax."""
    assert KNOWN.providers is not None
    assert meant(word, KNOWN.providers) == f"; did you mean {provider}?"
    assert meant(word, ("budgets", "owner")) == ""
