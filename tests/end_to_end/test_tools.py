"""Shows 2 and 3: real Claude Code and real Codex through the gate, with money left and without."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from end_to_end.clients import CLIENTS, CODEX_WEBSOCKET, PROMPT, Client, Run, run, surroundings
from end_to_end.raw import trust
from end_to_end.world import PRODUCT, Provider, calls, listed_nanos, policy, running_gate, upstream
from spendgate.standin.script import Script
from spendgate.standin.served import Served

pytestmark = pytest.mark.clients
TEXT = "The canal froze twice in 1963, and the herons left."
ASKING = ("/v1/messages", "/v1/responses")
"""What the clients ask for answers."""
ANSWERED = "answered by the gate"
"""Flags of a handshake that reached nobody."""
ALL = [pytest.param(client, id=client.name) for client in CLIENTS]


def started(client: Client, provider: Provider, folder: Path, file: Path) -> Run:
    """The client, as a person tries the product: `spendgate exec -- claude …`, in an empty home."""
    command = [*PRODUCT, "exec", "--policy", str(file), "--state", str(folder / "state")]
    # Hosts that are only tunnelled are the stand-in too: the tool trusted its authority before the gate came.
    before = dict.fromkeys(("SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "NODE_EXTRA_CA_CERTS"), str(provider.ca))
    return run([*command, *upstream(provider), "--", *client.command, PROMPT], surroundings(folder, before))


@pytest.mark.parametrize("client", ALL)
def test_a_tool_is_metered_exactly(provider: Provider, folder: Path, client: Client) -> None:
    """Answer unchanged; one row for each billable call with exact counts and cost, person, tool, session; the rest is free."""
    provider.set(Script(text=TEXT, input=2311, cache_read=917, output=53, reasoning=11))
    before = len(provider.served)

    done = started(client, provider, folder, policy(folder))

    assert done.status == 0, done.text
    assert TEXT in done.stdout
    served = {str(one.response_id): one for one in provider.served[before:] if one.billable}
    rows = calls(folder / "state")
    billed = {str(row["response_id"]): row for row in rows if row["state"] not in ("free", "unrecognized")}
    assert served
    assert billed.keys() == served.keys()
    assert f"{len(served)} billable call" in done.text
    for response_id, row in billed.items():
        _exact(row, served[response_id], client)
    rest = [row for row in rows if row["state"] in ("free", "unrecognized")]
    assert [row["path"] for row in rest if row["state"] == "unrecognized"] == []
    assert sum(row["cost_nanos"] or 0 for row in rest) == 0


def _exact(row: dict[str, Any], served: Served, client: Client) -> None:
    usage = served.usage
    assert usage is not None
    assert (row["state"], row["basis"], row["tool"]) == ("settled", "reported", client.tool)
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert (row["cache_read_tokens"] or 0) == usage.cache_read_tokens
    assert row["session"]
    assert row["person"] == getpass.getuser()
    assert row["cost_nanos"] == listed_nanos(row["provider"], str(served.model), usage, row["booked_at"])


@pytest.fixture
def spent(provider: Provider, folder: Path) -> Path:
    """A policy whose only budget is spent, in the state directory beside it."""
    file = policy(folder, limit="$0.01")
    with running_gate(folder, provider, file) as gate:
        body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate)) as http:
            headers = {"x-standin": "input=10000", "x-api-key": "sk-ant-api03-made-up"}
            answer = http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)
        assert answer.status_code == 200
        gate.row(answer.headers["request-id"])
    return file


@pytest.mark.parametrize("client", ALL)
def test_a_spent_budget_stops_a_tool(spent: Path, provider: Provider, folder: Path, client: Client) -> None:
    """The person reads the rule and the help, the tool stops at once, and no call reached the provider."""
    before = len(provider.served)

    done = started(client, provider, folder, spent)

    assert done.status not in (0, None), done.text
    assert "budget person" in done.text
    assert "#ai-budget" in done.text
    reached = [one.path for one in provider.served[before:] if one.billable or one.transport == "websocket"]
    assert reached == []
    rows = [row for row in calls(folder / "state") if row["path"] in ASKING and row["state"] != "settled"]
    refused = [row for row in rows if row["state"] == "refused"]
    assert 1 <= len(refused) <= 3
    assert {(row["refused_by"], row["refused_why"]) for row in refused} == {("person", "spent")}
    answered = [row for row in rows if row not in refused]
    assert {(row["state"], row["flags"], row["cost_nanos"] or 0) for row in answered} <= {("free", ANSWERED, 0)}
    assert bool(answered) == (client is CODEX_WEBSOCKET)
    first = datetime.fromisoformat(rows[0]["started_at"]).timestamp()
    assert done.ended - first < 5
