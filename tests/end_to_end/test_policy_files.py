"""`spendgate run` with a policy of several files that change under it: nothing older, broken or half takes force."""

from __future__ import annotations

import json
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2

from end_to_end.world import ROOT, Gate, Provider, environment, running_gate, until
from spendgate.standin.script import Script

CALL = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
POLICY = """\
version: 1
revision: {revision}
owner: platform-ai@acme.example
help: "Ask in #ai-budget."
include: [people.yaml, payments.yaml]
unknown_people: owner
budgets:
  - {{name: person, per: person, limit: {limit} per day}}
"""
PEOPLE = """\
people: {alice: {email: alice@acme.example, accounts: [nobody-here-has-this-account], team: payments}}
teams: {payments: {}}
machines: {here: {match: ["*"], owner: alice@acme.example}}
"""
TEAM = 'team: payments\nmodels: [{name: no-opus, deny: ["claude-opus-*"], suggest: claude-sonnet-5}]\n'


def files(folder: Path, *, revision: int = 42, limit: str = "$100", people: str = PEOPLE, team: str = TEAM) -> Path:
    """The three files, the policy last."""
    (folder / "people.yaml").write_text(people)
    (folder / "payments.yaml").write_text(team)
    (folder / "policy.yaml").write_text(POLICY.format(revision=revision, limit=limit))
    return folder / "policy.yaml"


def status(gate: Gate, folder: Path) -> dict[str, dict[str, object]]:
    """`spendgate status --format json`."""
    command = [sys.executable, "-m", "spendgate", "status", "--state", str(gate.state), "--format", "json"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def ask(proxy: str, ca: Path, model: str = "claude-sonnet-5") -> httpx2.Response:
    """One small call through the gate."""
    with httpx2.Client(proxy=proxy, verify=ssl.create_default_context(cafile=ca), timeout=60) as client:
        return client.post(
            "https://api.anthropic.com/v1/messages", json={**CALL, "model": model},
            headers={"x-api-key": "sk-ant-api03-x", "anthropic-version": "2023-06-01"},
        )  # fmt: skip


def audited(state: Path) -> list[str]:
    """The words of the audit trail."""
    with closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        return [what for (what,) in ledger.execute("SELECT what FROM audit ORDER BY position")]


def refused(gate: Gate, folder: Path, text: str) -> str:
    """The first fault that `status` tells, once it holds this text."""
    return until(lambda: next((fault for fault in status(gate, folder)["policy"]["refused"] if text in fault), None))


def test_files_that_change_under_a_running_gate(provider: Provider, folder: Path) -> None:
    """People and machines of one file, a team's rule of another; each bad state is told in the place of its fault, the last
    good one decides on, and a higher revision takes force."""
    provider.set(Script(input=1_000, output=10))
    file = files(folder)
    with running_gate(folder, provider, file) as gate:
        first = status(gate, folder)
        assert (first["person"], first["policy"]["included"]) == ("alice", ["people.yaml", "payments.yaml"])
        assert ask(gate.proxy, gate.ca).status_code == 200
        assert "no-opus" in ask(gate.proxy, gate.ca, "claude-opus-4-5").text
        assert [row["person"] for row in gate.calls()] == ["alice", "alice"]

        files(folder, revision=41, limit="$1")
        assert refused(gate, folder, "lower").startswith(f"{file}:2:11: revision: 41 is lower than 42")
        files(folder, revision=42, limit="$1")
        assert "42 has been in force with other content" in refused(gate, folder, "other content")
        files(folder, revision=43, team=TEAM.replace("deny", "deni"))
        assert refused(gate, folder, ".deni").startswith(
            f"{folder / 'payments.yaml'}:2:26: models[1].deni: unknown key"
        )
        (folder / "people.yaml").unlink()
        assert "people.yaml cannot be read: No such file" in refused(gate, folder, "people.yaml cannot be read")
        now = status(gate, folder)["policy"]
        assert (now["hash"], now["revision"]) == (first["policy"]["hash"], 42)
        assert "no-opus" in ask(gate.proxy, gate.ca, "claude-opus-4-5").text

        files(
            folder,
            revision=43,
            team=TEAM.replace("claude-opus", "claude-sonnet").replace(", suggest: claude-sonnet-5", ""),
        )
        until(lambda: True if status(gate, folder)["policy"]["revision"] == 43 else None)
        assert (
            "no-opus" in until(lambda: found if (found := ask(gate.proxy, gate.ca)).status_code == 429 else None).text
        )
        assert {"policy in force", "policy refused"} == {
            what for what in audited(gate.state) if what.startswith("policy")
        }
        assert b"last good one stays in force" in gate.output


def test_a_restart_without_an_included_file(provider: Provider, folder: Path) -> None:
    """The last good copy has it; so does a restart under an older revision keep the newer one."""
    file = files(folder)
    with running_gate(folder, provider, file) as gate:
        first = status(gate, folder)["policy"]["hash"]
    (folder / "payments.yaml").unlink()
    with running_gate(folder, provider, file) as gate:
        assert f"policy={first}".encode() in gate.output
        assert "payments.yaml cannot be read" in refused(gate, folder, "payments.yaml")
        assert "no-opus" in ask(gate.proxy, gate.ca, "claude-opus-4-5").text
    files(folder, revision=41, team="team: payments\nbudgets: [{name: t, limit: none}]\n")
    with running_gate(folder, provider, file) as gate:
        assert f"policy={first}".encode() in gate.output
        assert "lower than 42" in refused(gate, folder, "lower")


def test_a_staged_mode_that_changes_while_running(provider: Provider, folder: Path) -> None:
    """Observed, then enforced for this machine's group, then observed again."""
    provider.set(Script(input=1_000, output=10))

    def staged(mode: str) -> Path:
        file = folder / "policy.yaml"
        file.write_text(
            f'version: 1\nowner: o@acme.example\nmode: {mode}\nmachines: {{here: {{match: ["*"]}}, ci: {{match: ["ci-*"]}}}}\n'
            'models: [{name: no-sonnet, except: {machine_group: ci}, deny: ["claude-sonnet-*"]}]\n'
        )
        return file

    with running_gate(folder, provider, staged("observe")) as gate:
        for mode, code in (
            ("{default: observe, enforce: [{machine_group: ci}]}", 200),
            ("{default: observe, enforce: [{machine_group: ci}, {machine_group: here}]}", 429),
            ("observe", 200),
            ("enforce", 429),
        ):
            before = status(gate, folder)["policy"]["hash"]
            staged(mode)
            until(lambda before=before: True if status(gate, folder)["policy"]["hash"] != before else None)
            until(lambda code=code: True if ask(gate.proxy, gate.ca).status_code == code else None)
        assert {row["would_refuse_by"] for row in gate.calls() if row["state"] == "settled"} == {"no-sonnet"}


def test_no_project_and_no_process_is_written(provider: Provider, folder: Path) -> None:
    """Nowhere in the ledger's file: not in a row, not in a balance."""
    provider.set(Script(input=1_000, output=10))
    file = folder / "policy.yaml"
    file.write_text("version: 1\nowner: o@acme.example\nprivacy: {project: none, process: none}\n")
    with running_gate(folder, provider, file) as gate:
        assert ask(gate.proxy, gate.ca).status_code == 200
        (row,) = gate.calls()
        assert (row["process"], row["project"]) == (None, None)
        until(lambda: True if gate.calls()[0]["state"] == "settled" else None)
        file.write_text("version: 1\nowner: o@acme.example\nprivacy: {process: path}\n")
        paths_seen = until(lambda: _path_of(gate))
        assert (
            Path(paths_seen).expanduser().resolve() == Path(sys.executable).resolve()
        )  # no home folder is written out


def _path_of(gate: Gate) -> str | None:
    ask(gate.proxy, gate.ca)
    return gate.calls()[-1]["process"]
