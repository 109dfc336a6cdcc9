"""The stores of this machine and account, and why there are none."""

from __future__ import annotations

import sys
from pathlib import Path

from spendgate.errors import StateError
from spendgate.stores.interface import Store
from spendgate.stores.nss import databases
from spendgate.stores.system import systems

ELSEWHERE = {
    "darwin": "macOS lets nothing but a configuration profile add trust without a person: push the certificate with the MDM, as"
    " a com.apple.security.root payload, and remove the profile to take it out",
    "win32": "on Windows the MDM's trusted certificate profile puts it into the machine's Root store, and takes it out",
}


def stores(platform: str = sys.platform) -> tuple[Store, ...]:
    """Where our certificate can be put here. Raises StateError on a system whose trust is a profile's to change."""
    if platform in ELSEWHERE:
        raise StateError(f"`ca trust` and `ca untrust` are Linux's: {ELSEWHERE[platform]}")
    own: tuple[Store, ...] = next(((each,) for each in systems() if each.is_here()), ())
    return (*own, *databases(Path.home()))
