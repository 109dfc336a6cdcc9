"""`status` says of a running gate what a canary call through it says, not what its listeners say."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app
from spendgate.capture import ca
from spendgate.cli import alive, in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[State]:
    """A gate whose process lives and whose listener accepts connections, and nothing more."""
    state = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nowner: tests@acme.example\nbudgets: [{name: all, limit: $1 per day}]\n")
    found = policies.LastGood(state).start(file, NOW_MS)
    certificate = tmp_path / "ca.pem"
    certificate.write_bytes(ca.create(["api.anthropic.com"], datetime.now(UTC)).pem)
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        said = in_force.InForce(
            found.policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",),
            (("regular", host, port),), str(certificate), "0123", ledger.gate_name,
        )  # fmt: skip
        in_force.tell(state, said)
        yield state
    ledger.close()


def asked(state: State, *options: str) -> str:
    """What `status` says."""
    result = CliRunner().invoke(app, ["status", "--state", str(state.root), *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_gate_that_listens_and_captures_nothing_is_told(deaf: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process lives and its port is open; a canary call is not answered."""
    monkeypatch.setattr(alive, "PATIENCE_S", 0.2)
    said = in_force.told(deaf)
    assert said is not None
    way = f"regular {said.listeners[0][1]}:{said.listeners[0][2]}"
    assert json.loads(asked(deaf, "--format", "json"))["gate"]["captures_nothing_through"] == [way]
    assert "captures nothing through" in asked(deaf)


def test_without_the_certificate_nobody_can_trust_it(deaf: State) -> None:
    """Nor can a canary call."""
    said = in_force.told(deaf)
    assert said is not None
    [way] = alive.ways(replace(said, ca_cert=str(deaf.root / "gone.pem")))
    assert alive.silent([way]) == (way.name,)


def test_only_gates_that_live_are_asked(deaf: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second gate that was there and has ended, cleanly or not, is not missed; the first is asked although it spoke earlier."""
    monkeypatch.setattr(alive, "PATIENCE_S", 0.2)
    said = in_force.told(deaf)
    assert said is not None
    second = Ledger.open(deaf.ledger, deaf.gates, NOW_MS)
    elsewhere = replace(said, listeners=(("regular", "127.0.0.1", 1),), gate=second.gate_name)
    in_force.tell(deaf, elsewhere)
    both = json.loads(asked(deaf, "--format", "json"))["gate"]["captures_nothing_through"]
    second.close()
    killed = json.loads(asked(deaf, "--format", "json"))["gate"]["captures_nothing_through"]
    in_force.forget(deaf, second.gate_name)
    ended = json.loads(asked(deaf, "--format", "json"))["gate"]["captures_nothing_through"]
    assert sorted(both) == sorted([*killed, "regular 127.0.0.1:1"])
    assert ended == killed == [f"regular {said.listeners[0][1]}:{said.listeners[0][2]}"]


def test_the_way_for_containers_is_a_way_of_its_own(deaf: State) -> None:
    """No canary call of this machine comes by it; the machine's own way beside it keeps its port, by which captured connections
    are told from those around the gate."""
    said = in_force.told(deaf)
    assert said is not None
    at = (("transparent", "127.0.0.1", 8443), ("transparent", "0.0.0.0", 8444), ("transparent", "::", 8444))  # noqa: S104
    ways = alive.ways(replace(said, listeners=at))
    assert [(way.name, way.port, way.for_containers) for way in ways] == [
        ("transparent", 8443, False),
        ("transparent for containers", 8444, True),
        ("transparent for containers over IPv6", 8444, True),
    ]
    assert alive.silent(ways[1:]) == ()


@pytest.mark.parametrize(("mode", "host"), [("transparent", "127.0.0.1"), ("transparent", "::1"), ("local", "")])
def test_a_way_that_no_call_can_take_is_unused(mode: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a route the kernel refuses a call before any rule sees it: that shows nothing of the gate."""
    way = alive.Way(mode, host, 8443, "", "", "")

    def offline(self: socket.socket, address: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(alive.socket.socket, "connect", lambda self, address: None)
    assert way.unused() == ""
    monkeypatch.setattr(alive.socket.socket, "connect", offline)
    assert f"no IPv{6 if ':' in host else 4} route" in way.unused()
    assert alive.Way("regular", "127.0.0.1", 8080, "", "", "").unused() == ""
