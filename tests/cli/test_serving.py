"""What a running gate tells the person who started it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import pytest
from typer.testing import CliRunner

from capture.proxies import PROVIDER
from cli.kit import app, ran
from spendgate.capture import ca
from spendgate.cli import in_force
from spendgate.cli.house import scope_of
from spendgate.cli.serving import serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError, StateError, UsageError
from spendgate.identity.machine import assigned_id
from spendgate.providers.registry import Registry

FULL = Path("/dev/full")


async def test_what_is_logged_is_a_line_like_every_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each begins with the product's name; a traceback is reduced to types and places, since its message may quote a request."""
    async with serving(Wanted(policy=None, state=paths.find(tmp_path), modes=("regular",), port=0, sets=())):
        line = f"Client TLS handshake failed. The client does not trust the proxy's certificate for {PROVIDER} (unknown ca)"
        logging.getLogger("mitmproxy.proxy.server").warning(line)
        try:
            raise KeyError("canary-secret")
        except KeyError:
            logging.getLogger("spendgate.gate.upkeep").exception("upkeep of the gate failed")
    trust, upkeep, *_ = capsys.readouterr().err.splitlines()
    assert trust.startswith(f"spendgate: a client does not trust our certificate for {PROVIDER}; `spendgate ca show`")
    assert upkeep.startswith("spendgate: upkeep of the gate failed (KeyError at test_serving.py")
    assert "canary-secret" not in upkeep


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_wrong_usage(tmp_path: Path, port: str) -> None:
    """One line with the remedy, before anything is made."""
    answer = CliRunner().invoke(app, ["run", "--state", str(tmp_path / "state"), "--port", port])
    assert isinstance(answer.exception, UsageError)
    assert str(answer.exception).startswith(f"--port {port}: write a number from 0 to 65535")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["--mode", "bogus"], 2, id="mode"),
        pytest.param(["--mode", "reverse:https://www.example.com"], 2, id="a host that is not captured"),
        pytest.param(["--set", "nobody=1"], 2, id="option"),
        pytest.param(["--policy", "faulty.yaml"], 1, id="policy"),
        pytest.param(["--policy", "good.yaml", "--port", "TAKEN"], 1, id="port"),
        pytest.param(["--policy", "good.yaml", "--mode", "socks5@TAKEN"], 1, id="port of a mode"),
    ],
)
def test_a_start_that_cannot_be_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int
) -> None:
    """No folder, no ledger, and above all no signing key stays behind."""
    monkeypatch.chdir(tmp_path)
    Path("faulty.yaml").write_text("version: 1\nowner: you@acme.example\nbudget: []\n")
    Path("good.yaml").write_text("version: 1\nowner: you@acme.example\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [word.replace("TAKEN", port) for word in words]
        answer = CliRunner().invoke(app, ["run", "--state", "state", *words])
    assert isinstance(answer.exception, (UsageError if status == 2 else (PolicyError, StateError)))
    assert not Path("state").exists()


@pytest.mark.parametrize("alone", [False, True], ids=["run", "exec"])
def test_who_may_be_a_browser_is_asked_on_its_sites(tmp_path: Path, alone: bool) -> None:
    """`exec` serves one command, which is none where nobody can tell; what the policy says is counted."""
    policy = parse_policy(b"version: 1\nowner: you@acme.example\ncapture: {browsers: count}\n")
    registry = Registry.build(policy.capture)
    authority = ca.create(registry.hosts(), datetime.now(UTC))
    wanted = Wanted(policy=None, state=paths.find(tmp_path), ca_folder=tmp_path if alone else None)
    scope = scope_of(wanted, policy, registry, authority)
    assert scope.private == {"claude.ai", "chatgpt.com"}
    openrouter = {"openrouter.ai", "eu.openrouter.ai", "us.openrouter.ai"}
    assert scope.sites == scope.private | openrouter | {"opencode.ai", "ampcode.com"}
    assert (scope.one_command, scope.counts_browsers) == (alone, True)


@contextlib.contextmanager
def deaf(kind: str) -> Iterator[TextIO | None]:
    """A stderr that takes nothing."""
    if kind == "closed":
        yield None
        return
    if kind == "full":
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, end = os.pipe()
        os.close(reader)
    stream = os.fdopen(end, "w", buffering=1)
    yield stream
    with contextlib.suppress(OSError):
        stream.close()


@pytest.mark.parametrize(
    "kind",
    [
        "reader gone",
        pytest.param("full", marks=pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")),
        "closed",
    ],
)
async def test_a_policy_takes_force_and_is_told_where_nobody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """A terminal that is closed, a log on a full disk: `status` and the audit trail have the new policy, or its faults."""
    file, state = tmp_path / "policy.yaml", paths.find(tmp_path / "state")
    wanted = Wanted(policy=file, state=state, modes=("regular",), port=0, sets=())
    file.write_text("version: 1\nowner: you@acme.example\n")
    with deaf(kind) as stderr:
        async with serving(wanted) as running:
            first = running.in_force.policy.hash
            monkeypatch.setattr("sys.stderr", stderr)
            file.write_text("version: 1\nowner: others@acme.example\n")
            second = await in_force_after(state, first)
            logging.getLogger("spendgate.gate.upkeep").warning("told to nobody")
            file.write_text("version: 2\n")
            while not (told := in_force.told(state)) or not told.refused:
                await asyncio.sleep(0.02)
            assert told.hash == second
        monkeypatch.undo()
    with closing(sqlite3.connect(state.ledger)) as ledger:
        lines = [
            what for (what,) in ledger.execute("SELECT what FROM audit WHERE what LIKE 'policy %' ORDER BY position")
        ]
    assert lines == ["policy in force", "policy in force", "policy refused"]
    assert capsys.readouterr().out == ""


async def in_force_after(state: paths.State, before: str) -> str:
    """The next policy of which the gate says that it is in force."""
    while (told := in_force.told(state)) is None or told.hash == before:
        await asyncio.sleep(0.02)
    return told.hash


async def test_a_faulty_policy_starts_with_its_last_good_copy(tmp_path: Path) -> None:
    """Nor does looking first take away what a restart under a bad file has always had."""
    file, state = tmp_path / "policy.yaml", paths.find(tmp_path / "state")
    wanted = Wanted(policy=file, state=state, modes=("regular",), port=0, sets=())
    file.write_text("version: 1\nowner: you@acme.example\n")
    async with serving(wanted) as first:
        good = first.in_force.policy.hash
    file.write_text("version: 2\n")
    async with serving(wanted) as again:
        assert again.in_force.policy.hash == good
        assert again.in_force.refused


async def test_what_this_version_does_not_do_is_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hub that nobody reaches: whoever starts the gate reads of it."""
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nowner: you@acme.example\nfleet: {hub: https://spend.acme.example}\n")
    async with serving(Wanted(policy=file, state=paths.find(tmp_path / "state"), port=0)):
        pass
    said = capsys.readouterr().err
    assert "fleet.hub https://spend.acme.example: no hub is reached by this version" in said


LATE = "version: 1\nowner: you@acme.example\ncapture: {hosts: [{host: late.acme.example, dialect: openai}]}\n"
OUTSIDE = "calls to late.acme.example pass unread, outside every budget: the CA is older than the policy's hosts; `spendgate ca"


@pytest.mark.parametrize("started", [False, True], ids=["while it runs", "at a start"])
async def test_a_host_that_the_ca_may_not_sign_for_is_told_before_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], started: bool
) -> None:
    """One that came to the policy later than the CA: else its calls would pass by every budget, and nobody know."""
    file, state = tmp_path / "policy.yaml", paths.find(tmp_path / "state")
    wanted = Wanted(policy=file, state=state, modes=("regular",), port=0)
    file.write_text("version: 1\nowner: you@acme.example\n")
    async with serving(wanted) as running:
        assert "WARNING" not in capsys.readouterr().err
        file.write_text(LATE)
        if not started:
            await in_force_after(state, running.in_force.policy.hash)
            told = capsys.readouterr().err
            assert OUTSIDE in " ".join((await asyncio.to_thread(ran, state, "status")).split())
    if started:
        async with serving(wanted):
            told = capsys.readouterr().err
            assert OUTSIDE in " ".join((await asyncio.to_thread(ran, state, "status")).split())
    assert f"spendgate: WARNING {OUTSIDE} rotate`" in told


async def test_a_machine_id_that_others_could_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start ends before anything is written."""
    file = tmp_path / "machine-id"
    file.write_text("ci-1\n")
    file.chmod(0o666)
    monkeypatch.setattr("spendgate.cli.serving.assigned_id", lambda: assigned_id(file, trusted_uid=os.geteuid()))
    with pytest.raises(StateError, match="can be written by others"):
        async with serving(Wanted(policy=None, state=paths.find(tmp_path / "state"), port=0)):
            pass
    assert not (tmp_path / "state").exists()
