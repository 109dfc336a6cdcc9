"""Who listens at a port that a gate wants: the installed service, for a second gate, or on Linux some account.

By what the service manager and the kernel tell every account: no rights are needed, and none of the gate's own files.
"""

from __future__ import annotations

import platform
import plistlib
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from spendgate.cli.account import name_of
from spendgate.cli.output import inert
from spendgate.cli.service_shown import UP
from spendgate.errors import PortTaken, StateError

_AT = re.compile(r":(\d+)(?= |$)")
_LISTENS: Final = "0A"
"""TCP_LISTEN in /proc/net/tcp (proc_net_tcp.rst), whose columns are the local address, the state and, eighth, the uid."""


def told(taken: PortTaken) -> StateError:
    """The fault, with whose port it is, as far as is known."""
    if taken.port not in _listening():
        if account := _holder(taken.port):
            return StateError(f"{taken.why}: the account {inert(account)} listens there; {taken.instead}")
        return taken
    asks = "spendgate status" if platform.system() == "Linux" else "spendgate service status"
    return StateError(f"{taken.why}: the installed service runs on it already (`{asks}` shows it); {taken.instead}")


def said_to_listen(status: str) -> frozenset[int]:
    """The ports in what a gate told systemd: `spendgate 0.1.0 at regular=127.0.0.1:8080 transparent=127.0.0.1:8443`. Pure."""
    return frozenset(map(int, _AT.findall(status)))


def named(words: Sequence[str]) -> frozenset[int]:
    """The port that a service's command line names. Pure."""
    after = [each for option, each in pairwise(words) if option == "--port"]
    return frozenset(int(each) for each in after if each.isdecimal())


def _holder(port: int) -> str:
    """The account that listens there; empty where the system does not tell. Any may take a port that a gate does not have yet."""
    if platform.system() != "Linux":
        return ""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/self/net", table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                return name_of(int(fields[7]))
    return ""


def _listening() -> frozenset[int]:
    """Where the service's gate accepts connections; nowhere where there is none, or nothing is known of it."""
    try:
        match platform.system():
            case "Linux":
                return _of_systemd()
            case "Darwin":
                return _of_launchd()
            case "Windows":
                return _of_windows()
    except (StateError, OSError, ValueError):  # the port is taken all the same, and that is told
        pass
    return frozenset()


def _of_systemd() -> frozenset[int]:
    from spendgate.service import machine  # noqa: PLC0415 - POSIX alone has what it asks

    if not machine.BOOTED.is_dir():
        return frozenset()
    said = machine.unit_said("spendgate.service")
    return said_to_listen(said["StatusText"]) if said["ActiveState"] == "active" else frozenset()


def _of_windows() -> frozenset[int]:
    from spendgate.service import windows_manager  # noqa: PLC0415 - as below

    found = windows_manager.found()
    return named(found.line.split()) if found and found.ours and found.state == "running" else frozenset()


def _of_launchd() -> frozenset[int]:
    from spendgate.cli import service_macos  # noqa: PLC0415 - as above

    if not service_macos.JOB.exists() or service_macos.asked().state != UP:
        return frozenset()
    return named(plistlib.loads(service_macos.JOB.read_bytes())["ProgramArguments"])
