"""Show 10 over every wire: nothing of what was asked and answered, of keys and odd names is in what the product writes or prints.

Also where an answer breaks off, is of no format or an error, where a call is refused, and where a name that is kept (a model, an
id, an account) is a prompt.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from urllib.parse import quote

import httpx2

from end_to_end.canaries import CANARIES, leaks
from end_to_end.mirror import MODES, running_mirror
from end_to_end.raw import trust
from end_to_end.sockets import Socket
from end_to_end.test_secrets import written
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate, started_gate
from load.wires import WIRES, Wire, envelope
from spendgate.providers.protobuf import encoded
from spendgate.standin.script import Script

PROMPT, ANSWER = (f"{CANARIES[name]} said\nin words \x1b[31m" for name in ("prompt", "answer"))
WIDE = f"{CANARIES['model']} " * 400
"""10 kB where a name is expected."""
ODD = f"{CANARIES['model']}\r\n\x1b]0;{CANARIES['model']}\x07 and more"
HEADERS = {
    "authorization": f"Bearer sk-ant-api03-{CANARIES['key']}",
    "x-api-key": f"sk-{CANARIES['key']}",
    "x-goog-api-key": CANARIES["key"],
    "cookie": f"sessionKey={CANARIES['header']}",
    "x-custom": CANARIES["header"],
    "user-agent": f"{CANARIES['header']}/1 ({CANARIES['header']})",
    "x-session-id": f"{CANARIES['header']} said so",
    "x-claude-code-agent-id": f"{CANARIES['header']} again",
    "openai-organization": f"sk-{CANARIES['key']}",
    "chatgpt-account-id": f"{CANARIES['header']} {CANARIES['key']}",
}


def at(dialect: str, host: str, target: str) -> Wire:
    """A dialect's wire at another host."""
    return dataclasses.replace(next(wire for wire in WIRES if wire.dialect == dialect), host=host, target=target)


_VERTEX = "/v1/projects/p/locations/us-east5/publishers"
HTTP_WIRES = (
    *(wire for wire in WIRES if wire.dialect != "openai-realtime"),
    at("openai-chat", "api.business.githubcopilot.com", "/chat/completions"),
    at("anthropic-messages", "api.githubcopilot.com", "/v1/messages"),
    at("openai-responses", "chatgpt.com", "/backend-api/codex/responses"),
    at("openai-chat", "openrouter.ai", "/api/v1/chat/completions"),
    at("openai-responses", "api.x.ai", "/v1/responses"),
    at("anthropic-messages", "api.deepseek.com", "/anthropic/v1/messages"),
    at("gemini", "us-east5-aiplatform.googleapis.com", f"{_VERTEX}/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
    at("anthropic-messages", "us-east5-aiplatform.googleapis.com",
       f"{_VERTEX}/anthropic/models/claude-sonnet-4-6:streamRawPredict"),
)  # fmt: skip


def ask(http: httpx2.Client, wire: Wire, body: bytes, mode: str, target: str | None = None) -> None:
    """One call, whatever comes of it."""
    url = f"https://{wire.host}{target or wire.target}"
    headers = {"content-type": wire.asks, "x-mode": mode}
    with contextlib.suppress(httpx2.TransportError):
        http.request(wire.method, url, content=body if wire.method == "POST" else None, headers=headers)


def oddly(wire: Wire, model: str) -> tuple[bytes, str]:
    """A request of this wire for this model, and its target."""
    target = wire.target.replace("gemini-2.5-pro", quote(model)).replace(
        "us.anthropic.claude-sonnet-4-6-v1%3A0", quote(model)
    )
    if wire.dialect == "cursor":
        return envelope(encoded((1, encoded((5, model), (16, model), (9, encoded((1, model))))))), target
    if wire.dialect == "windsurf":
        return envelope(encoded((21, model), (22, model), (16, model))), target
    body = wire.body(PROMPT)
    if not body.startswith(b"{"):
        return body.replace(b"gpt-4o-transcribe", model.encode()), target
    fields = {
        **json.loads(body),
        "model": model,
        "project": model,
        "conversation_id": model,
        "metadata": {"user_id": model},
    }
    return json.dumps(fields).encode(), target


def talk(gate: Gate) -> None:
    """Every wire in every mode, and with names that are none."""
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=HEADERS, timeout=PATIENCE_S) as http:
        for wire in HTTP_WIRES:
            for mode in MODES:
                ask(http, wire, wire.body(PROMPT), mode)
            whole, broken = wire.body(PROMPT), CANARIES["broken"].encode()
            for body in (f"{{{PROMPT}".encode(), whole[: len(whole) // 2] + broken, b"\x1f\x8b" + broken + whole):
                ask(http, wire, body, "whole")
            for model in (WIDE, ODD):
                ask(http, wire, *oddly(wire, model)[:1], "odd", oddly(wire, model)[1])
            ask(http, wire, wire.body(PROMPT), "whole", f"{wire.path}?key={CANARIES['query']}")
            ask(http, wire, wire.body(PROMPT), "whole", f"{wire.path}/{CANARIES['path']}")
            ask(http, wire, wire.body(PROMPT), "whole", f"/{CANARIES['path']}/{quote(PROMPT)}")


def check(folder: Path, gate: Gate) -> None:
    """Nothing leaks, and what is kept is short and harmless on a terminal."""
    rows = gate.ended()
    assert leaks(written(folder, gate)) == []
    for row in rows:
        for name, value in row.items():
            assert not isinstance(value, str) or (len(value) <= 600 and value.isprintable()), (name, value)


def test_no_wire_leaks(folder: Path) -> None:
    """Answered, cut, of no format, an error, and by names that are none."""
    with running_mirror(folder, HTTP_WIRES, ANSWER) as options, started_gate(folder, policy(folder), *options) as gate:
        talk(gate)
        rows = gate.ended()
        dialects = {row["dialect"] for row in rows if row["state"] == "settled"}
        check(folder, gate)
    assert leaks({"output": bytes(gate.output)}) == []
    assert dialects >= {wire.dialect for wire in HTTP_WIRES}
    assert any(str(row["model_requested"]).startswith("odd:") for row in rows)


def test_no_refusal_leaks(folder: Path) -> None:
    """The same where there is no money, and where a rule refuses every model."""
    rules = "models:\n  - {name: none, deny: ['*']}\n"
    for more in ("", rules):
        place = folder / ("rules" if more else "money")
        place.mkdir()
        file = policy(place, limit="$0.0001", more=more)
        with running_mirror(place, HTTP_WIRES, ANSWER) as options, started_gate(place, file, *options) as gate:
            talk(gate)
            # What a plan pays for no budget refuses; reading results back costs nothing.
            refused = [row for row in gate.ended() if row["state"] == "refused" or row["billing"] == "subscription"]
            check(place, gate)
        assert leaks({"output": bytes(gate.output)}) == []
        assert {row["dialect"] for row in refused} >= {wire.dialect for wire in HTTP_WIRES if not wire.result}


def test_no_socket_leaks(provider: Provider, folder: Path) -> None:
    """Responses and realtime sessions over a WebSocket, and what was ordered and is read back later."""
    provider.set(Script(text=CANARIES["answer"]))
    with running_gate(folder, provider, policy(folder)) as gate:
        responses = Socket(gate)
        responses.ask(input=PROMPT, instructions=PROMPT, metadata={"note": PROMPT})
        responses.ask(input=PROMPT, model=ODD)
        responses.close()
        session = Socket(gate, target=f"/v1/realtime?model={quote(ODD)}")
        session.say("response.create", "response.done", response={"instructions": PROMPT})
        session.close()
        session = Socket(gate, target="/v1/realtime?model=gpt-realtime")
        session.say("response.create", "response.done", response={"instructions": PROMPT})
        session.close()
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=HEADERS, timeout=PATIENCE_S) as http:
            params = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]}
            order = {"requests": [{"custom_id": CANARIES["path"], "params": params}]}
            made = http.post("https://api.anthropic.com/v1/messages/batches", json=order).json()
            http.get(f"https://api.anthropic.com/v1/messages/batches/{made['id']}/results")
            asked = {"model": "gpt-5.1", "input": PROMPT, "background": True}
            later = http.post("https://api.openai.com/v1/responses", json=asked).json()
            for _ in range(2):
                http.get(f"https://api.openai.com/v1/responses/{later['id']}")
        check(folder, gate)
    assert leaks({"output": bytes(gate.output)}) == []
