"""The state directory: where it is, its modes, and what is not trusted."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from spendgate.config.paths import SERVICE_DIRECTORY, State, find, prepare, write_private
from spendgate.errors import StateError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and owners of POSIX")


@pytest.mark.parametrize(
    ("chosen", "variable", "service", "expected"),
    [
        pytest.param("/a", "/b", True, Path("/a"), id="--state first"),
        pytest.param(None, "/b", True, Path("/b"), id="then SPENDGATE_STATE"),
        pytest.param(None, "", True, SERVICE_DIRECTORY, id="then the service's"),
    ],
)
def test_where_it_is(chosen: str | None, variable: str, *, service: bool, expected: Path) -> None:
    """The command line wins over the variable, the variable over the system's own place."""
    found = find(Path(chosen) if chosen else None, environ={"SPENDGATE_STATE": variable}, service=service)
    assert found.root == expected


def test_a_users_own_is_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without root and without a choice it lies where the platform keeps a user's data."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert tmp_path in find(environ={}, service=False).root.parents


def test_a_relative_variable_is_refused() -> None:
    """It would mean another place in every working directory."""
    with pytest.raises(StateError, match="must be an absolute path"):
        find(environ={"SPENDGATE_STATE": "state"}, service=False)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        pytest.param({"HOME": "home"}, "HOME is 'home'", id="home"),
        pytest.param({"XDG_DATA_HOME": "data", "HOME": "/home/alice"}, "XDG_DATA_HOME is 'data'", id="data"),
    ],
)
def test_a_relative_home_is_refused(variables: dict[str, str], named: str) -> None:
    """It is not passed over in silence: the ledger would be another than the one that is meant."""
    with pytest.raises(StateError, match=f"{named}; it must be an absolute path"):
        find(environ=variables, service=False)


def test_a_relative_home_that_decides_nothing_is_nobodys_matter() -> None:
    """What was chosen goes before it, and XDG_DATA_HOME does."""
    assert find(Path("/a"), environ={"HOME": "home"}).root == Path("/a")
    assert find(environ={"SPENDGATE_STATE": "/b", "HOME": "home"}).root == Path("/b")
    assert find(environ={"HOME": "home"}, service=True).root == SERVICE_DIRECTORY
    assert find(environ={"XDG_DATA_HOME": "/data", "HOME": "home"}, service=False)


def test_a_relative_state_is_where_it_is_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As any path of a command line."""
    monkeypatch.chdir(tmp_path)

    assert find(Path("mine")).root == tmp_path / "mine"


def test_folders_have_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    """Everybody can reach the certificate; nobody else anything else."""
    before = os.umask(0)
    try:
        state = prepare(State(tmp_path / "new" / "state"))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (state.root, *state.root.iterdir())}
    assert modes == {"state": 0o711, "ca": 0o755, "private": 0o700, "policy": 0o700, "gates": 0o700}


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    """What an administrator has narrowed stays narrow."""
    state = prepare(State(tmp_path / "state"))
    state.root.chmod(0o700)
    assert prepare(state) == state
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("folder", ["", "private", "policy"])
def test_what_others_can_write_is_not_trusted(tmp_path: Path, folder: str) -> None:
    """A folder that a group or everybody may write to is refused with the remedy."""
    state = prepare(State(tmp_path / "state"))
    (state.root / folder).chmod(0o770)
    with pytest.raises(StateError, match="can be written by other accounts; run: chmod go-w"):
        prepare(state)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_what_another_account_owns_is_not_trusted(tmp_path: Path) -> None:
    """A directory of another account could hand the gate a forged ledger."""
    state = prepare(State(tmp_path / "state"))
    os.chown(state.root, 12345, 12345)
    with pytest.raises(StateError, match="belongs to uid 12345"):
        prepare(state)


def test_a_link_is_not_trusted(tmp_path: Path) -> None:
    """A link could be turned elsewhere after it was checked."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="not a directory of its own"):
        prepare(State(tmp_path / "state"))


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    """A file where the directory should be is a clear error, and so is one above it."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StateError, match="not a directory of its own"):
        prepare(State(tmp_path / "state"))
    with pytest.raises(StateError, match="choose another place with --state"):
        prepare(State(tmp_path / "state" / "inner"))


def test_a_place_that_everybody_can_swap_is_not_trusted(tmp_path: Path) -> None:
    """Under a folder that is everybody's and not sticky, anyone could put another directory in its place."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StateError, match="can be written by everybody"):
        prepare(State(tmp_path / "open" / "state"))
    (tmp_path / "open").chmod(0o1777)
    assert prepare(State(tmp_path / "open" / "state"))


def test_the_layout_is_the_documented_one() -> None:
    """Paths that scripts rely on."""
    state = State(Path("/s"))
    paths = (state.ledger, state.ca_certificate, state.ca_key, state.last_good_policy, state.gates)
    assert [path.as_posix() for path in paths] == [
        "/s/ledger.db", "/s/ca/ca-cert.pem", "/s/private/ca-key.pem", "/s/policy/last-good.yaml", "/s/gates",
    ]  # fmt: skip


def test_a_private_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """It replaces the old one at once, is nobody else's, and leaves nothing behind where it fails."""
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "folder", b"x")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["folder", "key"]
