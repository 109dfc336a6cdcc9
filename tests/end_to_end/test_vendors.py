"""Apps whose answers the stand-in does not speak, canned by host: Kiro, Zed, Codex' backend, claude.ai past its plan."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import Gate, listed_nanos, policy, started_gate, until
from spendgate.providers.eventstream import frame
from spendgate.standin.certificates import made
from spendgate.usage import Usage

KIRO, ZED, CHATGPT, CLAUDE = "q.us-east-1.amazonaws.com", "cloud.zed.dev", "chatgpt.com", "claude.ai"
HOSTS = (KIRO, ZED, CHATGPT, CLAUDE)
ORG, CONVERSATION = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"
LIST = {"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050}
COMPLETED = {"id": "resp_1", "model": "gpt-5.3-codex", "status": "completed", "usage": LIST}


def event(kind: str, **payload: object) -> bytes:
    """One frame of Kiro's."""
    return frame({":event-type": kind, ":message-type": "event"}, json.dumps(payload).encode())


def lines(*events: dict[str, object]) -> bytes:
    """A stream of events."""
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)


@dataclass
class Canned:
    """An HTTPS server that gives each host its answer: content type, further fields, body."""

    answers: dict[str, tuple[str, dict[str, str], bytes]] = field(default_factory=dict)
    port: int = 0
    ca: bytes = b""

    @contextlib.contextmanager
    def running(self, folder: Path) -> Iterator[Canned]:
        """In a thread of its own."""
        canned = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                kind, more, body = canned.answers[self.headers["host"]]
                self.send_response(200)
                for name, value in {"content-type": kind, "transfer-encoding": "chunked", **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                for byte in body:
                    self.wfile.write(b"1\r\n" + bytes([byte]) + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
                """Nothing."""

        pem, self.ca = made(HOSTS, dt.datetime.now(dt.UTC))
        (folder / "server.pem").write_bytes(pem)
        (folder / "canned-ca.pem").write_bytes(self.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Canned, Gate]]:
    """The server, and a gate in front of it."""
    folder = tmp_path_factory.mktemp("vendors")
    with Canned().running(folder) as canned:
        options = [f"connect_to={name}=127.0.0.1:{canned.port}" for name in HOSTS]
        options.append(f"ssl_verify_upstream_trusted_ca={folder / 'canned-ca.pem'}")
        sets = [word for option in options for word in ("--set", option)]
        with started_gate(folder, policy(folder), *sets) as gate:
            yield canned, gate


def asked(
    place: tuple[Canned, Gate], url: str, answer: tuple[str, dict[str, str], bytes], said: dict[str, object]
) -> Any:
    """One call: its bytes come as they were sent, and this is its row."""
    canned, gate = place
    host = url.split("/")[2]
    canned.answers[host] = answer
    before = {row["id"] for row in gate.calls()}
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate)) as client:
        got = client.post(url, json=said)
    assert (got.status_code, got.content) == (200, answer[2])

    def look() -> Any:
        rows = [row for row in gate.calls() if row["id"] not in before and row["ended_at"]]
        return rows[0] if rows else None

    return until(look)


def test_kiro(place: tuple[Canned, Gate]) -> None:
    """A turn of a plan: an estimate, at no cost, with the credits that it took."""
    body = event("assistantResponseEvent", content="Hello there") + event("meteringEvent", usage=0.05, unit="credit")
    answer = ("application/vnd.amazon.eventstream", {}, body)
    message = {"userInputMessage": {"content": "hi", "modelId": "claude-sonnet-4.5"}}
    said = {"conversationState": {"conversationId": CONVERSATION, "currentMessage": message, "history": []}}
    row = asked(place, f"https://{KIRO}/generateAssistantResponse", answer, said)
    assert (row["provider"], row["billing"], row["basis"], row["cost_nanos"]) == (
        "amazon-q",
        "subscription",
        "estimated",
        0,
    )
    assert (row["model_requested"], row["session"]) == ("claude-sonnet-4.5", CONVERSATION)
    assert row["value_nanos"] > 0
    assert "credits=0.05" in row["flags"]


@pytest.mark.parametrize(
    ("vendor", "model", "prices"),
    [("open_ai", "gpt-5.3-codex", "openai"), ("anthropic", "claude-sonnet-4-6", "anthropic")],
)
def test_zeds_models_cost_what_their_vendors_list_says(
    place: tuple[Canned, Gate], vendor: str, model: str, prices: str
) -> None:
    """GPT models too, which Anthropic's list lacks."""
    if vendor == "open_ai":
        events: list[dict[str, object]] = [
            {"type": "response.created", "response": {"id": "resp_1", "model": model}},
            {"type": "response.completed", "response": {**COMPLETED, "model": model}},
        ]
    else:
        start = {"id": "m", "model": model, "usage": {"input_tokens": 1000, "output_tokens": 1}}
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}}
        events = [{"type": "message_start", "message": start}, delta, {"type": "message_stop"}]
    body = b"".join(json.dumps({"event": each}, separators=(",", ":")).encode() + b"\n" for each in events)
    said = {"thread_id": "t", "provider": vendor, "model": model, "provider_request": {}}
    row = asked(place, f"https://{ZED}/completions", ("application/json", {}, body), said)
    assert (row["provider"], row["basis"], row["model"]) == ("zed", "reported", model)
    usage = Usage(input_tokens=1000, output_tokens=50)
    assert row["cost_nanos"] == listed_nanos(prices, model, usage, str(row["booked_at"]))
    assert "unknown price" not in row["flags"]


def test_codex_is_told_by_its_backend_which_model_serves(place: tuple[Canned, Gate]) -> None:
    """The head's word goes before the body's."""
    body = lines({"type": "response.completed", "response": COMPLETED})
    answer = ("text/event-stream", {"openai-model": "gpt-5.1-codex-mini"}, body)
    row = asked(
        place,
        f"https://{CHATGPT}/backend-api/codex/responses",
        answer,
        {"model": "gpt-5.3-codex", "stream": True, "input": "hi"},
    )
    assert (row["model_requested"], row["model"], row["basis"]) == ("gpt-5.3-codex", "gpt-5.1-codex-mini", "reported")


def test_claude_ai_past_its_plan_costs_money(place: tuple[Canned, Gate]) -> None:
    """From the answer on that says so; each turn reads what was said before."""
    limit = {"type": "message_limit", "message_limit": {"type": "within_limit", "overageInUse": True}}
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 300}}
    start = {"type": "message_start", "message": {"id": "m", "model": "claude-sonnet-4-6"}}
    url = f"https://{CLAUDE}/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/completion"
    rows = [
        asked(
            place, url, ("text/event-stream", {}, lines(start, text, *more, {"type": "message_stop"})), {"prompt": "hi"}
        )
        for more in ((), (limit,), ())
    ]
    assert [row["billing"] for row in rows] == ["subscription", "subscription", "overage"]
    assert ["beyond the plan" in row["flags"] for row in rows] == [False, True, False]
    assert [row["cost_nanos"] for row in rows] == [0, rows[1]["value_nanos"], rows[2]["value_nanos"]]
    assert rows[1]["cost_nanos"] > 0
    assert rows[2]["input_tokens"] > rows[1]["input_tokens"] > rows[0]["input_tokens"]
    assert {row["account"] for row in rows} == {ORG}
