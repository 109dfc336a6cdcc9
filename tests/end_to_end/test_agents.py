"""Shows 3 and 5: more real agents through the gate, with money left and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.agent import Agent
from end_to_end.agents import STOPPING
from end_to_end.client_table import spend
from end_to_end.clients import run, surroundings, through
from end_to_end.world import Provider, policy, running_gate
from spendgate.standin.script import Script

pytestmark = pytest.mark.clients
TEXT = "The herons left in spring."
ALL = [pytest.param(agent, id=agent.name) for agent in STOPPING]


@pytest.mark.parametrize("agent", ALL)
def test_an_agent_is_metered_then_stopped(provider: Provider, folder: Path, agent: Agent) -> None:
    """One settled row with exact counts and the tool for each billable call; with the budget spent, the words within 10 s."""
    command = agent.program()
    provider.set(Script(text=TEXT, input=211, output=13))
    for limit in ("$1,000", "$0.01"):
        place = folder / limit.strip("$")
        place.mkdir()
        with running_gate(place, provider, policy(place, limit=limit)) as gate:
            if limit == "$0.01":
                spend(gate)
            before, ids = len(provider.served), {row["id"] for row in gate.calls()}
            trusted = place / "trusted.pem"
            trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
            env = through(surroundings(place, agent.env), gate.proxy, trusted)
            agent.prepare(Path(env["HOME"]))

            done = run(command, env)

            served = [one for one in provider.served[before:] if one.billable]
            rows = [row for row in gate.calls() if row["id"] not in ids and row["state"] in ("settled", "refused")]
            assert {row["tool"] for row in rows} == {agent.tool}
            if limit == "$0.01":
                assert "#ai-budget" in done.text
                assert done.status not in (0, None)
                assert served == []
                assert 1 <= len(rows) <= 3
            else:
                assert TEXT in done.stdout
                assert {str(row["response_id"]) for row in rows} == {str(one.response_id) for one in served}
                assert {(row["input_tokens"], row["output_tokens"]) for row in rows} == {(211, 13)}
