"""Who has a port that a gate cannot have: the installed service, or another program.

The service is known by what the service manager tells every account: no rights are needed, and none of the gate's own files.
"""

from __future__ import annotations

import platform
import plistlib
import re
from collections.abc import Sequence
from itertools import pairwise

from spendgate.cli.output import inert
from spendgate.cli.service_shown import UP
from spendgate.errors import PortTaken, StateError
from spendgate.identity.interface import Address, Lookup
from spendgate.identity.told import NOT_HERE
from spendgate.redirect.ports import listening_at

_NAME_MAX = 200
"""Letters of a program's path that are told."""
_RESERVED = "a program that does not listen, of an account that the kernel does not tell,"
_AT = re.compile(r":(\d+)(?= |$)")


def told(taken: PortTaken, lookup: Lookup) -> StateError:
    """The fault, with whose port it is: the service's, or by `lookup`."""
    if has(taken.port):
        asks = "spendgate status" if platform.system() == "Linux" else "spendgate service status"
        return StateError(f"{taken.why}: the installed service runs on it already (`{asks}` shows it); {taken.instead}")
    who = holder((taken.host, taken.port), lookup)
    return StateError(f"{taken.why}: {who} has it; {taken.instead}") if who else taken


def has(port: int) -> bool:
    """Whether the installed service's gate listens at this port."""
    return port in _listening()


def holder(place: Address, lookup: Lookup) -> str:
    """Who listens there: account, and program where that can be seen. Its name is its own choice. Empty: not known."""
    if platform.system() != "Linux" or not place[0]:
        return ""
    found = listening_at(place, lookup)
    if found.uid is None:
        return _RESERVED if found.why_unknown == NOT_HERE else ""
    program = inert(found.process_path or found.process or "")[:_NAME_MAX]
    process = f", {program} (process {found.pid})" if program and found.pid else ""
    return f"account {inert(found.account or 'unknown')} (uid {found.uid}){process}"


def said_to_listen(status: str) -> frozenset[int]:
    """The ports in what a gate told systemd: `spendgate 0.1.0 at regular=127.0.0.1:8080 transparent=127.0.0.1:8443`. Pure."""
    return frozenset(map(int, _AT.findall(status.partition(" (")[0])))


def named(words: Sequence[str]) -> frozenset[int]:
    """The port that a service's command line names. Pure."""
    after = [each for option, each in pairwise(words) if option == "--port"]
    return frozenset(int(each) for each in after if each.isdecimal())


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
