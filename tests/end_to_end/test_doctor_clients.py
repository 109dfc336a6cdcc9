"""What is known of Claude Code and Codex holds for the real ones: what `doctor` says of their trust is what becomes of a call."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from end_to_end.clients import CLAUDE_CODE, CODEX_HTTP, PROMPT, Client, run, surroundings
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider
from spendgate.standin.script import Script

pytestmark = [pytest.mark.clients, pytest.mark.heavy]
TEXT = "The herons left in spring."
OURS, OTHERS = "{ours}", "{others}"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((CLAUDE_CODE, {"NODE_EXTRA_CA_CERTS": OURS}, True), id="Claude Code, added"),
        pytest.param((CLAUDE_CODE, {"SSL_CERT_FILE": OURS}, True), id="Claude Code, replaced"),
        pytest.param(
            (CLAUDE_CODE, {"NODE_EXTRA_CA_CERTS": OURS, "SSL_CERT_FILE": OTHERS}, True), id="Claude Code, added to others"
        ),
        pytest.param((CLAUDE_CODE, {}, False), id="Claude Code, nothing"),
        pytest.param((CLAUDE_CODE, {"NODE_EXTRA_CA_CERTS": OTHERS}, False), id="Claude Code, others"),
        pytest.param((CODEX_HTTP, {"CODEX_CA_CERTIFICATE": OURS}, True), id="Codex, its own"),
        pytest.param((CODEX_HTTP, {"SSL_CERT_FILE": OURS}, True), id="Codex, replaced"),
        pytest.param((CODEX_HTTP, {"NODE_EXTRA_CA_CERTS": OURS}, False), id="Codex, one that it does not read"),
        pytest.param((CODEX_HTTP, {"CODEX_CA_CERTIFICATE": OTHERS, "SSL_CERT_FILE": OURS}, True), id="Codex, beside its own"),
    ],
)  # fmt: skip
def test_verdict(case: tuple[Client, dict[str, str], bool], gate: Gate, provider: Provider, tmp_path: Path) -> None:
    """Its verdict, then the tool's own."""
    client, variables, trusted = case
    provider.set(Script(text=TEXT))
    others = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    named = {name: value.format(ours=gate.ca, others=others) for name, value in variables.items()}
    env = surroundings(tmp_path, {"HTTPS_PROXY": gate.proxy, "https_proxy": gate.proxy, **named})
    assert _told(gate, env, client.tool)["trusted"] is trusted
    done = run((*client.command, PROMPT), env, patience_s=PATIENCE_S if trusted else 25)
    assert (TEXT in done.text) is trusted, done.text


def _told(gate: Gate, env: dict[str, str], tool: str) -> dict[str, Any]:
    words = (*PRODUCT, "doctor", "--state", str(gate.state), "--format", "json")
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=5 * PATIENCE_S)
    [found] = [each for each in json.loads(done.stdout)["tools"] if each["tool"] == tool]
    return dict(found)
