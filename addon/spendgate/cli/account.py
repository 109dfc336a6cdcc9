"""The account that this process runs as."""

from __future__ import annotations

import os
import sys


def own_account() -> str:
    """As the gate names it: asked of the system, since the environment can be set."""
    if sys.platform == "win32":
        from spendgate.identity import windows  # noqa: PLC0415 - as below, what only Windows has

        return windows.own_account()
    return name_of(os.getuid())


def name_of(uid: int) -> str:
    """The name of an account."""
    from spendgate.identity.accounts import Accounts  # noqa: PLC0415 - imports what only POSIX has

    return Accounts().name(uid, now_s=0)
