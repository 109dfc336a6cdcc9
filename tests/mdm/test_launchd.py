"""The gate as a launchd daemon: its job by launchd.plist(5), and the scripts run with stand-ins for what only a Mac has."""

from __future__ import annotations

import os
import plistlib
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from mdm.kit import made, make, rollout, write
from mdm.test_rollout_file import POLICY, signed

PROGRAM = "/opt/spendgate/bin/spendgate"
JOB = "Library/LaunchDaemons/com.acme.spendgate.gate.plist"
STATE = "/Library/Application Support/Spendgate"
DOCUMENTED = {
    "Label": str, "ProgramArguments": list, "UserName": str, "GroupName": str, "RunAtLoad": bool, "KeepAlive": bool,
    "ThrottleInterval": int, "ExitTimeOut": int, "ProcessType": str, "Umask": int, "SoftResourceLimits": dict,
    "HardResourceLimits": dict, "StandardErrorPath": str,
}  # fmt: skip
"""Those of launchd.plist(5) that are used, with their types."""
STAND_INS = {
    "id": "echo 0",
    "stat": "echo 0",
    "security": "true",
    "chown": 'echo "chown $*" >> "$LOG"',
    "dscl": """
        echo "dscl $*" >> "$LOG"
        case "$2" in
        -read) [ -e "$MAC/account" ] ;;
        -search) [ "$5" != 400 ] || echo taken ;;
        -create) [ "$4" != UniqueID ] || touch "$MAC/account" ;;
        -delete) rm -f "$MAC/account" ;;
        esac""",
    "launchctl": """
        case "$1" in
        print) [ -e "$MAC/loaded" ] ;;
        bootstrap) echo "$1 $2" >> "$LOG"; touch "$MAC/loaded" ;;
        bootout) case "$2" in system/*) echo "$1 $2" >> "$LOG"; rm "$MAC/loaded" ;; esac ;;
        esac""",
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The material of a rollout that starts the gate on Macs."""
    return made(tmp_path, mode="proxy", port=9000, macos_program=PROGRAM) / "macos"


class Mac:
    """A folder as a Mac's root, and stand-ins that note what was asked of them; its program is there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mac"
        self._bin, self.log = folder / "bin", folder / "log"
        self._bin.mkdir()
        for name, body in STAND_INS.items():
            self.stands_in(name, body)
        program = self.root / PROGRAM[1:]
        program.parent.mkdir(parents=True)
        program.touch(0o755)

    def stands_in(self, name: str, body: str) -> None:
        """For a program of macOS."""
        (self._bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self._bin / name).chmod(0o755)

    def run(self, script: Path) -> subprocess.CompletedProcess[str]:
        """A script, every absolute place in it below the folder; the log begins anew."""
        text = script.read_text()
        for top in ("/Library/", "/etc/spendgate", "/opt/", "/System/"):
            text = text.replace(top, f"{self.root}{top}")
        self.log.write_text("")
        env = {"PATH": f"{self._bin}:/usr/bin:/bin", "LOG": str(self.log), "MAC": str(self.root)}
        return subprocess.run(["sh"], input=text, env=env, capture_output=True, text=True, check=False)


def test_the_job_is_one_that_launchd_knows(out: Path, tmp_path: Path) -> None:
    """Every key with its type; started as the gate's own account, at the rollout's port; root's alone to write."""
    mac = Mac(tmp_path)
    assert mac.run(out / "install.sh").returncode == 0
    file = mac.root / JOB
    job = plistlib.loads(file.read_bytes().replace(str(mac.root).encode(), b""))
    assert {key: type(value) for key, value in job.items()} == DOCUMENTED
    assert job["ProgramArguments"] == [PROGRAM, "run", "--state", STATE, "--port", "9000"]
    assert (job["Label"], job["UserName"], job["Umask"]) == ("com.acme.spendgate.gate", "_spendgate", 0o077)
    assert job["HardResourceLimits"].keys() == {"Core", "NumberOfFiles"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_what_still_ends_is_waited_for(out: Path, tmp_path: Path) -> None:
    """`bootout` comes back while the gate settles what ran: its folder and its account are its own until then. Not for ever."""
    mac = Mac(tmp_path)
    assert mac.run(out / "install.sh").returncode == 0
    mac.stands_in("sleep", 'echo "sleep $*" >> "$LOG"')
    mac.stands_in(
        "launchctl",
        """
        case "$1 $2" in
        "bootout system/"*) echo "$1 $2" >> "$LOG" ;;
        "print system/"*) [ "$(grep -c sleep "$LOG")" -lt 2 ] ;;
        esac""",
    )
    done = mac.run(out / "remove.sh")

    assert (done.returncode, done.stderr) == (0, "")
    said = [line.split()[0] for line in mac.log.read_text().splitlines()]
    assert said == ["bootout", "sleep", "sleep", "chown", "dscl", "dscl"]
    mac.stands_in("launchctl", "true")
    assert mac.run(out / "remove.sh").returncode == 0
    assert mac.log.read_text().count("sleep") == 35


def test_a_daily_run_cuts_nobody_and_a_change_starts_anew(out: Path, tmp_path: Path) -> None:
    """Account, folder and job once; a second run starts nothing; a job that was changed or has gone is started again."""
    mac = Mac(tmp_path)
    done = mac.run(out / "install.sh")
    assert (done.returncode, done.stderr.partition(":")[0]) == (0, "nothing leads to the gate yet")
    first = mac.log.read_text()
    assert "dscl . -create /Users/_spendgate UniqueID 401\n" in first  # 400 was somebody's
    assert first.index("create /Users/_spendgate UniqueID") > first.index("UserShell /usr/bin/false")
    assert first.endswith("bootstrap system\n")
    assert "not there" not in mac.run(out / "verify.sh").stdout

    assert mac.run(out / "install.sh").returncode == 0
    again = mac.log.read_text()
    assert "create" not in again
    assert "boot" not in again

    (mac.root / JOB).write_text("changed")
    assert mac.run(out / "install.sh").returncode == 0
    assert "bootout system/com.acme.spendgate.gate\nbootstrap system\n" in mac.log.read_text()

    (mac.root / "loaded").unlink()
    assert "not there: the job com.acme.spendgate.gate\n" in mac.run(out / "verify.sh").stdout
    assert mac.run(out / "install.sh").returncode == 0
    assert "bootstrap system\n" in mac.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another account")
def test_a_daily_run_gives_nothing_to_the_gates_account(out: Path, tmp_path: Path) -> None:
    """It may write its folder, and a link there may be to a file that is none of its; a kept ledger is given back to it once."""
    mac = Mac(tmp_path)
    mac.run(out / "install.sh")
    state = mac.root / STATE[1:]
    (state / "ledger.db").touch()
    (tmp_path / "roots").touch()
    os.link(tmp_path / "roots", state / "linked")
    mac.run(out / "install.sh")  # root's, as after a removal
    assert f"{state} {state}/ledger.db\n" in mac.log.read_text()
    os.chown(state, 4242, 4242)
    mac.run(out / "install.sh")
    assert "chown" not in mac.log.read_text()


def test_it_is_taken_away_and_the_ledger_stays(out: Path, tmp_path: Path) -> None:
    """Twice: job, account and files go; the state folder is root's alone from then on."""
    mac = Mac(tmp_path)
    mac.run(out / "install.sh")
    ledger = mac.root / STATE[1:] / "ledger.db"
    ledger.touch()
    for _ in range(2):
        done = mac.run(out / "remove.sh")
        assert (done.returncode, done.stderr) == (0, "")
    assert not (mac.root / JOB).exists()
    assert not (mac.root / "loaded").exists()
    assert not (mac.root / "account").exists()
    assert ledger.exists()
    assert stat.S_IMODE(ledger.parent.stat().st_mode) == 0o700
    assert f"chown -R root:wheel {ledger.parent}" in mac.log.read_text()


def test_no_value_is_taken_for_a_marker(tmp_path: Path) -> None:
    """An identifier or a path may have any word of the templates in it."""
    program = "/opt/STATE/LABEL/spendgate"
    out = made(tmp_path, mode="proxy", macos_program=program, identifier="com.AGENT.LABEL.IDENTIFIER")
    text = (out / "macos/install.sh").read_text()
    assert f"[ -x {program} ]" in text
    assert "launchctl bootout system/com.AGENT.LABEL.IDENTIFIER.gate " in text
    assert 'bootstrap "gui/$uid" /Library/LaunchAgents/com.AGENT.LABEL.IDENTIFIER.environment.plist' in text
    assert "--identifier com.AGENT.LABEL.IDENTIFIER.settings " in (out / "macos/package.sh").read_text()


def test_without_its_program_nothing_is_started(out: Path, tmp_path: Path) -> None:
    """The script fails, so that the MDM tries again when the package is there; no account was made."""
    mac = Mac(tmp_path)
    shutil.rmtree(mac.root / "opt")
    done = mac.run(out / "install.sh")
    assert (done.returncode, done.stderr) == (1, f"the gate is not there yet: {mac.root}{PROGRAM}\n")
    assert mac.log.read_text() == ""
    assert not (mac.root / "etc/spendgate/environment.sh").exists()  # no program is led to a gate that is not there


def test_nothing_leads_to_a_gate_without_certificates(out: Path, tmp_path: Path) -> None:
    """Variables, tools' settings and what sets them at log-in come when clients can trust the gate, and are taken away again."""
    mac = Mac(tmp_path)
    leading = [
        mac.root / "etc/spendgate/environment.sh",
        mac.root / "Library/LaunchAgents/com.acme.spendgate.environment.plist",
        mac.root / "Library/Application Support/ClaudeCode/managed-settings.d/50-spendgate.json",
    ]
    assert mac.run(out / "install.sh").returncode == 0
    assert not any(each.exists() for each in leading)
    (mac.root / STATE[1:] / "private").mkdir()
    (mac.root / STATE[1:] / "private" / "leaves.pem").touch()
    done = mac.run(out / "install.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(each.exists() for each in leading)
    assert mac.run(out / "remove.sh").returncode == 0
    assert not any(each.exists() for each in leading)


def test_a_pushed_policy_is_the_jobs(tmp_path: Path) -> None:
    """One that is fetched is the trust file's affair."""
    keys = signed(tmp_path, f"{POLICY}mode: observe\n")
    out = made(tmp_path, keys=keys, policy={"file": "policy.yaml"}, mode="proxy", macos_program=PROGRAM)
    assert (
        "<string>--policy</string>\n\t\t<string>/etc/spendgate/policy.yaml</string>"
        in (out / "macos" / "install.sh").read_text()
    )


def test_the_job_goes_out_as_the_rollout_says(tmp_path: Path) -> None:
    """By words that `run` takes, at the rollout's port."""
    upstream = "http://proxy.acme.example:3128"
    out = made(tmp_path, mode="proxy", port=9000, macos_program=PROGRAM, upstream=upstream)
    mac = Mac(tmp_path)
    assert mac.run(out / "macos" / "install.sh").returncode == 0
    words = plistlib.loads((mac.root / JOB).read_bytes())["ProgramArguments"]
    assert words[-4:] == ["--port", "9000", "--mode", f"upstream:{upstream}"]
    assert "on Macs the daemon goes through it, without a login" in (out / "README.md").read_text()


def test_without_the_key_nothing_of_it_is_made(tmp_path: Path) -> None:
    """Something else starts the gate then."""
    out = made(tmp_path, mode="proxy")
    assert not [path for path in out.rglob("*.sh") if "LaunchDaemons" in path.read_text()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "transparent", "macos_program": PROGRAM}, "macos_program: belongs to mode: proxy"),
        *(
            ({"mode": "proxy", "macos_program": text}, "is no program for a daemon")
            for text in (
                "spendgate",
                "/opt/../x/y",
                "/Users/alice/spendgate",
                "/private/a/spendgate",
                "/opt/a b",
                "/opt/$(id)/x",
            )
        ),
    ],
)
def test_what_no_daemon_may_run_is_refused(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    done = make(write(tmp_path, rollout(**changes)), tmp_path / "out")
    assert done.returncode == 1
    assert said in done.stderr
