"""Responses over WebSocket: messages equal, one row for each `response.create`, a spent budget said in a frame."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end.sockets import Socket, digest
from end_to_end.world import PRODUCT, Gate, Provider, environment, listed_nanos, policy, running_gate, until
from spendgate.standin import openai
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


def test_what_the_server_begins_by_itself_is_held_and_charged(provider: Provider, folder: Path) -> None:
    """A steer is a call: its response, for which no create was sent, has its row, hold and cost, in its lane, too; with the
    budget spent it is refused in its own words, and never sent."""
    provider.set(Script(input=10_000, output=100))
    with running_gate(folder, provider, policy(folder, limit="$0.05")) as gate:
        socket = Socket(gate)
        before = len([one for one in provider.served if one.billable])
        first = json.loads(socket.ask(stream_id="b")[-1])["response"]["id"]
        *_, done = socket.say("response.steer", "response.completed", previous_response_id=first, input="shorter")
        assert done["stream_id"] == "b" and done["response"]["previous_response_id"] == first
        provider.set(Script(input=10_000, output=3_000))
        last = json.loads(socket.ask()[-1])["response"]["id"]
        rows = [row_of(gate, name) for name in (first, done["response"]["id"], last)]
        [refusal] = socket.say("response.steer", "response.steer.failed", previous_response_id=last, input="longer")
        socket.close()
        refused = until(lambda: [row for row in gate.calls() if row["state"] == "refused"] or None)
    assert len({row["id"] for row in rows}) == len([one for one in provider.served if one.billable]) - before == 3
    for row in rows:
        usage = provider.ended(row["response_id"]).usage
        assert usage is not None and row["held_nanos"] > 0
        assert row["cost_nanos"] == listed_nanos("openai", "gpt-5.1", usage, row["booked_at"])
    assert (refusal["steer"]["input"], refusal["error"]["code"]) == ("longer", "project_spend_limit_exceeded")
    assert [(row["refused_by"], row["model_requested"]) for row in refused] == [("person", "gpt-5.1")]


@pytest.mark.parametrize("late", [False, True], ids=["the last word", "counted after all"])
def test_an_error_frees_its_hold_on_an_open_connection(
    provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """Nothing is held any more while the client stays; counts that come after it make the two rows the cost."""
    served = openai.response_events

    def failing(script: Script, model: str, response_id: str) -> Iterator[dict[str, object]]:
        *events, completed = served(script, model, response_id)
        yield from events[:10]
        yield {"type": "error", "error": {"type": "server_error", "message": "made up"}}
        if late:
            yield completed

    monkeypatch.setattr(openai, "response_events", failing)
    provider.set(Script(input=700, output=977, events=25))
    with running_gate(folder, provider, policy(folder)) as gate:
        socket = Socket(gate)
        messages = socket.ask()
        row, *more = until(lambda: rows if len(rows := _responses(gate)) == 1 + late else None)
        status = [*PRODUCT, "status", "--format", "json", "--state", str(gate.state)]
        told = json.loads(subprocess.run(status, check=True, capture_output=True, env=environment(folder)).stdout)
        socket.close()
    assert json.loads(messages[-1])["type"] == "error"
    assert (row["state"], row["basis"]) == ("settled", "estimated") and row["cost_nanos"] > 0
    assert [(budget["held_nanos"], budget["open_calls"]) for budget in told["budgets"]] == [(0, 0)]
    if late:
        usage = provider.ended(row["response_id"]).usage
        assert usage is not None
        cost = row["cost_nanos"] + more[0]["cost_nanos"]
        assert cost == listed_nanos("openai", "gpt-5.1", usage, row["booked_at"])
        assert told["budgets"][0]["spent_nanos"] == cost


def _responses(gate: Gate) -> list[dict[str, Any]]:
    """The ended rows of what was answered under a response id, oldest first."""
    return [row for row in gate.calls() if row["response_id"] and row["ended_at"]]
