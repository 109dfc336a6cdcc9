"""Show 2: a real Connect server and client through the gate. Bytes and order equal, both sides at once, metered, refused, cut."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from end_to_end.connecting import COMPOSER, HOST, Said, client, gate_before, no_gate_before, running_server
from end_to_end.world import Gate, listed_nanos, policy, until
from spendgate.usage import Usage

SESSION = "c0ffee00-0000-4000-8000-000000000001"
TURN = Usage(input_tokens=388564 - 346112, cache_read_tokens=346112, cache_write_tokens=0, output_tokens=5870)
"""What the server counts for each turn: the totals of a captured one (facts/wire-formats.md 7.3)."""


def rows(gate: Gate, count: int, **of: str) -> list[dict[str, Any]]:
    """The first so many rows that have ended and hold these values; waits for them."""

    def look() -> list[dict[str, Any]] | None:
        found = [
            row for row in gate.calls() if row["ended_at"] and all(row[name] == value for name, value in of.items())
        ]
        return found if len(found) >= count else None

    return until(look)


def equal(seen: Said, served: Said, messages: int) -> None:
    """Each side received what the other one sent, in order."""
    assert (seen["sent"], seen["messages"]) == (served["received"], served["messages"])
    assert (seen["received"], seen["answers"]) == (served["sent"], served["answers"])
    assert seen["order"] == list(range(messages))


def reported(row: dict[str, Any]) -> None:
    """The row's counts are the server's own, at genai-prices' price."""
    assert (row["state"], row["basis"], row["provider"], row["host"]) == ("settled", "reported", "cursor", HOST)
    assert (row["input_tokens"], row["cache_read_tokens"]) == (TURN.input_tokens, TURN.cache_read_tokens)
    assert (row["output_tokens"], row["reasoning_tokens"]) == (5870, 2736)
    assert row["model"] == f"{COMPOSER}[fast=true]"
    assert row["cost_nanos"] == listed_nanos("cursor", f"{COMPOSER}-fast", TURN, str(row["booked_at"]))
    assert (row["session"], row["tool"]) == (SESSION, "cursor")


@pytest.mark.parametrize(
    ("what", "version", "path"), [("run", "2", "run"), ("sse", "1.1", "runsse"), ("sse", "2", "runsse")]
)
def test_both_sides_talk_at_once(folder: Path, what: str, version: str, path: str) -> None:
    """Every answer comes while the request is open; what is sent is what is received, and the turn's own counts are charged."""
    with running_server(folder) as server, gate_before(server, folder, policy(folder)) as gate:
        seen = client(gate, folder, version, what, messages=30, pause_ms=20)
        assert "error" not in seen, seen["error"]
        equal(seen, server.ended(), 30)
        assert seen["whileOpen"] >= 28
        assert median(seen["waits"]) < 50
        [row] = rows(gate, 1, path=f"/agent.v1.agentservice/{path}")
        reported(row)
        others = [each for each in gate.calls() if each["id"] != row["id"]]
        assert {(each["path"], each["state"]) for each in others} <= {("/aiserver.v1.bidiservice/bidiappend", "free")}


def test_a_turn_without_counts_is_an_estimate(folder: Path) -> None:
    """Builds that send no counts are charged by what was sent and received, and the row says so."""
    with running_server(folder) as server, gate_before(server, folder, policy(folder)) as gate:
        seen = client(gate, folder, "2", "run", messages=20, conversation="no-counts")
        equal(seen, server.ended(), 20)
        [row] = rows(gate, 1, provider="cursor")
        assert (row["state"], row["basis"]) == ("settled", "estimated")
        assert row["cost_nanos"] > 0
        # The first message of 3 KB, and the tool results behind it: two of 5,000 bytes, 17 of 12.
        assert 3000 // 4 + 10000 // 4 < row["input_tokens"] < 4500


def test_free_calls_are_free(folder: Path) -> None:
    """A unary call that no budget counts passes unread."""
    with running_server(folder) as server, gate_before(server, folder, policy(folder)) as gate:
        assert client(gate, folder, "2", "name")["name"] == "HELLO"
        [row] = rows(gate, 1)
        assert (row["path"], row["state"], row["cost_nanos"] or 0) == ("/agent.v1.agentservice/nameagent", "free", 0)


@pytest.mark.parametrize(("what", "version"), [("run", "2"), ("sse", "1.1"), ("sse", "2")])
def test_a_refusal_is_read_by_the_client(folder: Path, what: str, version: str) -> None:
    """A spent budget: the client raises `resource_exhausted` with our words while its request is open; nothing went upstream."""
    file = policy(folder, limit="$0.01")
    with running_server(folder) as server, gate_before(server, folder, file) as gate:
        client(gate, folder, "2", "run")
        server.ended()
        rows(gate, 1, state="settled")
        seen = client(gate, folder, version, what, messages=50, pause_ms=20)
        assert seen["error"]["code"] == "ResourceExhausted"
        assert "budget person" in seen["error"]["message"]
        assert "Ask in #ai-budget." in seen["error"]["message"]
        shown = seen["error"]["shown"]
        assert (shown["title"], shown["detail"]) == ("Spendgate", seen["error"]["message"])
        assert shown["shouldShowImmediateError"] is True
        assert seen["messages"] < 50, "the refusal came only when the request had ended"
        assert {row["state"] for row in gate.calls()[1:]} == {"refused"}
        assert server.said.empty()


def test_a_running_stream_is_cut(folder: Path) -> None:
    """A budget that runs out while both sides talk ends the stream after a whole envelope, and the client reads why."""
    file = policy(folder, limit="$0.05", more="    cut: true\n")
    with running_server(folder) as server, gate_before(server, folder, file) as gate:
        seen = client(gate, folder, "2", "run", messages=400, pause_ms=10, conversation="endless")
        assert seen["error"]["code"] == "ResourceExhausted", seen["error"]
        assert "cut" in seen["error"]["message"]
        assert 0 < seen["answers"] < 800
        served = server.ended()
        assert served["messages"] < 400, "the stream upstream went on"
        [row] = rows(gate, 1, provider="cursor")
        assert (row["state"], row["basis"]) == ("interrupted", "estimated")
        assert row["cost_nanos"] > 0


@pytest.mark.heavy
def test_a_minute_of_both_sides(folder: Path) -> None:
    """Six thousand messages in a minute: equal, in order, each answered while the request is open, as soon as without a gate."""
    with running_server(folder) as server, gate_before(server, folder, policy(folder)) as gate:
        with no_gate_before(server) as plain:
            without = client(plain, folder, "2", "run", messages=1000, pause_ms=10)
        equal(without, server.ended(), 1000)
        seen = client(gate, folder, "2", "run", messages=6000, pause_ms=10)
        assert "error" not in seen, seen["error"]
        equal(seen, server.ended(), 6000)
        assert seen["whileOpen"] >= 5990
        for name, waits in (("without a gate", sorted(without["waits"])), ("with one", sorted(seen["waits"]))):
            most = f"{waits[len(waits) * 99 // 100]:.1f} ms at 99 of 100, {waits[-1]:.1f} ms at most"
            print(f"{name}: answers after {median(waits):.1f} ms in the middle, {most}")
        assert median(seen["waits"]) < median(without["waits"]) + 10
        assert sorted(seen["waits"])[5940] < 250
        reported(rows(gate, 1, provider="cursor")[0])
