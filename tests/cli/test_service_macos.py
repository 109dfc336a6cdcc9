"""`spendgate service` on macOS: its script run with stand-ins for what only a Mac has, and what is read of launchd's words."""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

if sys.platform == "win32":
    pytest.skip("sh is POSIX", allow_module_level=True)

from cli.kit import app
from mdm.test_launchd import PROGRAM, STATE, Mac
from spendgate.cli import doctor_here, service_macos
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.service_macos import JOB, LABEL, Wanted, printed, script
from spendgate.config import paths
from spendgate.doctor.interface import State
from spendgate.errors import StateError, UsageError

PRINTED = """\
system/spendgate.gate = {
\tactive count = 1
\tpath = /Library/LaunchDaemons/spendgate.gate.plist
\tstate = %s
\truns = 3
%s\tlast exit code = %s
\tspawn type = interactive (4)
\tendpoints = {
\t\tstate = active
\t\tpid = 1
\t}
}
"""
RUNS, ENDED = PRINTED % ("running", "\tpid = 913\n", "(never exited)"), PRINTED % ("not running", "", "78: EX_CONFIG")


def service(*words: str) -> Result:
    """The command."""
    return CliRunner().invoke(app, ["service", *words])


@pytest.fixture(autouse=True)
def _on_a_mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whose places are the test's, and whose launchd has the job."""
    monkeypatch.setattr("spendgate.cli.service_.platform.system", lambda: "Darwin")
    monkeypatch.setattr(service_macos, "JOB", tmp_path / "jobs" / JOB.name)
    monkeypatch.setattr(service_macos, "_launchctl", lambda: RUNS)
    monkeypatch.setattr(service_macos, "_run", lambda _: pytest.fail("something was changed"))
    monkeypatch.setattr(paths, "SERVICE_DIRECTORY", tmp_path / "state")
    (tmp_path / "jobs").mkdir()


@pytest.mark.parametrize("name", ["a\nEND_OF_SPENDGATE\nid\n", "\x01.yaml"])
def test_a_path_that_no_job_can_hold_is_refused(name: str) -> None:
    """A line of it could end the job's text, and what follows would be root's next command."""
    with pytest.raises(UsageError, match="cannot stand in a job"):
        script(Wanted(Path("/x") / name, 8080, Path(PROGRAM)))
    with pytest.raises(UsageError, match="cannot stand in a job"):
        script(Wanted(None, 8080, Path("/x") / name))


def test_the_script_starts_the_job_once_and_again_where_it_is_another(tmp_path: Path) -> None:
    """As the gate's account, with a policy that this account can read; what is so already is left."""
    mac, file = Mac(tmp_path), tmp_path / "script"
    policy = mac.root / "etc/policy.yaml"
    sudo = tmp_path / "bin/sudo"
    sudo.write_text('#!/bin/sh\necho "sudo $*" >> "$LOG"\nshift 2\nexec "$@"\n')
    sudo.chmod(0o755)
    (mac.root / "Library/LaunchDaemons").mkdir(parents=True)
    file.write_text(script(Wanted(policy, 9000, Path(PROGRAM))))
    unread = mac.run(file)
    assert (unread.returncode, "cannot read the policy" in unread.stderr) == (1, True)
    assert "bootstrap" not in mac.log.read_text()
    policy.parent.mkdir()
    policy.touch()
    for times in range(2):
        done = mac.run(file)
        assert (done.returncode, done.stderr) == (0, "")
        assert ("bootstrap system\n" in mac.log.read_text()) is (times == 0)
    job = plistlib.loads(
        (mac.root / f"Library/LaunchDaemons/{LABEL}.plist").read_bytes().replace(str(mac.root).encode(), b"")
    )
    assert job["Label"] == LABEL
    assert job["ProgramArguments"] == [
        PROGRAM,
        "run",
        "--state",
        STATE,
        "--port",
        "9000",
        "--policy",
        "/etc/policy.yaml",
    ]
    file.write_text(script(Wanted(None, 9001, Path(PROGRAM))))
    assert mac.run(file).returncode == 0
    assert f"bootout system/{LABEL}\nbootstrap system\n" in mac.log.read_text()


def test_a_dry_run_is_what_would_be_run() -> None:
    """Nothing else is done, and no root is asked for."""
    done = service("install", "--dry-run", "--program", PROGRAM, "--port", "9000")
    assert (done.exit_code, done.stdout) == (0, script(Wanted(None, 9000, Path(PROGRAM))))
    gone = service("uninstall", "--dry-run")
    assert gone.exit_code == 0
    assert f"launchctl bootout system/{LABEL}" in gone.stdout
    assert "dscl . -delete" in gone.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("install", "--mode", "transparent"),
        ("install", "--upstream", "http://proxy.acme.example:3128"),
        ("install", "--root", "/x"),
        ("uninstall", "--root", "/x"),
    ],
)
def test_what_macos_has_not_is_refused_with_the_reason(words: tuple[str, ...]) -> None:
    """An option that does nothing would be believed."""
    result = service(*words)
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize("words", [("redirect",), ("clerk",)])
def test_what_redirects_is_linuxs(words: tuple[str, ...]) -> None:
    """There is no such service."""
    assert isinstance(service(*words).exception, StateError)


@pytest.mark.parametrize(
    ("said", "state", "pid", "result"),
    [
        pytest.param(RUNS, "active (running)", 913, "success", id="runs"),
        pytest.param(ENDED, "inactive (not running)", 0, "exit code 78: EX_CONFIG", id="ended"),
        pytest.param("", "inactive (not loaded)", 0, "success", id="stopped"),
    ],
)
def test_status_says_how_it_is(monkeypatch: pytest.MonkeyPatch, said: str, state: str, pid: int, result: str) -> None:
    """By launchd's word on the job itself, not on what is in it; exit status 1 unless it runs, and `doctor` has it."""
    monkeypatch.setattr(service_macos, "_launchctl", lambda: said)
    assert "no service is installed" in str(service("status").exception)
    service_macos.JOB.touch()
    found = service_macos.asked()
    assert (found.state, found.pid, found.result) == (state, pid, result)
    assert found.restarts == (2 if said else 0)
    assert service("status", "--format", "json").exit_code == (0 if pid else 1)
    [check] = doctor_here.of_service(FileDesk(Path("/nowhere")))
    assert check.state is (State.FINE if pid else State.FINDING)
    assert bool(check.remedy) is not bool(pid)


def test_words_that_are_no_numbers_are_not_taken_for_them() -> None:
    """It is printed for people, and may change."""
    assert printed("\tpid = ?\n\truns = many\n\tstate = running\n") == {"state": "running"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the command")
def test_two_daemons_of_one_ledger_are_not_made(tmp_path: Path) -> None:
    """A rollout's is told with its file; another program's is none."""
    (tmp_path / "jobs/com.other.plist").write_text("<string>/x</string>")
    (tmp_path / "jobs/com.acme.spendgate.gate.plist").write_text(f"<string>{STATE}</string>")
    result = service("install", "--program", "/bin/sh")
    assert "com.acme.spendgate.gate.plist starts a gate with this ledger already" in str(result.exception)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the command")
@pytest.mark.parametrize("keep", [False, True])
def test_it_is_taken_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keep: bool) -> None:
    """Ended before its folder goes, the account last; a second time there is nothing to do."""
    ran: list[str] = []
    monkeypatch.setattr(service_macos, "_run", ran.append)
    assert service("uninstall").exit_code == 0
    assert ran == []
    service_macos.JOB.touch()
    (tmp_path / "state/private").mkdir(parents=True)
    (tmp_path / "state/ledger.db").touch()
    assert service("uninstall", *(["--keep-ledger"] if keep else [])).exit_code == 0
    ended, unmade = ran
    assert f"\nlaunchctl bootout system/{LABEL} 2> /dev/null || true\n" in ended
    assert "dscl . -delete" in unmade
    assert str(service_macos.JOB) in unmade
    assert (tmp_path / "state/ledger.db").exists() is keep
    assert not (tmp_path / "state/private").exists()
    assert "stopped" in service("stop").stderr
