"""OpenAI Realtime through the gate: each turn is a row, also one that no message of the client began; a spent budget ends it."""

from __future__ import annotations

from dataclasses import replace
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
        heard = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        socket.say("session.update", "session.updated", session=heard)
        second = socket.say("input_audio_buffer.append", "response.done", audio="AAAA" * 1000)
        found = rows(gate, "settled", 3)
        socket.close()
        assert rows(gate, "free", 1)
    turns = [row for row in found if row["response_id"]]
    assert {row["response_id"] for row in turns} == {said[-1]["response"]["id"] for said in (first, second)}
    assert {row["cost_nanos"] for row in turns} == {listed("gpt-realtime", turns[0]["booked_at"], USED)}
    assert {(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) for row in turns} == {(600, 400, 90)}
    written = [row for row in found if not row["response_id"]]
    seconds = {"audio_seconds": 3, "input_audio_seconds": 3}
    assert [row["cost_nanos"] for row in written] == [listed("whisper-1", written[0]["booked_at"], seconds)]
    assert {row["basis"] for row in found} == {"reported"}


def turned_away(gate: Gate, organization: str = "") -> dict[str, Any]:
    """The error event that a new session begins and ends with."""
    socket = Socket(gate, target=TARGET, organization=organization)
    assert socket.accepted
    error, closed = socket.hear("closed")
    socket.close()
    assert (error["type"], closed["code"]) == ("error", 1008)
    said: dict[str, Any] = error["error"]
    return said


def test_a_spent_budget_ends_the_session(provider: Provider, folder: Path) -> None:
    """The turn that spends the last of it is heard; then the client reads why, and so does who comes next."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder, limit="$0.01")) as gate:
        before = len(provider.served)
        socket = Socket(gate, target=TARGET)
        said = socket.say("response.create", "closed")
        socket.close()
        assert [each["type"] for each in said[-3:]] == ["response.done", "error", "closed"]
        assert "budget person" in said[-2]["error"]["message"]
        assert said[-1]["code"] == 1008
        assert "ended: spent" in rows(gate, "free", 1)[0]["flags"]
        again = turned_away(gate)
        assert "budget person" in again["message"]
        assert "Ask in #ai-budget. To ask for more, run: `spendgate ask" in again["message"]
        refused = rows(gate, "refused", 1)[0]
        assert (refused["refused_why"], refused["http_status"]) == ("spent", 101)
        assert sum(each.path.startswith("/v1/realtime") for each in provider.served[before:]) == 1


def test_a_policy_that_drops_the_host_ends_the_session(provider: Provider, folder: Path) -> None:
    """Behind what runs, and the client is told to come anew; its turn is settled, and nothing is held."""
    provider.set(SCRIPT)
    file = policy(folder)
    with running_gate(folder, provider, file) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("response.create", "response.done")
        file.write_text(file.read_text() + "capture: {never: [api.openai.com]}\n")
        assert socket.hear("closed")[-1]["code"] == 1012
        socket.close()
        assert "its host is captured no longer" in rows(gate, "free", 1)[0]["flags"]
        assert [row["basis"] for row in rows(gate, "settled", 1)] == ["reported"]
        assert not [row for row in gate.calls() if row["state"] == "open"]


def test_strict_refuses_the_handshake(provider: Provider, folder: Path) -> None:
    """With the status that `refusals: strict` promises."""
    file = policy(folder, more='models: [{name: norealtime, deny: ["gpt-realtime*"]}]\nrefusals: strict\n')
    with running_gate(folder, provider, file) as gate:
        socket = Socket(gate, target=TARGET)
        socket.close()
        assert not socket.accepted
        assert rows(gate, "refused", 1)[0]["http_status"] == 429


def test_a_ceiling_takes_no_session(provider: Provider, folder: Path) -> None:
    """What a session costs has no bound."""
    file = policy(folder)
    file.write_text(file.read_text() + "    hold: ceiling\n")
    with running_gate(folder, provider, file) as gate:
        turned_away(gate)
        assert rows(gate, "refused", 1)[0]["refused_why"] == "unbounded"


PERSONAL = "billing: {accounts: [{provider: openai, account: org-acme}], personal: refuse}\n"


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ('models: [{name: norealtime, deny: ["gpt-realtime*"]}]\n', "norealtime"),
        ('models: [{name: only, allow: ["claude-*"]}]\n', "only"),
        ("  - {name: known, per: project, missing: refuse, limit: $1}\n", "known"),
        ("rates: [{name: each, per: project, missing: refuse, requests: 9 per minute}]\n", "each"),
        (PERSONAL, "personal"),
    ],
    ids=["deny", "allow", "missing", "missing of a rate", "personal"],
)
def test_a_rule_refuses_a_session(provider: Provider, folder: Path, rule: str, named: str) -> None:
    """A session is of the model that its handshake names, and is asked what a call of it is."""
    file = policy(folder, limit="$1000")
    file.write_text(file.read_text() + rule)
    with running_gate(folder, provider, file) as gate:
        assert named in turned_away(gate, "org-elsewhere")["message"]
        assert rows(gate, "refused", 1)[0]["refused_why"] == "rule"


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
        assert "budget spoken" in turned_away(gate)["message"]


def loop(limits: str) -> str:
    """One rate."""
    return f"rates:\n  - {{name: loop, per: person, {limits}}}\n"


def test_each_turn_counts_in_a_rate(provider: Provider, folder: Path) -> None:
    """Three an hour, one of them begun by silence; the fourth is refused by an event, and the session goes on.

    Whoever asks elsewhere is refused, too: what counts is the person's.
    """
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder, more=loop("requests: 3 per hour"))) as gate:
        socket, other = Socket(gate, target=TARGET), Socket(gate, target=TARGET)
        socket.say("response.create", "response.done")
        other.say("response.create", "response.done")
        socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        rows(gate, "settled", 3)
        for each in (socket, other):
            refused = each.say("response.create", "error")[-1]["error"]
            assert "3 of 3 requests per hour are used" in refused["message"]
        # It is refused, not over: what is no call passes.
        assert socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        socket.close()
        other.close()
        assert "3 requests per hour are used" in turned_away(gate)["message"]
        assert {row["refused_by"] for row in rows(gate, "refused", 3)} == {"loop"}


def test_tokens_of_turns_count_in_a_rate(provider: Provider, folder: Path) -> None:
    """690 uncached of each turn, whoever began it; the eighth has no room."""
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder, more=loop("tokens: '5,000 per hour'"))) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("response.create", "response.done")
        for _ in range(6):
            socket.say("input_audio_buffer.append", "response.done", audio="AAAA")
        rows(gate, "settled", 7)
        refused = socket.say("response.create", "error")[-1]["error"]
        socket.close()
    assert "4,830 of 5,000 tokens per hour are used" in refused["message"]


SLOW = replace(SCRIPT, delay_ms=20_000)


def test_turns_at_once(provider: Provider, folder: Path) -> None:
    """With one at once a second turn is refused while the first is running, and runs afterwards."""
    provider.set(SLOW)
    with running_gate(folder, provider, policy(folder, more=loop("parallel: 1, wait: 0s"))) as gate:
        slow, quick = Socket(gate, target=TARGET), Socket(gate, target=TARGET)
        slow.say("response.create", "response.created")
        provider.set(SCRIPT)
        refused = quick.say("response.create", "error")[-1]["error"]
        assert "1 of 1 calls at once are running" in refused["message"]
        slow.close()
        rows(gate, "interrupted", 1)
        assert quick.say("response.create", "response.done")[-1]["type"] == "response.done"
        quick.close()


def test_a_turn_that_is_broken_off_has_one_row(provider: Provider, folder: Path) -> None:
    """A client that hangs up while a turn runs leaves no open hold."""
    provider.set(SLOW)
    with running_gate(folder, provider, policy(folder)) as gate:
        socket = Socket(gate, target=TARGET)
        socket.say("response.create", "response.created")
        assert len(rows(gate, "open", 1)) == 1
        socket.close()
        assert len(rows(gate, "interrupted", 1)) == 1
        assert sorted(row["state"] for row in gate.ended()) == ["free", "interrupted"]  # the session itself is free
