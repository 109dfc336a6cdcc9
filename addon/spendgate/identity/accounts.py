"""Account names, and which account a person logged in with before `sudo` or `su`.

Nothing that an unprivileged process can set is believed: `SUDO_USER` is an environment variable, the login uid (audit) is
written once by the login program, and a process cannot choose its ancestors' real uids.
"""

from __future__ import annotations

import functools
import pwd
from collections.abc import Iterable
from pathlib import Path

NO_LOGIN_UID = 0xFFFFFFFF
"""What /proc/PID/loginuid holds where no login program wrote it: daemons, containers, kernels without audit."""
_KEEP_S = 60
_NOBODY = (65534, 0xFFFFFFFE)
"""The second is macOS'."""


class Accounts:
    """uid → name. A name is kept for a minute; an account that is not there is asked for again each time, as it may be
    about to be made. Where accounts come from a directory server, the first question for one may take milliseconds."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str, float]] = {}

    def name(self, uid: int, now_s: float) -> str:
        """The account's name, or `uid:1234` where no directory knows the number. `now_s` is any steady clock."""
        known = self._names.get(uid)
        if known is not None and now_s - known[1] < _KEEP_S:
            return known[0]
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            return f"uid:{uid}"
        self._names[uid] = (name, now_s)
        return name


def home_of(uid: int) -> str | None:
    """The account's home folder; None where no directory knows the number."""
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None


@functools.cache
def people_from_uid(login_defs: Path = Path("/etc/login.defs")) -> int:
    """The first uid of people's accounts on this system (login.defs(5), UID_MIN); below it are services."""
    try:
        lines = login_defs.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 1000
    words = (line.split() for line in lines)
    return next((int(w[1]) for w in words if len(w) == 2 and w[0] == "UID_MIN" and w[1].isdigit()), 1000)


def login_uid(uid: int, audit_uid: int | None, ancestors: Iterable[int], *, from_uid: int) -> int | None:
    """The uid that logged in, where it is another than `uid`; None where it is the same or the system does not tell.

    `audit_uid` is /proc/PID/loginuid, which settles it where it is set. Without it, `ancestors` (real uids, parent first)
    are climbed to the first that is neither `uid` nor root: `sudo` and `su` are children of the shell that called them.
    Only people's accounts (from `from_uid` on) count: a service that starts root's work is not a login.
    """
    if audit_uid is not None and audit_uid != NO_LOGIN_UID:
        return audit_uid if audit_uid not in (uid, 0) else None
    caller = next((real for real in ancestors if real not in (uid, 0)), None)
    return caller if caller is not None and caller >= from_uid and caller not in _NOBODY else None
