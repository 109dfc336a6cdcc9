"""Show 3: real clients with real sub-agents through the gate. Their calls are linked as far as the wire shows it.

The stand-in answers the first request that offers the client's own tool for it with a call of that tool; the rest is real.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from end_to_end.agent import Agent
from end_to_end.agents import COPILOT_CLI, COPILOT_WITH_A_SEAT, DEEPAGENTS, GEMINI_CLI, OPENCODE, QWEN_CODE
from end_to_end.clients import CLAUDE_CODE, CODEX_HTTP, CODEX_WEBSOCKET, PROMPT, Client, run, surroundings, through
from end_to_end.world import PRODUCT, Gate, Provider, environment, policy, running_gate
from spendgate.standin.script import Script

pytestmark = pytest.mark.clients
TASK = "count the files"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A client's own tool that starts a sub-agent."""

    name: str
    arguments: dict[str, str]

    def script(self, when: str = PROMPT, delay_ms: int = 0) -> Script:
        """Calls it where the request holds this text."""
        return Script(tool=self.name, arguments=json.dumps(self.arguments), when=when, delay_ms=delay_ms)


CLAUDE_TOOL = Tool("Agent", {"description": "look", "prompt": TASK, "subagent_type": "general-purpose"})
CODEX_TOOL = Tool("multi_agent_v1/spawn_agent", {"message": TASK})
OPENCODE_TOOL = Tool("task", {"description": "look", "prompt": TASK, "subagent_type": "general"})
COPILOT_TOOL = Tool("task", {"description": "look", "prompt": TASK, "agent_type": "explore", "name": "looker"})
SILENT = (
    (GEMINI_CLI, Tool("invoke_agent", {"agent_name": "generalist", "prompt": TASK})),
    (QWEN_CODE, Tool("agent", {"description": "look", "prompt": TASK, "subagent_type": "general-purpose"})),
    (DEEPAGENTS, Tool("task", {"description": TASK, "subagent_type": "general-purpose"})),
)


def _param(agent: Agent, *more: object) -> Any:
    return pytest.param(agent, *more, id=agent.name, marks=[pytest.mark.heavy] * agent.heavy)


@pytest.fixture
def gate(provider: Provider, folder: Path) -> Any:
    """A gate of the test's own."""
    with running_gate(folder, provider, policy(folder)) as running:
        yield running


def _rows(
    gate: Gate, provider: Provider, command: Sequence[str], env: dict[str, str], prepare: Callable[[Path], None]
) -> list[Row]:
    """The billed rows of one run."""
    home = gate.state.parent / "client"
    home.mkdir(exist_ok=True)
    trusted = home / "trusted.pem"
    trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
    env = through(surroundings(home, env), gate.proxy, trusted)
    prepare(Path(env["HOME"]))
    done = run(command, env)
    assert done.status == 0, done.text
    return [row for row in gate.ended() if row["state"] not in ("free", "unrecognized")]


def _of_client(gate: Gate, provider: Provider, client: Client) -> list[Row]:
    return _rows(gate, provider, (*client.command, PROMPT), {}, lambda _: None)


def _of_agent(gate: Gate, provider: Provider, agent: Agent) -> list[Row]:
    return _rows(gate, provider, agent.program(), dict(agent.env), agent.prepare)


def _linked(rows: list[Row]) -> list[Row]:
    """The sub-agents' rows, after what holds for every client: one session, and a parent's row behind each."""
    by_id = {row["id"]: row for row in rows}
    assert len({row["session"] for row in rows}) == 1
    below = [row for row in rows if row["agent"] is not None]
    assert {row["parent_call"] for row in rows if row not in below} == {None}
    for row in below:
        parent = by_id[row["parent_call"]]
        assert parent["agent"] != row["agent"]
        assert parent["started_at"] <= row["started_at"]
        assert len({each["parent_call"] for each in below if each["agent"] == row["agent"]}) == 1
    assert below
    return below


def test_claude_code_down_to_the_sub_agents_of_sub_agents(gate: Gate, provider: Provider) -> None:
    """Each agent names itself, and its parent where that is not the main one."""
    again = Tool(CLAUDE_TOOL.name, {**CLAUDE_TOOL.arguments, "prompt": f"{PROMPT}: {TASK}"})
    provider.set(again.script())

    rows = _of_client(gate, provider, CLAUDE_CODE)

    below, by_id = _linked(rows), {row["id"]: row for row in rows}
    agents = {row["agent"]: row["parent_agent"] for row in below}
    assert list(agents.values()).count(None) == 1
    assert len(agents) >= 2
    assert set(agents.values()) - {None} < agents.keys()
    for row in below:
        assert by_id[row["parent_call"]]["agent"] == row["parent_agent"]
    assert {row["agent_name"] for row in rows} == {None}


@pytest.mark.heavy
@pytest.mark.parametrize("client", [CODEX_HTTP, CODEX_WEBSOCKET], ids=lambda each: each.name)
def test_codex(gate: Gate, provider: Provider, client: Client) -> None:
    """A sub-agent is a thread of the main one's session; it says what it is for."""
    # Codex ends with its main agent, whose second answer therefore comes late: later, where this machine is slow.
    rows: list[Row] = []
    for delay_ms in (6_000, 20_000, 60_000):
        provider.set(CODEX_TOOL.script(delay_ms=delay_ms))
        before = {row["id"] for row in rows}
        rows = _of_client(gate, provider, client)
        this_run = [row for row in rows if row["id"] not in before]
        if any(row["agent"] for row in this_run):
            break

    below = _linked(this_run)
    assert {(row["agent_name"], row["parent_agent"]) for row in below} == {("collab_spawn", None)}
    assert below[0]["agent"] != below[0]["session"]
    # How often the main agent asks again while it waits depends on how fast this machine is.
    mains = [row["agent_name"] for row in this_run if row["agent"] is None]
    assert len(mains) >= 2
    assert set(mains) == {None}


def test_codex_review(gate: Gate, provider: Provider) -> None:
    """The reviewer is a sub-agent of a session whose main agent asks nothing, so that there is no call to point to."""
    command = ("codex", "exec", "review", *CODEX_HTTP.command[2:3], *CODEX_HTTP.command[5:], PROMPT)

    rows = _rows(gate, provider, command, {}, lambda _: None)

    (row,) = rows
    assert (row["agent_name"], row["parent_agent"], row["parent_call"]) == ("review", None, None)
    assert row["agent"] not in (None, row["session"])


def test_opencode_and_what_the_commands_say(gate: Gate, provider: Provider) -> None:
    """A sub-agent has a session of its own on the wire; here it counts in its parent's."""
    provider.set(OPENCODE_TOOL.script())

    rows = _of_agent(gate, provider, OPENCODE)

    (row,) = _linked(rows)
    assert row["agent"].startswith("ses_")
    assert row["agent"] != row["session"]
    assert row["parent_agent"] is None
    (total,) = json.loads(_said(gate, "spend", "--by", "session", "--format", "json"))
    assert (total["session"], total["calls"]) == (row["session"], len(rows))
    assert total["cost_nanos"] == sum(each["cost_nanos"] for each in rows)
    assert f"{row['agent'][:13]} of main" in _said(gate, "calls")
    assert row["parent_call"] in _said(gate, "calls", "show", row["id"])


@pytest.mark.heavy
def test_copilot_cli_with_an_account(gate: Gate, provider: Provider) -> None:
    """Copilot names every agent; who has a parent is a sub-agent, and the parent is found by its name."""
    provider.set(COPILOT_TOOL.script())

    rows = _of_agent(gate, provider, COPILOT_WITH_A_SEAT)

    (row,) = _linked(rows)
    assert {each["tool"] for each in rows} == {"copilot-cli"}
    assert row["agent_name"] == "conversation-subagent"
    assert row["parent_agent"] not in (None, row["agent"])
    assert {each["agent_name"] for each in rows if each is not row} == {None}


@pytest.mark.heavy
def test_copilot_cli_with_a_provider_of_ones_own(gate: Gate, provider: Provider) -> None:
    """It says that a sub-agent asks, but not which; what holds the calls together is the process."""
    provider.set(COPILOT_TOOL.script())

    rows = _of_agent(gate, provider, COPILOT_CLI)

    assert [row["agent_name"] for row in rows] == [None, "conversation-subagent", None]
    assert {(row["agent"], row["parent_agent"], row["parent_call"]) for row in rows} == {(None, None, None)}
    assert len({row["session"] for row in rows}) == 1


@pytest.mark.parametrize(("agent", "tool"), [_param(*each) for each in SILENT])
def test_who_says_nothing_is_not_guessed_at(gate: Gate, provider: Provider, agent: Agent, tool: Tool) -> None:
    """Nothing on the wire tells a sub-agent's call from its parent's: no link, but one session, the process."""
    provider.set(tool.script())

    rows = _of_agent(gate, provider, agent)

    assert len(rows) >= 3
    assert {(row["agent"], row["agent_name"], row["parent_agent"], row["parent_call"]) for row in rows} == {(None,) * 4}
    assert len({row["session"] for row in rows}) == 1
    assert "session=process" in rows[0]["evidence"]


def _said(gate: Gate, *words: str) -> str:
    """What a reading command prints."""
    command = [*PRODUCT, *words, "--state", str(gate.state)]
    env = environment(gate.state.parent, COLUMNS="400")
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
