"""The account that this process runs as."""

from __future__ import annotations

import getpass
import os
import sys


def own_account() -> str:
    """As the gate names it: asked of the system, since the environment can be set."""
    if sys.platform == "win32":
        return getpass.getuser()
    return name_of(os.getuid())


def name_of(uid: int) -> str:
    """The name of an account."""
    from spendgate.identity.accounts import Accounts  # noqa: PLC0415 - imports what only POSIX has

    return Accounts().name(uid, now_s=0)
