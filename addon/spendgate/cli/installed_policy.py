"""The policy that a service is to go by, looked at before anything of the service is written."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import tempfile
from pathlib import Path

from spendgate.cli.given import check_url
from spendgate.cli.output import note
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.config.paths import State
from spendgate.config.trust import trusted
from spendgate.errors import PolicyError, StateError
from spendgate.redirect.privileges import acting_as

_NOW = {
    "enforce": "its limits refuse calls from now on",
    "observe": "calls are counted, and refused where it says so alone",
}


def checked(file: Path | None) -> str:
    """By which policy the gate goes, and its mode, in words. Raises PolicyError with every fault, UsageError.

    By the system's trust file, as the service has no variable of whoever installs it.
    """
    trust = trusted(environ={})
    check_url(trust, file)
    if trust is not None and trust.url is not None:
        return f"the policy: {trust.url}, as {trust.file} says"
    with tempfile.TemporaryDirectory() as nothing_kept:
        source = None if file is None else policies.whole(file)
        try:
            policy = policies.LastGood(State(Path(nothing_kept)), trust).would_start(source, KNOWN)
        except PolicyError:
            note("nothing was changed: the policy cannot take force")
            raise
    which = f"{file}" if file is not None else "the one that is built in, `--policy FILE` names another"
    mode = policy.mode.default
    return f"the policy: {which}; mode {mode}: {_NOW[mode]}; `spendgate status` shows its limits"


def check_readable(file: Path, account: str) -> None:
    """Raises StateError, with the remedy, where the gate's account could not read it. Where there is no such account
    yet, it is to be everybody's to read."""
    try:
        uid = pwd.getpwnam(account).pw_uid
    except KeyError:
        closed = not file.stat().st_mode & stat.S_IROTH
        shut = [each for each in file.parents if not each.stat().st_mode & stat.S_IXOTH]
    else:
        with acting_as(uid):
            shut = [each for each in file.parents if not os.access(each, os.X_OK, effective_ids=True)]
            closed = not shut and not os.access(file, os.R_OK, effective_ids=True)
    if shut or closed:
        words = [f"chmod o+x {shlex.quote(str(each))}" for each in reversed(shut)]
        words += [f"chmod 644 {shlex.quote(str(file))}"] if closed or not file.stat().st_mode & stat.S_IROTH else []
        raise StateError(f"the gate's account {account} cannot read the policy: {'; '.join(words)}")
