"""Shows 2 and 3: real Claude Code and real Codex through the gate, with money left and without."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from end_to_end.clients import CLIENTS, PROMPT, Client, Run, run, surroundings, through
from end_to_end.raw import trust
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until
from spendgate.standin.script import Script
from spendgate.standin.served import Served

pytestmark = pytest.mark.clients
TEXT = "The canal froze twice in 1963, and the herons left."
ALL = [pytest.param(client, id=client.name) for client in CLIENTS]


def started(client: Client, gate: Gate, folder: Path) -> Run:
    """The client, with a proxy and trust set as `spendgate exec` sets them."""
    return run([*client.command, PROMPT], through(surroundings(folder), gate.proxy, gate.ca))


def new(gate: Gate, before: set[object]) -> list[dict[str, object]]:
    """Rows that were not there before, once all have ended."""
    rows = [row for row in gate.calls() if row["id"] not in before]
    return rows if rows and all(row["ended_at"] for row in rows) else []


@pytest.mark.parametrize("client", ALL)
def test_a_tool_is_metered_exactly(gate: Gate, provider: Provider, folder: Path, client: Client) -> None:
    """Answer unchanged; one row for each billable call with exact counts and cost, person, tool, session; the rest is free."""
    provider.set(Script(text=TEXT, input=2311, cache_read=917, output=53, reasoning=11))
    rows_before, served_before = {row["id"] for row in gate.calls()}, len(provider.served)

    done = started(client, gate, folder)

    assert done.status == 0, done.text
    assert TEXT in done.stdout
    served = {one.response_id: one for one in provider.served[served_before:] if one.billable}
    rows = until(lambda: new(gate, rows_before) or None)
    billed = {row["response_id"]: row for row in rows if row["state"] not in ("free", "unrecognized")}
    assert served
    assert billed.keys() == served.keys()
    for response_id, row in billed.items():
        _exact(row, served[response_id], client)
    rest = [row for row in rows if row["state"] in ("free", "unrecognized")]
    assert {(row["path"], row["state"]) for row in rest if row["state"] == "unrecognized"} == set()
    assert sum(int(str(row["cost_nanos"] or 0)) for row in rest) == 0


def _exact(row: dict[str, object], served: Served, client: Client) -> None:
    usage = served.usage
    assert usage is not None
    assert (row["state"], row["basis"], row["tool"]) == ("settled", "reported", client.tool)
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert (row["cache_read_tokens"] or 0) == usage.cache_read_tokens
    assert row["session"]
    assert row["person"] == getpass.getuser()
    provider = str(row["provider"])
    assert row["cost_nanos"] == listed_nanos(provider, str(served.model), usage, str(row["booked_at"]))


@pytest.fixture
def spent(provider: Provider, folder: Path) -> Iterator[Gate]:
    """A gate whose only budget is spent."""
    with running_gate(folder, provider, policy(folder, limit="$0.01")) as gate:
        body = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate)) as http:
            headers = {"x-standin": "input=10000", "x-api-key": "sk-ant-api03-made-up"}
            answer = http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)
        assert answer.status_code == 200
        gate.row(answer.headers["request-id"])
        yield gate


@pytest.mark.parametrize("client", ALL)
def test_a_spent_budget_stops_a_tool(spent: Gate, provider: Provider, folder: Path, client: Client) -> None:
    """The person reads the rule and the help, the tool stops at once, and no call reached the provider."""
    served_before = len(provider.served)

    done = started(client, spent, folder)

    assert done.status not in (0, None), done.text
    assert "person/day" in done.text
    assert "#ai-budget" in done.text
    reached = [one for one in provider.served[served_before:] if one.billable or one.transport == "websocket"]
    assert reached == []
    refused = [row for row in spent.calls() if row["state"] == "refused"]
    assert 1 <= len(refused) <= 3
    assert {(row["refused_by"], row["refused_why"]) for row in refused} == {("person/day", "spent")}
    first = datetime.fromisoformat(str(refused[0]["started_at"])).timestamp()
    assert done.ended - first < 5
