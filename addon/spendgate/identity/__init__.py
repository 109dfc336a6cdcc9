"""Who made a call: from a live connection to account, process and repository, and from there to a person of the policy."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from spendgate.identity.interface import Connection, Lookup, Program

# The modules of one system import what only that system has.


def system_lookup() -> Lookup:
    """The look-up of the system that we run on. Made once, in the network namespace whose connections it is asked about."""
    match platform.system():
        case "Linux":
            from spendgate.identity.linux import LinuxLookup  # noqa: PLC0415

            return LinuxLookup()
        case "Darwin":
            from spendgate.identity.macos import MacLookup  # noqa: PLC0415

            return MacLookup()
        case "Windows":
            from spendgate.identity.windows import WindowsLookup  # noqa: PLC0415

            return WindowsLookup()
    from spendgate.identity.unsupported import UnsupportedLookup  # noqa: PLC0415

    return UnsupportedLookup()


def open_connections() -> Iterator[Connection]:
    """This machine's, with the processes that this account may see. Raises OSError, RuntimeError, ValueError, psutil.Error."""
    if platform.system() == "Darwin":
        from spendgate.identity.macos import connections  # noqa: PLC0415
    else:
        from spendgate.identity.connections import connections  # noqa: PLC0415
    return (each for each in connections() if each.open)


def program_of(pid: int) -> Program | None:
    """What runs as this process, for people; None where it has gone."""
    match platform.system():
        case "Darwin":
            from spendgate.identity import macos  # noqa: PLC0415

            return macos.program_of(pid)
        case "Windows":
            from spendgate.identity import windows  # noqa: PLC0415

            return windows.program_of(pid)
    from spendgate.identity import linux  # noqa: PLC0415

    return linux.program_of(pid)
