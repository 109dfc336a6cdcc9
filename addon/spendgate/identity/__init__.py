"""Who made a call: from a live connection to account, process and repository, and from there to a person of the policy."""

from __future__ import annotations

import platform

from spendgate.identity.interface import Lookup


def system_lookup() -> Lookup:
    """The look-up of the system that we run on. Made once, in the network namespace whose connections it is asked about."""
    # The modules of one system import what only that system has.
    if platform.system() == "Linux":
        from spendgate.identity.linux import LinuxLookup  # noqa: PLC0415

        return LinuxLookup()
    if platform.system() == "Darwin":
        from spendgate.identity.macos import MacLookup  # noqa: PLC0415

        return MacLookup()
    if platform.system() == "Windows":
        from spendgate.identity.windows import WindowsLookup  # noqa: PLC0415

        return WindowsLookup()
    from spendgate.identity.unsupported import UnsupportedLookup  # noqa: PLC0415

    return UnsupportedLookup()
