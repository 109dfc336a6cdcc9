"""OpenAI Realtime through the gate: each turn is a row, also one that no message of the client began; a spent budget ends it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from end_to_end.sockets import Socket
from end_to_end.world import Gate, Provider, policy, running_gate, until
from spendgate.standin.script import Script

TARGET = "/v1/realtime?model=gpt-realtime"
SCRIPT = Script(input=600, cache_read=400, output=90, reasoning=10)
USED = {
    "input_tokens": 1000, "cache_read_tokens": 400, "input_audio_tokens": 500, "cache_audio_read_tokens": 200,
    "output_tokens": 90, "output_audio_tokens": 80,
}  # fmt: skip


def listed(model: str, at: str, counts: dict[str, int]) -> int:
    """genai-prices' own answer in nano-dollars."""
    when = datetime.fromisoformat(at).astimezone(UTC)
    price = calc_price(ListedUsage(**counts), model, provider_id="openai", genai_request_timestamp=when).total_price
    return int((Decimal(price) * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))


def rows(gate: Gate, state: str, count: int) -> list[dict[str, Any]]:
    """The rows of sessions in this state; waits for so many."""

    def look() -> list[dict[str, Any]] | None:
        found = [row for row in gate.calls() if row["path"] == "/v1/realtime" and row["state"] == state]
        return found if len(found) >= count else None

    return until(look)


@pytest.mark.parametrize("deflate", [True, False])
def test_each_turn_is_a_row(provider: Provider, folder: Path, *, deflate: bool) -> None:
    """Turns begun by a message and by silence, and what was heard, each at its own price."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder)) as gate:
        socket = Socket(gate, deflate=deflate, target=TARGET)
        assert socket.accepted
        first = socket.say("response.create", "response.done")
        assert first[0]["type"] == "session.created"
        second = socket.say("input_audio_buffer.append", "response.done", audio="AAAA" * 1000)
        found = rows(gate, "settled", 3)
        socket.close()
        assert rows(gate, "free", 1)
    turns = [row for row in found if row["response_id"]]
    assert {row["response_id"] for row in turns} == {said[-1]["response"]["id"] for said in (first, second)}
    assert {row["cost_nanos"] for row in turns} == {listed("gpt-realtime", turns[0]["booked_at"], USED)}
    assert {(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) for row in turns} == {(600, 400, 90)}
    heard = [row for row in found if not row["response_id"]]
    seconds = {"audio_seconds": 3, "input_audio_seconds": 3}
    assert [row["cost_nanos"] for row in heard] == [listed("whisper-1", heard[0]["booked_at"], seconds)]
    assert {row["basis"] for row in found} == {"reported"}


def test_a_spent_budget_ends_the_session(provider: Provider, folder: Path) -> None:
    """The turn that spends the last of it is heard; then the client reads why, and the next handshake is refused."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder, limit="$0.01")) as gate:
        socket = Socket(gate, target=TARGET)
        said = socket.say("response.create", "closed")
        socket.close()
        assert [each["type"] for each in said[-3:]] == ["response.done", "error", "closed"]
        assert "budget person" in said[-2]["error"]["message"]
        assert said[-1]["code"] == 1008
        assert "ended: spent" in rows(gate, "free", 1)[0]["flags"]
        again = Socket(gate, target=TARGET)
        again.close()
        assert not again.accepted
        assert rows(gate, "refused", 1)[0]["refused_why"] == "spent"


def test_a_ceiling_takes_no_session(provider: Provider, folder: Path) -> None:
    """What a session costs has no bound."""
    file = policy(folder)
    file.write_text(file.read_text() + "    hold: ceiling\n")
    with running_gate(folder, provider, file) as gate:
        again = Socket(gate, target=TARGET)
        again.close()
        assert not again.accepted
        assert rows(gate, "refused", 1)[0]["refused_why"] == "unbounded"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ('models: [{name: norealtime, deny: ["gpt-realtime*"]}]\n', "rule"),
        ('models: [{name: only, allow: ["claude-*"]}]\n', "rule"),
        ("  - {name: known, per: project, missing: refuse, limit: $1}\n", "rule"),
    ],
)
def test_a_rule_refuses_a_session(provider: Provider, folder: Path, rule: str, why: str) -> None:
    """A session is of the model that its handshake names, and is asked what a call of it is."""
    file = policy(folder, limit="$1000")
    file.write_text(file.read_text() + rule)
    with running_gate(folder, provider, file) as gate:
        socket = Socket(gate, target=TARGET)
        socket.close()
        assert not socket.accepted
        assert rows(gate, "refused", 1)[0]["refused_why"] == why


def test_a_budget_of_the_model_ends_the_session(provider: Provider, folder: Path) -> None:
    """As one of everything does."""
    provider.set(SCRIPT)
    file = policy(folder, limit="$1000")
    file.write_text(file.read_text() + '  - {name: spoken, match: {model: "gpt-realtime*"}, limit: $0.001}\n')
    with running_gate(folder, provider, file) as gate:
        socket = Socket(gate, target=TARGET)
        said = socket.say("response.create", "closed")
        socket.close()
        assert "budget spoken" in said[-2]["error"]["message"]
        again = Socket(gate, target=TARGET)
        again.close()
        assert not again.accepted
