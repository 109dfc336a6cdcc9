"""Shows 3 and 5: more real agents and SDKs through the gate, with money left and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from end_to_end.agent import Agent
from end_to_end.agents import AGENTS, COPILOT_WITH_A_SEAT
from end_to_end.client_table import PATIENCE_S, spend
from end_to_end.clients import INSTALL_S, Run, run, surroundings, through
from end_to_end.world import Gate, Provider, policy, running_gate
from spendgate.standin.script import Script
from spendgate.standin.served import Served

# Whoever comes first installs the client, and a second worker waits for that.
pytestmark = [pytest.mark.clients, pytest.mark.timeout(300 + 2 * INSTALL_S)]
TEXT = "The herons left in spring."
FIRST_START_S = 60.0
"""Some set up a home first; one that shows nothing is not waited for so long."""
ALL = [
    pytest.param(agent, id=agent.name, marks=[pytest.mark.heavy] * agent.heavy)
    for agent in (*AGENTS, COPILOT_WITH_A_SEAT)
]


@pytest.mark.parametrize("agent", ALL)
def test_an_agent_is_metered_then_stopped(provider: Provider, folder: Path, agent: Agent) -> None:
    """One settled row with exact counts and the tool for each billable call; with the budget spent, the words and an end."""
    agent.program()
    provider.set(Script(text=TEXT, input=211, output=13))
    with running_gate(folder, provider, policy(folder)) as gate:
        done, served, rows = _through(gate, provider, folder / "rich", agent)
        assert TEXT in done.text or not agent.talks
        assert {str(row["response_id"]) for row in rows} == {str(one.response_id) for one in served}
        assert {(row["tool"], row["input_tokens"], row["output_tokens"]) for row in rows} == {(agent.tool, 211, 13)}

    (poor := folder / "poor").mkdir()
    with running_gate(poor, provider, policy(poor, limit="$0.01")) as gate:
        spend(gate)
        done, served, rows = _through(gate, provider, poor / "client", agent)
        assert served == []
        assert {row["tool"] for row in rows} == {agent.tool}
        assert 1 <= len(rows) <= 3
        if agent.unshown:
            assert "#ai-budget" not in done.text, f"it shows the text now, so this is no longer true: {agent.unshown}"
        else:
            assert "#ai-budget" in done.text
            assert done.status is not None


def _through(
    gate: Gate, provider: Provider, place: Path, agent: Agent
) -> tuple[Run, Sequence[Served], list[dict[str, object]]]:
    """What the agent did through this gate, the answers it was given and its rows."""
    place.mkdir()
    before, ids = len(provider.served), {row["id"] for row in gate.calls()}
    trusted = place / "trusted.pem"
    trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
    env = through(surroundings(place, agent.env), gate.proxy, trusted)
    agent.prepare(Path(env["HOME"]))
    done = run(agent.program(), env, patience_s=PATIENCE_S if agent.unshown else FIRST_START_S)
    served = [one for one in provider.served[before:] if one.billable]
    rows = [row for row in gate.ended() if row["id"] not in ids and row["state"] in ("settled", "refused")]
    return done, served, rows
