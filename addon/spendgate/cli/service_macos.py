"""`spendgate service` on macOS: the gate as a launchd daemon of this Mac, put up, taken away, and asked how it is.

The job is the one that `mdm make` gives a fleet (`mdm/launchd`), under a name of its own. What is done is one shell script, which
`--dry-run` prints; `launchctl print` is made for people, and no more of it is read than state, process and how it last ended.
Never run on a Mac.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from spendgate.cli import installed_program, removing
from spendgate.cli.desk import Asking
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.output import Format, note, writing
from spendgate.cli.service_shown import UP, Service, shown
from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.mdm import launchd

LABEL: Final = "spendgate.gate"
JOB: Final = Path(launchd.place(LABEL))
_WITHIN_S: Final = 120
_END: Final = "END_OF_SPENDGATE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `service install` that macOS has."""

    policy: Path | None
    port: int
    program: Path | None


def script(wanted: Wanted) -> str:
    """All that `install` does, as root. Raises UsageError for a path that cannot stand in it: a line could end the job's text."""
    program = installed_program.program_of(wanted.program)
    policy = None if wanted.policy is None else str(wanted.policy.expanduser().absolute())
    for path in (*program, policy or ""):
        if any(ord(letter) < 32 for letter in path):
            raise UsageError(f"{path!r}: cannot stand in a job of launchd")
    job = launchd.plist(LABEL, program, wanted.port, policy).decode()
    readable = shlex.join(["sudo", "-u", launchd.ACCOUNT, "test", "-r", policy]) if policy else ""
    unread = (
        f"{readable} || {{ echo 'the account {launchd.ACCOUNT} cannot read the policy' >&2; exit 1; }}\n"
        if policy
        else ""
    )
    return (
        f"set -eu\numask 022\nto=\n{launchd.seen(LABEL)}{launchd.account(program[0])}{unread}"
        f'cat > "$job.new" << \'{_END}\'\n{job}{_END}\nchmod 0644 "$job.new"\nmv -f "$job.new" "$job"\n{launchd.start(LABEL)}'
    )


def install(wanted: Wanted, *, dry_run: bool) -> None:
    """Put it up and start it; what is so already is left, and nobody's calls are cut. Raises StateError."""
    if dry_run:
        _say(script(wanted))
        return
    removing.check_root("install")
    if other := _another():
        raise StateError(
            f"{other} starts a gate with this ledger already: take it away first, by the remove.sh it came with"
        )
    program = installed_program.started_from(installed_program.program_of(wanted.program))
    needed = (*program, *((str(wanted.policy.expanduser().absolute()),) if wanted.policy else ()))
    if missing := next((each for each in needed if not Path(each).exists()), None):
        raise StateError(f"{missing} is not there: the service could not start")
    installed_program.check_roots_own(program)
    was = _pid()
    _run(script(wanted))
    note(
        f"{LABEL} {'runs as it should' if was and was == _pid() else 'started'}; `spendgate service status` asks after it"
    )


def uninstall(*, keep_ledger: bool, dry_run: bool) -> None:
    """Raises StateError."""
    ended, unmade = f"set -eu\n{launchd.end(LABEL)}", f"set -eu\n{launchd.UNMADE}rm -f {shlex.quote(str(JOB))}\n"
    if dry_run:
        kept = "but its ledger, which is root's then" if keep_ledger else "and the ledger in it"
        _say(f"{ended}# removes {launchd.STATE} {kept}\n{unmade}")
        return
    removing.check_root("uninstall")
    if not JOB.exists():
        note("no service is installed; nothing was changed")
        return
    _run(ended)
    note(f"{LABEL} stopped")
    try:
        removing.drop_state(keep_ledger=keep_ledger)
    except OSError as fault:
        raise StateError(
            f"{fault.filename} cannot be removed: {fault.strerror}; mend that and run this again"
        ) from fault
    _run(unmade)
    note(f"removed {JOB} and the account {launchd.ACCOUNT}")


def stop() -> None:
    """Until it is started again. Raises StateError."""
    removing.check_root("stop")
    if not JOB.exists():
        raise StateError("no service is installed: nothing was stopped")
    _run(launchd.end(LABEL))
    note(f"{LABEL} stopped; `launchctl bootstrap system {JOB}` starts it again, and so does the machine's next start")


def status(fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs. Raises StateError where there is no service."""
    shown(asked(), fmt)


def asked() -> Service:
    """Raises StateError."""
    if not JOB.exists():
        raise StateError("no service is installed: `spendgate service install --dry-run` shows what would be")
    said = printed(_launchctl())
    up = said.get("state") == "running"
    last, fault = _last_call() if up else ("", f"the gate does not run: see {launchd.LOG}, as root")
    code = said.get("last exit code", "")
    return Service(
        unit=str(JOB),
        state=UP if up else f"inactive ({said.get('state', 'not loaded')})",
        enabled="enabled",
        since="",
        restarts=max(int(said.get("runs", "0")) - 1, 0),
        result="success" if code in ("", "0", "(never exited)") else f"exit code {code}",
        pid=int(said.get("pid", "0")),
        running="",
        ledger=f"{launchd.STATE}/ledger.db",
        last_call=last,
        fault=fault,
    )


def printed(text: str) -> dict[str, str]:
    """What `launchctl print` says of the job itself: its lines are one tab in, those of what is in it more. Pure."""
    found = dict(re.findall(r"^\t(state|pid|runs|last exit code) = (.*)$", text, re.MULTILINE))
    return {name: value for name, value in found.items() if name not in ("pid", "runs") or value.isdecimal()}


def _last_call() -> tuple[str, str]:
    """When the newest call began, and why that is not known: the ledger is the gate's account's, and root's to read."""
    try:
        rows = FileDesk(Path(launchd.STATE)).calls(Asking(), 1, free=False).rows
    except SpendgateError as fault:
        return "", str(fault)
    return (str(rows[0]["started_at"]) if rows else "none yet"), ""


def _another() -> Path | None:
    """A job of a rollout's on this ledger: two gates would share account and port."""
    wanted = f"<string>{launchd.STATE}</string>".encode()
    listed = (each for each in sorted(JOB.parent.glob("*.plist")) if each != JOB)
    return next((each for each in listed if wanted in each.read_bytes()), None)


def _pid() -> str:
    return printed(_launchctl()).get("pid", "")


def _launchctl() -> str:
    """What launchd says of the job; empty where it has none."""
    try:
        return subprocess.run(  # noqa: S603 - a program of the system, words of ours
            ["/bin/launchctl", "print", f"system/{LABEL}"],
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise StateError(f"launchctl cannot be asked: {fault}") from fault


def _run(shell: str) -> None:
    """Raises StateError with what was said."""
    try:
        done = subprocess.run(  # noqa: S603 - a script of ours, every name in it quoted
            ["/bin/sh", "-c", shell],
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise StateError(f"the service could not be changed: {fault}") from fault
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise StateError(f"the service could not be changed: {said}")


@writing()
def _say(shell: str) -> None:
    typer.echo(shell, nl=False)
