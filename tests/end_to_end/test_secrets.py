"""Show 10: canary strings in prompts, answers, keys and headers are in nothing that the product writes or prints."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from pathlib import Path

import httpx2

from end_to_end.canaries import CANARIES, leaks
from end_to_end.raw import trust, tunnel
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, running_gate
from spendgate.standin.script import Script


def written(folder: Path, gate: Gate) -> dict[str, bytes]:
    """Everything in the state directory, the gate's own output, and what the reading commands print."""
    found = {str(file.relative_to(folder)): file.read_bytes() for file in gate.state.rglob("*") if file.is_file()}
    found["output of run"] = bytes(gate.output)
    for words in (["status"], ["spend", "--by", "person,model"], ["calls"], ["calls", "--format", "json"]):
        command = [*PRODUCT, *words, "--state", str(gate.state)]
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE_S, env=environment(folder))
        assert done.returncode == 0, done.stderr.decode()
        found[" ".join(words)] = done.stdout + done.stderr
    return found


def test_the_search_itself_finds_what_leaks() -> None:
    """A canary that was written plainly or in base64 would be seen."""
    plain = {"file": b"x" + CANARIES["prompt"].encode()}
    packed = {"file": base64.b64encode(b"ab" + CANARIES["key"].encode() + b"cd")}
    assert leaks(plain) == [("file", "prompt")]
    assert leaks(packed) == [("file", "key")]


def test_no_secret_is_written(provider: Provider, folder: Path) -> None:
    """Admitted, refused, free, unknown, malformed and broken calls: none leaves content behind."""
    provider.set(Script(text=CANARIES["answer"]))
    with running_gate(folder, provider, policy(folder, limit="$0.05")) as gate:
        _talk(gate)
        states = {row["state"] for row in gate.ended()}
        found = written(folder, gate)
    found["output of run, at its end"] = bytes(gate.output)
    assert {"settled", "refused", "free"} <= states
    assert leaks(found) == []


def _talk(gate: Gate) -> None:
    base = "https://api.anthropic.com"
    headers = {
        "x-api-key": f"sk-ant-api03-{CANARIES['key']}",
        "x-custom": CANARIES["header"],
        "cookie": f"session={CANARIES['header']}",
    }
    prompt = {
        "max_tokens": 100,
        "messages": [{"role": "user", "content": CANARIES["prompt"]}],
        "system": CANARIES["prompt"],
    }
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=headers, timeout=PATIENCE_S) as http:
        url = f"{base}/v1/messages?beta={CANARIES['query']}"
        for stream in (False, True):
            http.post(url, json={"model": "claude-sonnet-4-6", "stream": stream, **prompt})
        with contextlib.suppress(httpx2.TransportError):
            broken = {"x-standin": f"break_after=300; text={CANARIES['answer']}"}
            http.post(url, json={"model": "claude-sonnet-4-6", "stream": True, **prompt}, headers=broken)
        http.post(url, json={"model": "claude-sonnet-4-6", **prompt}, headers={"x-standin": "status=500"})
        http.post(url, content=f"{{{CANARIES['broken']}", headers={"content-type": "application/json"})
        http.get(f"{base}/v1/models")
        http.get(f"{base}/v1/files/{CANARIES['path']}")
        spend = {"x-standin": "input=20000; output=9000"}
        http.post(url, json={"model": "claude-sonnet-4-6", **prompt}, headers=spend)
        refused = http.post(url, json={"model": "claude-sonnet-4-6", **prompt})
        assert refused.status_code == 429
    _malformed(gate, f"\x00{CANARIES['broken']}\r\n\r\n".encode())
    _malformed(gate, f"GET /{CANARIES['path']} HTTP/9.9\r\nx: {CANARIES['header']}\r\n\r\n".encode())


def _malformed(gate: Gate, data: bytes) -> None:
    """Bytes that are not HTTP, on a decrypted provider connection."""
    host = "api.anthropic.com"
    with tunnel(gate, host) as plain, trust(gate).wrap_socket(plain, server_hostname=host) as wire:
        wire.sendall(data)
        wire.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            while wire.recv(65536):
                pass
