"""A cap of zero on the output, through a running gate: hosts drop it and generate as if none were there, so it bounds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from end_to_end.conftest import HOSTS
from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Provider, running_gate

SAID: Mapping[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent"
TEXT: Mapping[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
ASKED: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    "chat": ("https://api.openai.com/v1/chat/completions", {**SAID, "model": "gpt-4o"}, {"max_tokens": 0}),
    "newer": ("https://api.openai.com/v1/chat/completions", {**SAID, "model": "gpt-4o"}, {"max_completion_tokens": 0}),
    "gateway": ("https://llm.acme.example/v1/chat/completions", {**SAID, "model": "gpt-4o"}, {"max_tokens": 0}),
    "responses": ("https://api.openai.com/v1/responses", {"model": "gpt-4o", "input": "hi"}, {"max_output_tokens": 0}),
    "messages": ("https://api.anthropic.com/v1/messages", {**SAID, "model": "claude-sonnet-4-6"}, {"max_tokens": 0}),
    "gemini": (GEMINI, TEXT, {"generationConfig": {"maxOutputTokens": 0}}),
}
KEYS = {"authorization": "Bearer sk-made-up", "x-api-key": "sk-ant-api03-made-up", "x-goog-api-key": "made-up"}
POLICY = "version: 1\nowner: tests@acme.example\nbudgets: [{name: cap, limit: $1000 per day, hold: ceiling}]\n"


def test_it_is_held_as_if_it_were_not_there(provider: Provider, folder: Path) -> None:
    """In every dialect that has one: a call with a cap of zero holds no less than one without, or is as unbounded."""
    file = folder / "policy.yaml"
    file.write_text(POLICY + HOSTS)
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=KEYS, timeout=PATIENCE_S) as http,
    ):
        for name, (url, said, zero) in ASKED.items():
            for body in (said, {**said, **zero}):
                http.post(url, json=body)
            without, with_zero = gate.calls()[-2:]
            assert with_zero["refused_why"] == without["refused_why"] == ("unbounded" if name == "gemini" else None)
            if name != "gemini":  # its list has no context window
                assert with_zero["ceiling_nanos"] >= without["ceiling_nanos"] > 10**8, name
