"""systemd and the accounts of this machine: the few commands that installing, removing and asking take. Linux alone."""

from __future__ import annotations

import grp
import pwd
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from spendgate.errors import StateError

BOOTED: Final = Path("/run/systemd/system")
"""Is there where systemd runs the machine: sd_booted(3)."""
_WITHIN_S: Final = 600
"""A start waits for the gate to be ready, which a ledger that is brought up to date takes minutes for."""
_ASKED: Final = (
    "LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "FragmentPath", "NeedDaemonReload",
    "ActiveEnterTimestamp", "InactiveEnterTimestamp", "MainPID", "NRestarts", "ExecMainStatus", "StatusText", "InvocationID",
)  # fmt: skip


def check_systemd(instead: str) -> None:
    """Raises StateError where systemd does not run this machine. `instead`: what to do there."""
    if not BOOTED.is_dir():
        raise StateError(f"systemd does not run this machine ({BOOTED} is not there), as in most containers: {instead}")


def version() -> int:
    """systemd's own; 0 where it does not say."""
    words = _run("systemctl", "--version", check=False).split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def systemctl(*words: str) -> str:
    """Raises StateError with its own words."""
    return _run("systemctl", "--no-ask-password", *words)


def reset_failed(unit: str) -> None:
    """Forget how it ended; a unit that systemd has forgotten already has nothing to forget."""
    _run("systemctl", "reset-failed", unit, check=False)


def make_accounts(listed: Path) -> None:
    """Those of a sysusers.d file that are not there. Raises StateError."""
    _run("systemd-sysusers", str(listed))


def remove_accounts(made: tuple[str, ...]) -> tuple[str, ...]:
    """Take these away, accounts before groups; which there were. Raises StateError, for one that still runs something, too."""
    there = tuple(each for each in sorted(made, reverse=True) if is_there(each))  # user: before group:
    for kind, _, name in (each.partition(":") for each in there):
        if is_there(f"{kind}:{name}"):  # an account's own group goes with it on some systems, and stays on others
            _run("userdel" if kind == "user" else "groupdel", name)
    return there


def is_there(account: str) -> bool:
    """Whether `user:NAME` or `group:NAME` is on this machine."""
    kind, _, name = account.partition(":")
    try:
        if kind == "user":
            pwd.getpwnam(name)
        else:
            grp.getgrnam(name)
    except KeyError:
        return False
    return True


def unit_said(unit: str) -> dict[str, str]:
    """What systemd knows of the unit. Raises StateError."""
    lines = systemctl("show", unit, "--timestamp=utc", f"--property={','.join(_ASKED)}").splitlines()
    return {name: text for name, _, text in (line.partition("=") for line in lines)}


def instant(said: str) -> datetime | None:
    """A time as `systemctl show --timestamp=utc` has it; None: never."""
    try:
        return datetime.strptime(said, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


def last_words(unit: str, lines: int = 5) -> tuple[str, ...]:
    """The newest lines that the unit has written since it was started last; none where it was not, or there is no journal.

    Its processes' alone, without systemd's words about it, and none of an earlier start, which may be of another installation.
    """
    started = unit_said(unit)["InvocationID"]
    if not started:
        return ()
    _run("journalctl", "--sync", check=False)
    own = (f"_SYSTEMD_UNIT={unit}", f"_SYSTEMD_INVOCATION_ID={started}")
    said = _run("journalctl", *own, "--lines", str(lines), "--output=cat", "--no-pager", "--quiet", check=False)
    return tuple(said.splitlines())


def _run(*words: str, check: bool = True) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the system, words from this package
            words, capture_output=True, text=True, timeout=_WITHIN_S, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        if not check:
            return ""
        raise StateError(
            f"the program {words[0]} is not on this machine; it comes with systemd or the base system"
        ) from None
    except subprocess.TimeoutExpired:
        raise StateError(f"`{' '.join(words)}` did not end within {_WITHIN_S} s") from None
    if check and done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise StateError(f"`{' '.join(words)}` failed: {said}")
    return done.stdout
