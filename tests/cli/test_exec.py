"""What a script learns from `spendgate exec`: the exit status of the command that it ran, or why none was run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.cli import exec_
from spendgate.errors import LedgerUnavailable, StateError
from spendgate.gate.gate import Gate

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate needs no other proxy to go through."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def executed(folder: Path, *command: str) -> Result:
    """`spendgate exec` on a ledger of its own."""
    return CliRunner().invoke(app, ["exec", "--state", str(folder / "state"), "--", *command])


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param((sys.executable, "-c", "raise SystemExit(7)"), 7, id="its own"),
        pytest.param(
            (sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"), 128 + signal.SIGTERM, id="a signal"
        ),
        pytest.param(("/no/such/program",), 127, id="not found"),
        pytest.param((str(Path(__file__)),), 126, id="cannot be run"),
    ],
)
def test_the_exit_status_is_the_commands(tmp_path: Path, command: tuple[str, ...], status: int) -> None:
    """As its help says, and as a shell would tell it."""
    answer = executed(tmp_path, *command)
    assert answer.exit_code == status, f"{answer.output}\n{answer.exception!r}"


def test_a_command_that_goes_by_no_proxy_is_told(tmp_path: Path) -> None:
    """Its bill would else promise that nothing was spent; one that came to the gate, for whatever, has no such line."""
    silent = executed(tmp_path, sys.executable, "-c", "")
    assert "no connection came to the gate" in silent.stderr
    asks = "import os, socket; host, port = os.environ['HTTPS_PROXY'][7:].split(':'); socket.create_connection((host, int(port)))"
    assert "no connection came" not in executed(tmp_path, sys.executable, "-c", asks).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has such a limit")
def test_the_command_keeps_its_limit_of_open_files(tmp_path: Path) -> None:
    """The gate raises its own; a program that uses `select(2)` cannot do with more."""
    product = f"{sys.executable} -m spendgate exec --state {tmp_path / 'state'}"
    ended = subprocess.run(
        ["sh", "-c", f"ulimit -Sn 777; exec {product} -- sh -c 'ulimit -Sn'"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.stdout, ended.returncode) == ("777\n", 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_bill_that_cannot_be_written_does_not_hide_the_exit_status(tmp_path: Path) -> None:
    """Nor does what the interpreter then does at its end."""
    product = [sys.executable, "-m", "spendgate", "exec", "--state", str(tmp_path / "state")]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*product, "--", "sh", "-c", "echo ran; exit 7"], check=False, stdout=subprocess.PIPE, stderr=full
        )
    assert (ended.stdout, ended.returncode) == (b"ran\n", 7)


def test_a_bill_that_cannot_be_made_does_not_hide_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command has run; what failed afterwards is a line on stderr."""

    def broken(ledger: Path, gate: int) -> None:
        raise StateError(f"{ledger} cannot be read")

    monkeypatch.setattr(exec_, "bill", broken)
    answer = executed(tmp_path, sys.executable, "-c", "raise SystemExit(7)")
    assert answer.exit_code == 7
    assert "no bill: " in answer.stderr


@pytest.mark.parametrize(
    ("command", "status"), [((sys.executable, "-c", "raise SystemExit(7)"), 7), (("/no/such",), 127)]
)
def test_a_gate_that_cannot_end_as_it_should_does_not_hide_the_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], status: int
) -> None:
    """On a machine under load its last writes may come too late, or its disk may be full."""
    stop = Gate.stop

    async def unwell(gate: Gate, patience_s: float = 5.0) -> int:
        await stop(gate, patience_s)
        raise LedgerUnavailable("the ledger is busy")

    monkeypatch.setattr(Gate, "stop", unwell)
    answer = executed(tmp_path, *command)
    assert answer.exit_code == status, f"{answer.output}\n{answer.exception!r}"
    assert "the ledger is busy" in answer.stderr
