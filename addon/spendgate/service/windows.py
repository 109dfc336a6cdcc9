"""The gate as a service of Windows: all that installing and removing it does, as steps made from a description. Pure.

Facts are Microsoft's: `sc.exe create`, `sc.exe failure`, `sc.exe privs`, `icacls`, "Service User Accounts", MS-SCMR
(SERVICE_FAILURE_ACTIONS), "Well-known SIDs" (S-1-5-80). Accounts are named by their numbers: their names are translated.

The account is the service's own (`NT SERVICE\\spendgate`), which nobody makes and which has no password. It may write its state
and nothing else, and of privileges it keeps the one that every program needs. What it costs: Windows shows it no other account's
processes, so that nobody's name stands beside a call. `LocalSystem` is shown them, and is shown every file of the machine, too.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import PureWindowsPath
from subprocess import list2cmdline
from typing import Final

from spendgate.errors import UsageError

NAME: Final = "spendgate"
OWN: Final = rf"NT SERVICE\{NAME}"
SYSTEM: Final = "LocalSystem"
HOSTED: Final = "service host"
"""The words of Spendgate's own that the service starts: by them it is known for ours."""
LOG: Final = "gate.log"
"""In the state directory: what the gate says at its start and end."""
_SYSTEM, _ADMINISTRATORS, _USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
TRUSTED: Final = frozenset({_SYSTEM, _ADMINISTRATORS})
"""Who may have made a folder that the gate lives in: everybody may make some below ProgramData, and change what he made."""
_RESET_S: Final = 3600
_AGAIN_MS: Final = (1_000, 5_000, 15_000, 60_000)
"""Before each new start; the last one again and again, until it has run for an hour."""
_ABOUT: Final = "Captures what AI tools on this machine spend, and holds it to a budget."


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be installed."""

    program: tuple[str, ...]
    """What starts Spendgate, before its own words: absolute."""
    state: PureWindowsPath
    """The service's own folder, in one of Spendgate's that an MDM writes, too."""
    port: int = 8080
    policy: PureWindowsPath | None = None
    as_system: bool = False

    @property
    def account(self) -> str:
        """As the service manager has it."""
        return SYSTEM if self.as_system else OWN


@dataclass(frozen=True, slots=True)
class Command:
    """A program of Windows, run with these words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """Made where it is not there; it, and with `whole` what lies in it, has to be an administrator's or the system's."""

    path: PureWindowsPath
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the service manager says of the service."""

    line: str
    """Its command line."""
    account: str
    automatic: bool
    """Whether it starts with the machine."""
    state: str
    """running, stopped, start pending, …"""
    pid: int
    code: int
    """How it last ended, as a number of Windows: 0 as it was told to, or not yet."""

    @property
    def ours(self) -> bool:
        """Whether `service install` made it."""
        return f" {HOSTED} " in self.line

    def is_so(self, wanted: Description) -> bool:
        """Whether nothing has to be changed but perhaps to start it."""
        return (self.line, self.account.lower(), self.automatic) == (line(wanted), wanted.account.lower(), True)


Step = Command | Folder


def sid(service: str = NAME) -> str:
    """The number of a service's own account: S-1-5-80 and the SHA-1 of its name in capitals, UTF-16, as five numbers."""
    digest = hashlib.sha1(service.upper().encode("utf-16-le"), usedforsecurity=False).digest()
    return "-".join(("S-1-5-80", *map(str, struct.unpack("<5I", digest))))


def line(wanted: Description) -> str:
    """What the service manager starts. Raises UsageError for a path that cannot stand in it: the registry puts variables in."""
    policy = ("--policy", str(wanted.policy)) if wanted.policy else ()
    words = (*wanted.program, *HOSTED.split(), "--state", str(wanted.state), "--port", str(wanted.port), *policy)
    for word in words:
        if '"' in word or "%" in word or any(ord(letter) < 32 for letter in word):
            raise UsageError(f"{word!r}: cannot stand in a service's command line")
    return list2cmdline(words)


def installing(wanted: Description, *, there: bool) -> tuple[Step, ...]:
    """Everything before the start. `there`: a service of ours is, and is changed."""
    settings = (
        "binPath=", line(wanted), "start=", "auto", "error=", "normal", "obj=", wanted.account,
        "DisplayName=", "Spendgate gate",
    )  # fmt: skip
    again = "/".join(f"restart/{each}" for each in _AGAIN_MS)
    make = (_sc("config", *settings),) if there else (_sc("create", "type=", "own", *settings),)
    return (
        *_folders(wanted),
        *make,
        _sc("description", _ABOUT),
        _sc("privs", "SeChangeNotifyPrivilege"),
        _sc("failure", "reset=", str(_RESET_S), "actions=", again),
    )


def _folders(wanted: Description) -> tuple[Step, ...]:
    """As the MDM's script does it for the outer one: nothing is put into a folder that somebody else made."""
    top, state, certificate = wanted.state.parent, wanted.state, wanted.state / "ca"
    admins = (f"*{_SYSTEM}:(OI)(CI)F", f"*{_ADMINISTRATORS}:(OI)(CI)F")
    own = () if wanted.as_system else (f"*{sid()}:(OI)(CI)M",)
    everybody = f"*{_USERS}:(OI)(CI)RX"
    return (
        Folder(top),
        _rights(top, "/inheritance:r", "/grant:r", *admins, everybody),
        Folder(top, whole=True),
        Folder(state),
        _rights(state, "/setowner", f"*{_ADMINISTRATORS}"),
        _rights(state, "/inheritance:r", "/grant:r", *admins, *own),
        Folder(certificate),
        _rights(certificate, "/grant:r", everybody),
    )


START: Final = Command(("sc.exe", "start", NAME))
STOP: Final = Command(("sc.exe", "stop", NAME))
NOT_AGAIN: Final = Command(("sc.exe", "failure", NAME, "reset=", "0", "actions=", ""))
"""So that one which fails is not started again while it is taken away."""
DELETE: Final = Command(("sc.exe", "delete", NAME))


def kept(state: PureWindowsPath) -> tuple[Step, ...]:
    """The folder's rights, with what is left in it, when the account has gone."""
    return (
        _rights(state, "/setowner", f"*{_ADMINISTRATORS}", "/T"),
        _rights(state, "/remove", f"*{sid()}", "/T"),
    )


def _rights(path: PureWindowsPath, *words: str) -> Command:
    return Command(("icacls.exe", str(path), *words, "/Q"))


def _sc(verb: str, *words: str) -> Command:
    return Command(("sc.exe", verb, NAME, *words))


def protected(path: PureWindowsPath, folders: tuple[PureWindowsPath, ...]) -> bool:
    """Whether a program lies where administrators alone may write: below one of these."""
    return ".." not in path.parts and any(path.is_relative_to(each) for each in folders)
