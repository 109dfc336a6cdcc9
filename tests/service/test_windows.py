"""Windows' service: its steps and texts, and the commands and its process with stand-ins for what Windows alone has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
from typer.testing import CliRunner, Result

from cli.kit import app
from service.windows_stand_in import Machine, modules
from spendgate.cli import (
    desks,
    doctor_here,
    own_service,
    service_windows,
    windows_doing,
    windows_removing,
    windows_status,
)
from spendgate.cli.file_desk import FileDesk
from spendgate.config import paths
from spendgate.doctor.interface import State
from spendgate.errors import PortTaken, StateError, UsageError
from spendgate.identity.unsupported import UnsupportedLookup
from spendgate.service import windows
from spendgate.service.windows import Command, Description, Folder, installing, line, protected, sid

if sys.platform == "win32":
    pytest.skip("the service of this machine would be changed", allow_module_level=True)

STATE = PureWindowsPath(r"C:\ProgramData\Spendgate\state")
ABOUT = Description((r"C:\Program Files\Spendgate\python.exe", "-I", "-m", "spendgate"), STATE, 8099)
GATE = Path(__file__).with_name("windows_gate.py")


def test_an_account_of_a_service_has_the_number_that_windows_gives_it() -> None:
    """As Microsoft's documents tell TrustedInstaller's."""
    assert sid("TrustedInstaller") == "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"


def test_the_steps_are_all_that_is_done() -> None:
    """Folders that nobody else made, rights before the service is, the least account, more and more time between starts."""
    own = sid()
    admins = ("*S-1-5-18:(OI)(CI)F", "*S-1-5-32-544:(OI)(CI)F")
    top, state, certificate = str(STATE.parent), str(STATE), str(STATE / "ca")
    command = (
        '"C:\\Program Files\\Spendgate\\python.exe" -I -m spendgate service host'
        r" --state C:\ProgramData\Spendgate\state --port 8099"
    )
    assert line(ABOUT) == command
    made = ("start=", "auto", "error=", "normal", "obj=", r"NT SERVICE\spendgate", "DisplayName=", "Spendgate gate")
    steps = installing(ABOUT, there=False)
    assert steps[:9] == (
        Folder(STATE.parent),
        Command(("icacls.exe", top, "/inheritance:r", "/grant:r", *admins, "*S-1-5-32-545:(OI)(CI)RX", "/Q")),
        Folder(STATE.parent, whole=True),
        Folder(STATE),
        Command(("icacls.exe", state, "/setowner", "*S-1-5-32-544", "/Q")),
        Command(("icacls.exe", state, "/inheritance:r", "/grant:r", *admins, f"*{own}:(OI)(CI)M", "/Q")),
        Folder(STATE / "ca"),
        Command(("icacls.exe", certificate, "/grant:r", "*S-1-5-32-545:(OI)(CI)RX", "/Q")),
        Command(("sc.exe", "create", "spendgate", "type=", "own", "binPath=", command, *made)),
    )
    assert [each.words[1:] for each in steps[10:] if isinstance(each, Command)] == [
        ("privs", "spendgate", "SeChangeNotifyPrivilege"),
        ("failure", "spendgate", "reset=", "3600", "actions=", "restart/1000/restart/5000/restart/15000/restart/60000"),
    ]
    again = installing(ABOUT, there=True)[8]
    assert isinstance(again, Command)
    assert again.words[1:3] == ("config", "spendgate")


def test_the_system_needs_no_rights_of_its_own() -> None:
    """It has them all."""
    steps = installing(Description(ABOUT.program, STATE, as_system=True), there=False)
    words = [word for each in steps if isinstance(each, Command) for word in each.words]
    assert "LocalSystem" in words
    assert not any("S-1-5-80-" in word for word in words)


@pytest.mark.parametrize("path", ['C:\\a"b', r"C:\%TEMP%\p.yaml", "C:\\a\nb"])
def test_a_path_that_would_be_read_as_another_is_refused(path: str) -> None:
    """The registry puts variables in, and a quote begins another word."""
    with pytest.raises(UsageError, match="cannot stand in"):
        line(Description(ABOUT.program, STATE, policy=PureWindowsPath(path)))


@pytest.mark.parametrize(
    ("path", "so"),
    [
        (r"C:\Program Files\Spendgate\python.exe", True),
        (r"c:\program files\Python312\python.exe", True),
        (r"C:\Program Files\..\Users\alice\python.exe", False),
        (r"C:\Users\alice\python.exe", False),
        (r"C:\Program Files2\python.exe", False),
    ],
)
def test_what_others_may_write_is_not_started(path: str, so: bool) -> None:
    """It would run as the gate."""
    assert protected(PureWindowsPath(path), (PureWindowsPath(r"C:\Program Files"),)) is so


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A stand-in for Windows, whose places are the test's."""
    found = Machine()
    for name, each in modules(found).items():
        monkeypatch.setitem(sys.modules, name, each)

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, found.run(words), "", "")

    monkeypatch.setattr(windows_doing.subprocess, "run", run)
    monkeypatch.setattr(windows_doing, "_LOOKS_S", 0)
    monkeypatch.setattr("spendgate.cli.service_.platform.system", lambda: "Windows")
    monkeypatch.setattr(paths, "SERVICE_DIRECTORY", tmp_path / "Spendgate/state")
    monkeypatch.setattr(service_windows, "_administrator", lambda: True)
    monkeypatch.setattr(windows_removing, "trusted", lambda _: "")
    (tmp_path / "python.exe").touch()
    monkeypatch.setenv("PROGRAMFILES", str(tmp_path))
    return found


def service(*words: str) -> Result:
    """The command."""
    return CliRunner().invoke(app, ["service", *words])


def installed(tmp_path: Path, *more: str) -> Result:
    """With a program in a protected folder."""
    return service("install", "--program", str(tmp_path / "python.exe"), *more)


def test_it_is_put_up_once_told_and_taken_away(machine: Machine, tmp_path: Path) -> None:
    """A second time nothing is changed; another port stops it first; in the end nothing is left, the account's profile too."""
    state = paths.SERVICE_DIRECTORY
    assert "no service is installed" in str(service("status").exception)
    assert list(doctor_here.of_service(FileDesk(Path("/nowhere")))) == []
    said = installed(tmp_path).stderr
    assert "started; " in said
    assert "no call has a person" in said
    assert (state / "ca").is_dir()
    before = len(machine.ran)
    assert "runs as it should; nothing was changed" in installed(tmp_path).stderr
    assert len(machine.ran) == before

    found = windows_status.there()[0]
    assert (found.state, found.enabled, found.result, found.pid) == ("active (running)", "enabled", "success", 913)
    assert service("status", "--format", "json").exit_code == 0
    assert [each.state for each in doctor_here.of_service(FileDesk(Path("/nowhere")))] == [State.FINE]
    assert 8080 in own_service._listening()
    assert "`spendgate service status` shows it" in str(
        own_service.told(PortTaken(8080, "in use", "choose"), UnsupportedLookup())
    )

    assert "restarted; " in installed(tmp_path, "--port", "9000").stderr
    assert [words[1] for words in machine.ran[before:] if words[0] == "sc.exe"][:2] == ["stop", "config"]
    assert service("stop").exit_code == 0
    stopped = service("status")
    assert (stopped.exit_code, "inactive (stopped)" in stopped.stdout) == (1, True)

    (state / "private").mkdir()
    (state / "ledger.db").touch()
    machine.profiles.append(sid())
    assert service("uninstall").exit_code == 0
    assert (machine.service, machine.profiles, state.parent.exists()) == (None, [], False)
    assert "nothing was changed" in service("uninstall").stderr


def test_the_ledger_stays_where_it_is_wanted(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Administrators' alone, and nothing beside it, when rights are given to all that is there: the gate's account may have put
    there what leads elsewhere."""
    assert installed(tmp_path).exit_code == 0
    state, seen, run = paths.SERVICE_DIRECTORY, list[set[str]](), machine.run
    for name in ("ledger.db", "heads.json", "gate.log"):
        (state / name).touch()
    (state / "ledger.db-wal").mkdir()
    (state / "elsewhere").symlink_to(tmp_path)
    monkeypatch.setattr(
        machine, "run", lambda words: seen.append({each.name for each in state.iterdir()}) or run(words)
    )
    assert service("uninstall", "--keep-ledger").exit_code == 0
    assert seen[-3:-1] == [{"heads.json", "ledger.db"}] * 2
    assert sorted(each.name for each in paths.SERVICE_DIRECTORY.iterdir()) == ["heads.json", "ledger.db"]
    assert [words[2] for words in machine.ran[-3:-1]] == ["/setowner", "/remove"]


def test_a_certificate_that_is_still_trusted_is_told(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours put it there."""
    monkeypatch.setattr(windows_removing, "trusted", lambda _: "AB12")
    assert installed(tmp_path).exit_code == 0
    assert "certutil -delstore Root AB12" in service("uninstall").stderr


def not_the_administrators(machine: Machine) -> None:
    machine.owners["Spendgate"] = "S-1-5-21-1"


def another(machine: Machine) -> None:
    machine.service = {"state": 4, "code": 0, "pid": 1, "line": r"C:\x.exe", "account": "LocalSystem", "start": "auto"}


def fails(machine: Machine) -> None:
    machine.starts = False


@pytest.mark.parametrize("verb", ["stop", "uninstall"])
def test_anothers_service_is_left_alone(machine: Machine, verb: str) -> None:
    """Of the same name."""
    another(machine)
    assert "was not made by `spendgate service install`" in str(service(verb).exception)
    assert machine.ran == []


@pytest.mark.parametrize(
    ("so", "words", "told"),
    [
        (not_the_administrators, (), "was made by an account that is no administrator's"),
        (another, (), "`spendgate service install` did not make"),
        (fails, (), "did not start; see "),
        (lambda _: None, ("--mode", "transparent"), "--as-system and --dry-run alone"),
        (lambda _: None, ("--policy", "/nowhere/policy.yaml"), "policy.yaml is not there"),
        (lambda _: None, ("--program", "/usr/bin/env"), "others than administrators may write"),
    ],
    ids=["folder", "another service", "no start", "mode", "policy", "program"],
)
def test_what_cannot_be_is_told(
    machine: Machine, tmp_path: Path, so: Callable[[Machine], None], words: tuple[str, ...], told: str
) -> None:
    """With the remedy, and nothing is put into a folder of somebody's."""
    so(machine)
    assert told in str(installed(tmp_path, *words).exception)


def test_a_dry_run_does_nothing(machine: Machine) -> None:
    """And needs no administrator."""
    for verb in ("install", "uninstall"):
        done = service(verb, "--dry-run")
        assert done.exit_code == 0, done.output
        assert "sc.exe" in done.stdout
    assert (machine.ran, machine.service) == ([], None)


def test_a_virtual_environment_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its launcher would go with a person who logs off."""
    monkeypatch.setattr(sys, "prefix", "/venv")
    assert "is a virtual environment" in str(service("install").exception)
    assert machine.service is None


def test_without_pywin32_it_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setitem(sys.modules, "win32service", None)
    assert "pip install pywin32" in str(service("status").exception)
    [check] = doctor_here.of_service(FileDesk(Path("/nowhere")))
    assert check.state is State.UNSEEN


def test_only_windows_has_them() -> None:
    """An option that does nothing would be believed."""
    assert isinstance(service("install", "--as-system").exception, UsageError)
    assert isinstance(service("host", "--state", "/x").exception, StateError)


def hosted(tmp_path: Path, port: int, **more: str) -> tuple[int, list[str], str]:
    """The gate's process: exit status, the states that the manager heard, its log."""
    state = tmp_path / "state"
    state.mkdir(mode=0o711)
    words = [sys.executable, "-W", "ignore", str(GATE), "service", "host", "--state", str(state), "--port", str(port)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "USERNAME": "alice", **more}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    log = state / windows.LOG
    return done.returncode, done.stderr.splitlines(), log.read_text() if log.exists() else done.stderr


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_the_gate_starts_and_stops_as_the_manager_says(tmp_path: Path) -> None:
    """Running is said when it accepts connections, stopped when it has ended; what it prints is in its log."""
    status, states, log = hosted(tmp_path, free_port())
    assert status == 0, log
    assert states == ["state 2", "state 4", "state 3", "state 3", "state 1"], log
    assert "ready regular=127.0.0.1:" in log


def test_a_gate_that_fails_says_no_word_of_stopping(tmp_path: Path) -> None:
    """Which the manager takes for a failure, and starts it again; why is in the log. Without a manager it does not run."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, states, log = hosted(tmp_path, other.getsockname()[1])
    assert (status, states) == (1, ["state 2"])
    assert "cannot be listened on" in log
    (tmp_path / "alone").mkdir()
    alone = hosted(tmp_path / "alone", free_port(), unmanaged="1")
    assert (alone[0], alone[1]) == (1, [])
    assert "`spendgate run` needs none" in alone[2]
    (tmp_path / "bare").mkdir()
    bare = hosted(tmp_path / "bare", free_port(), no_pywin32="1")
    assert (bare[0], "pip install pywin32" in bare[2]) == (1, True)


def test_a_person_is_told_where_the_services_ledger_is(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for that of a person who has none."""
    monkeypatch.delenv("SPENDGATE_STATE", raising=False)
    monkeypatch.setattr(paths, "find", lambda _: paths.State(tmp_path / "own"))
    assert isinstance(desks.desk(None), FileDesk)
    assert installed(tmp_path).exit_code == 0
    with pytest.raises(StateError, match="administrators' to read: `spendgate COMMAND --state"):
        desks.desk(None)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/ledger.db").touch()
    assert isinstance(desks.desk(None), FileDesk)
