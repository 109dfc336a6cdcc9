"""Responses over WebSocket: messages equal, one row for each `response.create`, a spent budget said in a frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from end_to_end.sockets import Socket, digest
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until
from spendgate.standin.script import Script

MULTIBYTE = "Grüße — 価格は九十九円 🦢 " * 40


def row_of(gate: Gate, response_id: str) -> dict[str, Any]:
    """The ended row of one response."""
    return until(lambda: next((r for r in gate.calls() if r["response_id"] == response_id and r["ended_at"]), None))


@pytest.mark.parametrize("deflate", [pytest.param(True, id="deflate"), pytest.param(False, id="plain")])
def test_each_response_is_a_row_of_its_own(gate: Gate, provider: Provider, *, deflate: bool) -> None:
    """Three responses on one connection: every message as it was sent, exact counts and costs, one session."""
    socket = Socket(gate, deflate=deflate)
    assert socket.accepted
    rows = []
    for output in (31, 977, 5):
        provider.set(Script(text=MULTIBYTE, input=700, cache_read=100, output=output, reasoning=3, events=25))
        messages = socket.ask()
        response_id = json.loads(messages[-1])["response"]["id"]
        served = provider.ended(response_id)
        assert digest(messages) == served.sha256
        row = row_of(gate, response_id)
        assert (row["state"], row["basis"], row["tool"]) == ("settled", "reported", "codex")
        assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (700, 100, output)
        assert served.usage is not None
        assert row["cost_nanos"] == listed_nanos("openai", "gpt-5.1", served.usage, row["booked_at"])
        rows.append(row)
    socket.close()
    assert len({row["id"] for row in rows}) == 3
    assert {row["session"] for row in rows} == {"0199aaaa-1111"}


def test_a_budget_that_ends_on_an_open_connection(provider: Provider, folder: Path) -> None:
    """The response that spends the last of it is answered; the next one is refused by a frame, and never sent."""
    provider.set(Script(input=10_000, output=100))
    with running_gate(folder, provider, policy(folder, limit="$0.01")) as gate:
        socket = Socket(gate)
        first = socket.ask()
        row_of(gate, json.loads(first[-1])["response"]["id"])
        sent = len([one for one in provider.served if one.billable])
        refusal = socket.ask()
        socket.close()
        rows = until(lambda: [row for row in gate.calls() if row["state"] == "refused"] or None)
    assert len([one for one in provider.served if one.billable]) == sent
    frame = json.loads(refusal[-1])
    # Told by `originator` alone: this client sends no User-Agent.
    assert (frame["type"], frame["status"], frame["error"]["type"]) == ("error", 429, "usage_limit_reached")
    assert "budget person" in frame["headers"]["x-codex-promo-message"]
    assert not frame["headers"]["x-codex-promo-message"].endswith(".")
    assert [(row["refused_by"], row["refused_why"]) for row in rows] == [("person", "spent")]


def test_a_ceiling_is_asked_of_each_response(provider: Provider, folder: Path) -> None:
    """A handshake asks for nothing yet: what has a bound is answered on it, what has none is refused by a frame."""
    file = policy(folder)
    file.write_text(file.read_text() + "    hold: ceiling\n")
    with running_gate(folder, provider, file) as gate:
        socket = Socket(gate)
        assert socket.accepted
        bounded = json.loads(socket.ask(max_output_tokens=200)[-1])
        assert bounded["type"] == "response.completed"
        assert row_of(gate, bounded["response"]["id"])["state"] == "settled"
        unbounded = json.loads(socket.ask(tools=[{"type": "web_search"}])[-1])
        socket.close()
        assert "nothing bounds this one" in json.dumps(unbounded)
        refused = until(lambda: next((row for row in gate.calls() if row["state"] == "refused"), None))
        assert (refused["refused_why"], refused["http_status"]) == ("unbounded", 429)
