"""Where a gate's socket lies, in what folder, and which command a refusal then names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spendgate.cli.asking import ask_command
from spendgate.cli.attending import PATH_BYTES_MAX, placed, prepare, socket_of
from spendgate.config import paths
from spendgate.config.paths import State
from spendgate.errors import StateError, UsageError

if sys.platform != "linux":
    pytest.skip("the service's socket: Linux alone for now", allow_module_level=True)


def test_a_services_gate_has_one_at_the_usual_place(tmp_path: Path) -> None:
    """Another has one where it is told to, or none; a path that no socket can have is wrong usage."""
    assert socket_of(None, State(paths.SERVICE_DIRECTORY)) == paths.SOCKET
    assert socket_of(None, State(tmp_path)) is None
    assert socket_of(tmp_path / "gate.sock", State(tmp_path)) == tmp_path / "gate.sock"
    with pytest.raises(UsageError, match="longer than a socket's path may be"):
        socket_of(Path("/") / ("x" * PATH_BYTES_MAX), State(tmp_path))


def test_the_folder_is_nobody_elses_to_write(tmp_path: Path) -> None:
    """Made where it is not there; whoever may write it could answer in the gate's place."""
    folder = tmp_path / "run"
    prepare(folder / "gate.sock")
    assert folder.stat().st_mode & 0o777 == 0o755 & ~_umask()
    folder.chmod(0o777)
    with pytest.raises(StateError, match="not a directory of root's or our own that nobody else can write"):
        prepare(folder / "gate.sock")
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(StateError, match="not a directory"):
        prepare(folder / "gate.sock")
    with pytest.raises(StateError, match="choose another place with --socket"):
        prepare(tmp_path / "not" / "there" / "gate.sock")


def test_a_usual_place_that_cannot_be_had_stops_no_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It captures all the same, and says who cannot ask it; a place that somebody chose is theirs to put right."""
    usual = tmp_path / "not" / "there" / "gate.sock"
    monkeypatch.setattr(paths, "SOCKET", usual)
    assert placed(usual) is None
    assert "other accounts cannot ask this gate: " in capsys.readouterr().err
    with pytest.raises(StateError):
        placed(tmp_path / "nor" / "there" / "gate.sock")
    assert placed(None) is None


def test_a_refusals_command_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's at the usual place needs no more words; beside one, a gate of one's own names its directory."""
    monkeypatch.setattr(paths, "SOCKET", tmp_path / "gate.sock")
    own = paths.find(environ={})
    assert ask_command(State(tmp_path), paths.SOCKET) == "spendgate ask"
    assert (
        ask_command(State(tmp_path), tmp_path / "my run" / "x.sock")
        == f"spendgate ask --state '{tmp_path}/my run/x.sock'"
    )
    assert ask_command(own) == "spendgate ask"
    paths.SOCKET.touch()
    assert ask_command(own) == f"spendgate ask --state {own.root}"


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found
