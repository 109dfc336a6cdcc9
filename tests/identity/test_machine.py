"""The machine's id: stable, not the system's own, never the host name."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spendgate.errors import StateError
from spendgate.identity.machine import APPLICATION, machine_id


def test_the_systems_id_is_hashed_for_this_application(tmp_path: Path) -> None:
    """A known id gives a known answer, which does not hold the id; nothing is written."""
    (tmp_path / "id").write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")

    assert machine_id(tmp_path / "state", tmp_path / "id") == "85d7825b9762431c95c9e4015582e76f"
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(shutil.which("systemd-id128") is None, reason="needs systemd-id128")
def test_it_is_what_systemd_would_say(tmp_path: Path) -> None:
    """The rule of machine-id(5), by its own tool."""
    command = ["systemd-id128", "machine-id", f"--app-specific={APPLICATION.hex}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("this system has no machine id")

    assert machine_id(tmp_path) == told.stdout.strip()


@pytest.mark.parametrize(
    "text",
    [pytest.param(None, id="none"), pytest.param("uninitialized\n", id="image"), pytest.param("0" * 32, id="zero")],
)
def test_without_one_an_id_is_drawn_once(tmp_path: Path, text: str | None) -> None:
    """Kept in the state directory, and the same from then on."""
    if text is not None:
        (tmp_path / "id").write_text(text)
    drawn = machine_id(tmp_path, tmp_path / "id")

    assert len(drawn) == 32
    assert machine_id(tmp_path, tmp_path / "id") == drawn
    assert sorted(file.name for file in tmp_path.iterdir() if file.name != "id") == ["machine-id"]


def test_two_gates_starting_at_once_agree(tmp_path: Path) -> None:
    """One id is drawn, whoever comes first."""
    with ThreadPoolExecutor(8) as pool:
        drawn = set(pool.map(lambda _: machine_id(tmp_path, tmp_path / "none"), range(32)))

    assert len(drawn) == 1


def test_a_broken_kept_id_is_told(tmp_path: Path) -> None:
    """Not drawn anew in silence: the machine would become another."""
    (tmp_path / "machine-id").write_text("what")

    with pytest.raises(StateError, match="does not hold a machine id"):
        machine_id(tmp_path, tmp_path / "none")


def test_a_state_directory_that_cannot_hold_it_is_told(tmp_path: Path) -> None:
    """The fault names the file."""
    with pytest.raises(StateError, match="cannot be kept"):
        machine_id(tmp_path / "missing", tmp_path / "none")


# -- assigned by an administrator ------------------------------------------------------------------------------------


def _assigned(folder: Path, text: str = "C02XK1ZYJGH5\n") -> Path:
    """The file that an MDM puts in place."""
    home = folder / "etc"
    home.mkdir(mode=0o755)
    file = home / "machine-id"
    file.write_text(text)
    file.chmod(0o644)
    return file


@pytest.mark.parametrize("text", ["C02XK1ZYJGH5\n", "ci-7", "4C4C4544-0042-3510-8052-B4C04F4E3532\r\n"])
def test_an_assigned_id_is_the_machines(tmp_path: Path, text: str) -> None:
    """As the MDM wrote it, whatever the system's own is."""
    assert machine_id(tmp_path, assigned=_assigned(tmp_path, text), trusted_uid=os.geteuid()) == text.strip()


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "-x", "x" * 65, "\u00e4", "a|b", "\0"])
def test_what_is_no_id_ends_the_start(tmp_path: Path, text: str) -> None:
    """Not taken for another machine in silence."""
    with pytest.raises(StateError, match="does not hold a machine's id"):
        machine_id(tmp_path, assigned=_assigned(tmp_path, text), trusted_uid=os.geteuid())


@pytest.mark.parametrize("what", ["file", "folder", "owner"])
def test_an_id_that_others_could_write_ends_the_start(tmp_path: Path, what: str) -> None:
    """Whoever chooses a machine's id chooses its budgets."""
    file = _assigned(tmp_path)
    if what != "owner":
        (file if what == "file" else file.parent).chmod(0o777)
    with pytest.raises(StateError, match=r"can be written by others than root; run: chown root .*; chmod go-w"):
        machine_id(tmp_path, assigned=file, trusted_uid=os.geteuid() + (what == "owner"))


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    """Whatever is there is looked at, and nothing breaks."""
    file = _assigned(tmp_path)
    file.unlink()
    file.mkdir(mode=0o755)
    with pytest.raises(StateError, match="cannot be read: Is a directory"):
        machine_id(tmp_path, assigned=file, trusted_uid=os.geteuid())
