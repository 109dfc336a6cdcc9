"""The gate's own state as `doctor` judges it: each breakage is a finding of its own, with its remedy."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from spendgate.audit_words import AuditWord
from spendgate.capture.coverage import Gap
from spendgate.cli import bridges, captured, doctor_checks, in_force
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.health import Health
from spendgate.cli.outside import Outside
from spendgate.cli.report import Report
from spendgate.config.paths import State as StateDirectory
from spendgate.doctor.interface import Check, State
from spendgate.errors import UsageError, Why
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads import Finding
from spendgate.ledger.heads_file import SeenClock
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.noted import note_beside
from spendgate.ledger.tools_seen import ToolSeen
from spendgate.window import DAY_MS

FINE = Health(("api.anthropic.com",), (1,), 0, "allow", (), 64 << 30, reserve=True)


@pytest.fixture
def report(state: StateDirectory) -> Report:
    """Of a ledger with calls, as if its gate ran."""
    return replace(FileDesk(state.root).status(), gates=1)


def findings(checks: list[Check]) -> dict[str, Check]:
    """By kind."""
    return {each.name: each for each in checks if each.state is State.FINDING}


def test_all_is_fine(report: Report) -> None:
    """Nothing is found, and what is decided while the gate cannot decide is said all the same."""
    checks = [*doctor_checks.running(report), *doctor_checks.kept(report, FINE)]
    assert findings(checks) == {}
    assert any(each.name == "gate.on_failure" and "allow" in each.says for each in checks)


def test_a_port_that_another_program_has(report: Report) -> None:
    """While the gate runs that takes another instead: who has it, and what to do."""
    assert report.said is not None
    squatted = replace(report, said=replace(report.said, taken=("port 8443 of 127.0.0.1 is taken by eve",)))
    found = findings(list(doctor_checks.running(squatted)))
    assert [*found] == ["gate.ports"]
    assert (found["gate.ports"].says, found["gate.ports"].remedy[:16]) == (squatted.taken[0], "end that program")
    assert replace(squatted, gates=0).taken == ()


@pytest.mark.parametrize(
    ("name", "health", "words"),
    [
        pytest.param("gate.disk", replace(FINE, free_bytes=5 << 20), "5 MiB are free", id="a full disk"),
        pytest.param(
            "gate.disk", replace(FINE, reserve=False), "room for the ends of calls", id="the reserve is given"
        ),
        pytest.param(
            "gate.on_failure",
            replace(FINE, failures=(("2026-11-29T10:00:00.000Z", "the disk was full; on_failure allowed 3 calls"),)),
            "allowed 3 calls",
            id="it had to decide",
        ),
    ],
)
def test_what_only_the_gate_sees(report: Report, name: str, health: Health, words: str) -> None:
    """Each is found, with a remedy."""
    found = findings(list(doctor_checks.kept(report, health)))
    assert [*found] == [name]
    assert words in found[name].says
    assert found[name].remedy


URL = "https://policy.acme.example/policy.yaml"


@pytest.mark.parametrize(
    ("source", "why", "says", "remedy"),
    [
        ("/etc/p.yaml", Why.FAULTS, "a newer policy is refused", "mend it: `spendgate policy check /etc/p.yaml`"),
        ("/etc/p.yaml", Why.SIGNATURE, "a newer policy is refused", "mend it: `spendgate policy verify /etc/p.yaml`"),
        (URL, Why.FAULTS, "a newer policy is refused", "`spendgate policy check` on the file that is published there"),
        (URL, Why.REVISION, "a newer policy is refused", "`spendgate policy verify` on the file that is published"),
        (URL, Why.UNREACHED, "no newer policy can be fetched", "look at its server and the way there"),
    ],
)
def test_what_mends_a_policy_is_a_command_that_there_is(
    report: Report, source: str, why: Why, says: str, remedy: str
) -> None:
    """`policy check` reads no URL, and looks at no signature; what was not fetched was not refused."""
    assert report.said is not None
    said = replace(report.said, source=source, refused=("wrong",), refused_why=why)
    found = findings(list(doctor_checks.running(replace(report, said=said))))["gate.policy"]
    assert found.says.startswith(says)
    assert found.remedy.startswith(remedy)


def test_a_mode_is_named_once(report: Report) -> None:
    """However many listeners it has: one for each version of IP."""
    assert report.said is not None
    said = replace(report.said, modes=("transparent", "transparent", "regular"))
    checks = list(doctor_checks.running(replace(report, gates=1, said=said)))
    assert checks[0].says == "up (transparent, regular)"


def test_what_status_knows(report: Report) -> None:
    """No gate, a refused file, an ended policy, a damaged ledger, a wrong clock, messages that did not arrive."""
    assert report.said is not None
    down = replace(report, gates=0)
    refused = replace(report, said=replace(report.said, refused=("policy.yaml:3:1: no such key",)))
    ended = replace(report, notices=("the policy ended on 2026-01-01: calls are refused",))
    damaged = replace(report, outside=Outside((Finding(AuditWord.HEADS_MISSING, "gone"),)))
    late = replace(report, undelivered=(2, ("slack: could not be reached",)))
    off = replace(report, outside=Outside((), SeenClock(NOW_MS, 1, "boot", off_ms=90_000_000)))
    running = {"gate": down, "gate.policy": refused}
    for name, each in running.items():
        assert [*findings(list(doctor_checks.running(each)))] == [name]
    assert "last good one goes on" in findings(list(doctor_checks.running(refused)))["gate.policy"].says
    assert "ended" in findings(list(doctor_checks.running(ended)))["gate.policy"].says
    for name, each in {"gate.ledger": damaged, "gate.deliveries": late, "gate.clock": off}.items():
        found = findings(list(doctor_checks.kept(each, FINE)))
        assert [*found] == [name]
        assert found[name].remedy


@pytest.mark.parametrize(("receivers", "says"), [(0, "no message goes to anybody"), (1, "every message has arrived")])
def test_messages_that_nobody_gets_have_not_arrived(report: Report, receivers: int, says: str) -> None:
    """Without `notify` none can be late, and none can arrive."""
    told = replace(report, policy=replace(report.policy, receivers=receivers))
    assert says in next(each.says for each in doctor_checks.kept(told, FINE) if each.name == "gate.deliveries")


def test_others_are_told_what_they_may_not_see(report: Report) -> None:
    """It is no finding, and not said to be fine."""
    checks = list(doctor_checks.kept(report, replace(FINE, failures=None)))
    assert {each.name for each in checks if each.state is State.UNSEEN} == {"gate.deliveries", "gate.on_failure"}
    assert findings(checks) == {}


@pytest.mark.parametrize(("days", "found"), [(30, State.FINE), (29, State.FINDING), (-1, State.FINDING)])
def test_the_certificates_days(days: int, found: State) -> None:
    """From thirty days before its end on it is to be rotated."""
    now = datetime(2026, 11, 29, tzinfo=UTC)
    check = doctor_checks.certificate("/ca", now + timedelta(days=days, hours=1), now)
    assert check.state is found
    assert ("`spendgate ca rotate`" in check.remedy) is (found is State.FINDING)


def test_connections_of_the_last_day(report: Report) -> None:
    """By account, tool and reason, with the reason's remedy; older ones and what the policy leaves alone are none."""
    row = {"account": "alice", "tool": "node", "host": "api.openai.com", "count": 3, "first_ms": 0, "last_ms": NOW_MS}
    rows = tuple(
        {**row, "reason": reason.value, "last_ms": at_ms}
        for reason, at_ms in ((Gap.TRUST_REFUSED, NOW_MS), (Gap.NEVER, NOW_MS), (Gap.QUIC, NOW_MS - 2 * DAY_MS))
    )
    [check] = doctor_checks.unread(replace(report, coverage=rows), NOW_MS)
    assert check.says == f"3 connections of alice's node to api.openai.com were not read: {Gap.TRUST_REFUSED}"
    assert "trust" in check.remedy
    read = tuple({**row, "read_since": row["reason"] == Gap.TRUST_REFUSED.value} for row in rows)
    assert [*doctor_checks.unread(replace(report, coverage=read), NOW_MS)] == []


@pytest.mark.parametrize(
    ("account", "tool", "reason", "last_ms", "ended"),
    [
        ("alice", "node", Gap.TRUST_REFUSED, 2_000, True),
        ("alice", "node", Gap.TRUST_SUSPECTED, 2_000, True),
        ("alice", "node", Gap.TRUST_REFUSED, 1_000, False),
        ("alice", "node", Gap.QUIC, 2_000, False),
        ("bob", "node", Gap.TRUST_REFUSED, 2_000, False),
        ("alice", "codex", Gap.TRUST_REFUSED, 2_000, False),
    ],
)
def test_a_later_call_that_was_read_ends_a_refusal(
    account: str, tool: str, reason: Gap, last_ms: int, ended: bool
) -> None:
    """Of the same tool and account; it shows nothing about what passes by QUIC."""
    row = {"account": "alice", "tool": "node", "reason": reason.value, "last_ms": 1_500}
    assert captured.read_since(row, [ToolSeen(tool, 1, last_ms, account)]) == ended


def test_coverage_by_tool() -> None:
    """Captured of all, the least covered first; a tool of which nothing was read, and one of which all was."""
    seen = (ToolSeen("codex", 2, 9_000, "alice"), ToolSeen("codex", 1, 8_000, "bob"), ToolSeen("", 1, 1_000))
    unread = (
        {"tool": "codex", "reason": Gap.TRUST_REFUSED.value, "count": 1},
        {"tool": "codex", "reason": Gap.NEVER.value, "count": 50},
        {"tool": "node", "reason": Gap.NO_SNI.value, "count": 2},
    )
    found = {
        each.name: (each.captured, each.not_read, each.share, each.last_ms) for each in captured.tools(seen, unread)
    }
    assert list(found.items()) == [
        ("node", (0, 2, 0.0, None)),
        ("codex", (3, 1, 0.75, 9_000)),
        ("unknown", (1, 0, 1.0, 1_000)),
    ]


def test_status_has_the_score(state: StateDirectory) -> None:
    """Both counts stand beside it, for people and for programs."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.uncovered("alice", "claude-code", "api.anthropic.com", Gap.TRUST_REFUSED.value, at_ms=NOW_MS)
    ledger.close()
    shown = CliRunner().invoke(app, ["status", "--state", str(state.root), "--format", "json"])
    [tool] = json.loads(shown.stdout)["tools"]
    assert (tool["tool"], tool["captured"], tool["not_read"], tool["coverage"]) == ("claude-code", 3, 1, 0.75)
    assert "75.0%" in CliRunner().invoke(app, ["status", "--state", str(state.root)]).stdout


def test_health_of_a_ledger(state: StateDirectory) -> None:
    """A failure of the last day is there for its own account, and not for a service's other accounts."""
    note_beside(state.ledger, Line(NOW_MS, AuditWord.GATE_FAILED, "the disk was full; on_failure allowed 3 calls"))
    note_beside(state.ledger, Line(NOW_MS - 2 * DAY_MS, AuditWord.GATE_FAILED, "long ago"))
    own, served = FileDesk(state.root).health(), FileDesk(state.root, "bob", everything=False).health()
    assert own.failures is not None
    assert [detail for _, detail in own.failures] == ["the disk was full; on_failure allowed 3 calls"]
    assert (served.failures, served.on_failure, own.on_failure) == (None, "allow", "allow")
    assert "api.anthropic.com" in own.hosts
    assert own.gate_uid == state.root.stat().st_uid


def test_without_a_gate(state: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has ended, and a place where none has ever run: findings, exit status 1, with what starts one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for folder, form in ((state.root, ["--format", "json"]), (tmp_path / "nothing", ["--json"])):
        done = CliRunner().invoke(app, ["doctor", "--state", str(folder), *form])
        assert done.exit_code == 1
        found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
        assert found["gate"]["state"] == "finding"
        assert "spendgate run" in found["gate"]["remedy"]
    assert in_force.told(state) is not None


def test_wrong_usage(state: StateDirectory) -> None:
    """Exit status 2."""
    assert CliRunner().invoke(app, ["doctor", "--state", str(state.root), "--format", "xml"]).exit_code == 2
    assert CliRunner().invoke(app, ["doctor", "one-more-word"]).exit_code == 2
    assert isinstance(CliRunner().invoke(app, ["doctor", "--json", "--format", "csv"]).exception, UsageError)


@pytest.mark.parametrize(
    ("networks", "listed", "state", "words"),
    [
        pytest.param(["172.17.0.0/16"], [], State.UNSEEN, "not led to the gate", id="no range is named"),
        pytest.param(["172.17.0.0/16"], ["172.16.0.0/12"], State.FINE, "is led", id="within"),
        pytest.param(
            ["172.20.0.0/16"], ["10.99.0.0/16"], State.FINDING, "from 172.20.0.0/16 goes around", id="outside"
        ),
        pytest.param(
            ["172.17.0.0/16", "fd00::/64"], ["172.16.0.0/12"], State.FINDING, "from fd00::/64", id="IPv6 outside"
        ),
        pytest.param(["10.99.0.0/8"], ["10.99.0.0/16"], State.FINDING, "goes around", id="wider than the range"),
        pytest.param([], ["10.99.0.0/16"], State.UNSEEN, "no address on it", id="no address"),
    ],
)
def test_bridges_are_held_against_the_ranges(networks: list[str], listed: list[str], state: State, words: str) -> None:
    """That ranges are named says nothing of a bridge outside them; what starts containers is named with it."""
    busy = {"br0": [ip_network(each, strict=False) for each in networks]}
    [found] = bridges.judged(busy, listed, ["dockerd"])
    assert (found.about, found.state, words in found.says) == ("br0", state, True)
    assert ("dockerd runs here" in found.says) == (state is not State.FINE)
    assert ("--containers" in found.remedy) == (state is State.FINDING or not listed)


def test_bridges_with_nothing_behind_them_are_no_matter(report: Report, tmp_path: Path) -> None:
    """By the kernel's own list of what is behind each."""
    (tmp_path / "docker0" / "brif").mkdir(parents=True)
    assert list(bridges.containers(report, tmp_path)) == []
    (tmp_path / "docker0" / "brif" / "veth1").touch()
    [found] = bridges.containers(report, tmp_path)
    assert (found.about, found.state) == ("docker0", State.UNSEEN)


def test_a_bridges_networks_are_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel has them, but for those that reach no further than the link."""
    one = [
        SimpleNamespace(family=socket.AF_INET, address="172.20.0.1", netmask="255.255.0.0"),
        SimpleNamespace(family=socket.AF_INET6, address="fe80::1%br0", netmask="ffff:ffff:ffff:ffff::"),
        SimpleNamespace(family=socket.AF_INET6, address="fd00::1", netmask="ffff:ffff:ffff:ffff::"),
    ]
    monkeypatch.setattr(bridges.psutil, "net_if_addrs", lambda: {"br0": one})
    assert bridges._networks(["br0"]) == {"br0": (ip_network("172.20.0.0/16"), ip_network("fd00::/64"))}
