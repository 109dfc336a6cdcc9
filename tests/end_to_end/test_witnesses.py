"""Show 3 of reconciliation: what real clients write down of themselves, beside what the real gate has in its ledger."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from end_to_end.agent import Agent
from end_to_end.agents import COPILOT_CLI, COPILOT_WITH_A_SEAT, GEMINI_CLI, OPENCODE
from end_to_end.client_table import _tunnel
from end_to_end.clients import (
    CLAUDE_CODE,
    CODEX_HTTP,
    CODEX_WEBSOCKET,
    PATIENCE_S,
    PROMPT,
    Client,
    Run,
    run,
    surroundings,
    through,
)
from end_to_end.test_sub_agents import CLAUDE_TOOL, CODEX_TOOL
from end_to_end.test_tools import started
from end_to_end.world import PRODUCT, Provider, calls, policy, running_gate
from spendgate.standin.script import Script

pytestmark = pytest.mark.clients
SCRIPT = Script(text="The herons left in spring.", input=2311, cache_read=917, output=53, reasoning=11)
Row = dict[str, Any]


def told(
    folder: Path, *words: str, state: str = "state", more: Mapping[str, str] | None = None
) -> tuple[int, list[Row], str]:
    """What the command says on this account: status, rows, and what it tells a person."""
    command = [*PRODUCT, "reconcile", "witness", "--format", "json", "--state", str(folder / state), *words]
    done = subprocess.run(
        command, env=surroundings(folder, more), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def served_ids(provider: Provider, before: int) -> list[str]:
    """The responses that the stand-in billed since then."""
    return sorted(str(one.response_id) for one in provider.served[before:] if one.billable)


def around(provider: Provider, folder: Path, command: Sequence[str], more: Mapping[str, str] | None = None) -> Run:
    """A client that asks the stand-in without any gate, on the same account."""
    with _tunnel(provider) as proxy:
        done = run(command, through(surroundings(folder, more), proxy, provider.ca))
    assert done.status == 0, done.text
    return done


def of(rows: list[Row], where: str) -> list[Row]:
    """The rows that are known there."""
    return [row for row in rows if row["where"] == where]


@pytest.mark.parametrize(
    "client", [pytest.param(each, id=each.name) for each in (CLAUDE_CODE, CODEX_WEBSOCKET, CODEX_HTTP)]
)
def test_the_log_and_the_ledger_name_the_same_then_what_went_around(
    provider: Provider, folder: Path, client: Client
) -> None:
    """Ids match one to one; after runs without a gate exactly those requests are named, with the time no gate ran."""
    provider.set(SCRIPT)
    file = policy(folder)
    before = len(provider.served)
    for _ in range(2):
        assert started(client, provider, folder, file).status == 0
    metered = served_ids(provider, before)

    status, rows, words = told(folder, "--all")

    assert status == 0
    assert {(row["where"], row["joined_by"]) for row in rows} == {("both", "response id")}
    assert sorted(row["response_id"] for row in rows) == metered
    assert {(row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) for row in rows} == {(2311, 917, 53)}
    assert f"{client.tool}: {len(metered)} in both, 0 around the gate, 0 in the ledger only" in words

    before = len(provider.served)
    for _ in range(2):
        around(provider, folder, [*client.command, PROMPT])
    escaped = served_ids(provider, before)
    status, rows, _ = told(folder, "--all")

    assert status == 1
    assert sorted(row["response_id"] for row in of(rows, "log")) == escaped
    assert sorted(row["response_id"] for row in of(rows, "both")) == metered
    assert of(rows, "ledger") == []
    assert {(row["why"], row["firm"]) for row in of(rows, "log")} == {("no gate was running", "certain")}
    _says_nothing_else(rows, folder)


def test_claude_code_resumed_forked_and_with_sub_agents(provider: Provider, folder: Path) -> None:
    """Copies of old lines and side chains of real sessions: ids still match one to one."""
    name = "22222222-2222-4222-8222-222222222222"
    before = len(provider.served)
    with running_gate(folder, provider, policy(folder)) as gate:
        env = through(surroundings(folder), gate.proxy, gate.ca)
        provider.set(CLAUDE_TOOL.script())
        assert run(["claude", "-p", "--session-id", name, PROMPT], env).status == 0
        provider.set(SCRIPT)
        assert run(["claude", "-p", "--resume", name, "go on"], env).status == 0
        assert run(["claude", "-p", "--resume", name, "--fork-session", "go on"], env).status == 0
    _one_to_one(provider, folder, before, least=5)


_HTTP = pytest.param(CODEX_HTTP, id=CODEX_HTTP.name, marks=pytest.mark.heavy)


@pytest.mark.parametrize("client", [_HTTP, pytest.param(CODEX_WEBSOCKET, id=CODEX_WEBSOCKET.name)])
def test_codex_resumed_forked_and_with_sub_agents(provider: Provider, folder: Path, client: Client) -> None:
    """Replayed history and the threads of sub-agents: ids still match one to one."""
    before, options = len(provider.served), client.command[2:]
    with running_gate(folder, provider, policy(folder)) as gate:
        env = through(surroundings(folder), gate.proxy, gate.ca)
        # Codex ends with its main agent, whose second answer therefore comes late.
        provider.set(CODEX_TOOL.script(delay_ms=8_000))
        assert run([*client.command, PROMPT], env).status == 0
        provider.set(SCRIPT)
        rollouts = sorted((folder / "home" / ".codex" / "sessions").rglob("*.jsonl"))
        thread = json.loads(rollouts[0].read_text().partition("\n")[0])["payload"]["id"]
        for verb in ("resume", "fork"):
            done = run(["codex", "exec", *options, verb, thread, "go on"], env)
            assert done.status == 0, done.text
    # Codex may end the sub-agent with its main agent, in the middle of an answer that it then does not log.
    _one_to_one(provider, folder, before, least=4, broken_off=1)


def _one_to_one(provider: Provider, folder: Path, before: int, *, least: int, broken_off: int = 0) -> None:
    """Every response that was served is one request of the log and one call of the ledger, with the same counts.

    At most so many calls were broken off by the client, and have no answer in its log: before their last byte, or after it and
    before the client wrote it down.
    """
    served = served_ids(provider, before)
    status, rows, _ = told(folder, "--all")
    assert len(served) >= least
    both, states = of(rows, "both"), {row["id"]: row["state"] for row in calls(folder / "state")}
    assert {(row["joined_by"], row["why"]) for row in both} == {("response id", None)}
    logged = {row["response_id"] for row in both}
    assert len(logged) == len(both) >= least
    assert logged <= set(served)
    assert len(set(served) - logged) <= len(rows) - len(both) <= broken_off
    assert {states[row["call"]] for row in of(rows, "ledger")} <= {"interrupted", "settled"}
    assert status == 0


def test_why_it_went_around(provider: Provider, folder: Path) -> None:
    """A session begun before the gate, one started beside it, one of another state directory: each is told so."""
    provider.set(SCRIPT)
    first = ["claude", "-p", "--session-id", "11111111-1111-4111-8111-111111111111", PROMPT]
    again = ["claude", "-p", "--resume", "11111111-1111-4111-8111-111111111111", PROMPT]
    file = policy(folder)
    assert started(CLAUDE_CODE, provider, folder, file).status == 0  # the ledger begins
    around(provider, folder, first)
    with running_gate(folder, provider, file):
        around(provider, folder, again)
        around(provider, folder, [*CLAUDE_CODE.command, PROMPT])
        (folder / "other").mkdir()
        with running_gate(folder / "other", provider, file) as other:
            done = run([*CLAUDE_CODE.command, PROMPT], through(surroundings(folder), other.proxy, other.ca))
            assert done.status == 0, done.text
        _, rows, _ = told(folder, more={"SPENDGATE_STATE": str(folder / "other" / "state")})

    assert [row["why"] for row in rows] == [
        "no gate was running",
        "begun before the gate",
        "started without the gate's proxy",
        "another state directory",
    ]
    assert rows[-1]["evidence"] == "the ledger of SPENDGATE_STATE has its id"
    _says_nothing_else(rows, folder)


def test_telemetry_is_a_witness_where_the_log_is_gone(provider: Provider, folder: Path) -> None:
    """Claude Code's events name the request; with the log beside them each request still counts once."""
    provider.set(SCRIPT)
    file = policy(folder)
    assert started(CLAUDE_CODE, provider, folder, file).status == 0
    events = {"CLAUDE_CODE_ENABLE_TELEMETRY": "1", "OTEL_LOGS_EXPORTER": "console", "OTEL_LOGS_EXPORT_INTERVAL": "200"}
    with running_gate(folder, provider, file) as gate:
        metered = run([*CLAUDE_CODE.command, PROMPT], through(surroundings(folder, events), gate.proxy, gate.ca))
    before = len(provider.served)
    escaped = around(provider, folder, [*CLAUDE_CODE.command, PROMPT], events)
    requests = [str(one.request_id) for one in provider.served[before:] if one.billable]
    (folder / "events.log").write_text(metered.stdout + escaped.stdout)

    _, rows, _ = told(folder, "--all", "--telemetry", str(folder / "events.log"))

    assert [row["where"] for row in rows] == ["both", "both", "log"]
    assert {row["witness"] for row in rows} == {"claude-code"}
    for log in (folder / "home" / ".claude" / "projects").rglob("*.jsonl"):
        log.unlink()
    _, rows, _ = told(folder, "--all", "--telemetry", str(folder / "events.log"))
    assert [(row["witness"], row["joined_by"]) for row in of(rows, "both")] == [("claude-telemetry", "request id")]
    assert [row["request_id"] for row in of(rows, "log")] == requests


@pytest.mark.parametrize(
    ("agent", "joined_by", "unlogged"),
    [
        pytest.param(GEMINI_CLI, "model, counts and time", 0, id=GEMINI_CLI.name),
        pytest.param(OPENCODE, "model, counts and time", 1, id=OPENCODE.name),
        pytest.param(COPILOT_CLI, "response id", 0, id=COPILOT_CLI.name, marks=pytest.mark.heavy),
        pytest.param(COPILOT_WITH_A_SEAT, "response id", 0, id=COPILOT_WITH_A_SEAT.name, marks=pytest.mark.heavy),
    ],
)
def test_other_agents_logs(provider: Provider, folder: Path, agent: Agent, joined_by: str, unlogged: int) -> None:
    """Each request of its log is the one of the ledger, and one that went around is named; OpenCode's titles it does not log."""
    program = agent.program()
    provider.set(SCRIPT)
    with running_gate(folder, provider, policy(folder)) as gate:
        trusted = folder / "trusted.pem"
        trusted.write_bytes(gate.ca.read_bytes() + provider.ca.read_bytes())
        env = through(surroundings(folder, agent.env), gate.proxy, trusted)
        agent.prepare(Path(env["HOME"]))
        done = run(program, env)
    assert SCRIPT.text in done.text

    _, rows, _ = told(folder, "--all")

    assert [row["joined_by"] for row in of(rows, "both")] == [joined_by]
    assert (len(of(rows, "log")), len(of(rows, "ledger"))) == (0, unlogged)

    around(provider, folder, program, agent.env)
    status, rows, _ = told(folder)
    assert (status, len(of(rows, "log")), len(of(rows, "ledger"))) == (1, 1, unlogged)
    _says_nothing_else(rows, folder)


def _says_nothing_else(rows: list[Row], folder: Path) -> None:
    """No prompt, no answer, no path."""
    text = json.dumps(rows)
    assert PROMPT not in text
    assert SCRIPT.text not in text
    assert str(folder) not in text
