"""Stand-ins for what Windows alone has: pywin32's modules, `sc.exe` and `icacls.exe`. What they show of Windows is what its
documentation and pywin32's source say: no Windows was there.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADMINISTRATORS = "S-1-5-32-544"


class Error(Exception):
    """pywintypes.error."""

    def __init__(self, winerror: int, strerror: str) -> None:
        super().__init__(winerror, strerror)
        self.winerror, self.strerror = winerror, strerror


@dataclass
class Machine:
    """Its one service, and what was run."""

    service: dict[str, Any] | None = None
    ran: list[list[str]] = field(default_factory=list)
    starts: bool = True
    """Whether the gate gets to run."""
    owners: dict[str, str] = field(default_factory=dict)
    """Of files that are not an administrator's, by name."""
    profiles: list[str] = field(default_factory=list)

    def run(self, words: list[str]) -> int:
        """One of Windows' programs; its exit status."""
        self.ran.append(words)
        if words[0] == "sc.exe":
            return self._sc(words[1], dict(zip(words[3::2], words[4::2], strict=False)))
        assert words[0] == "icacls.exe", words
        return 0

    def _sc(self, verb: str, said: dict[str, str]) -> int:
        if verb == "create":
            assert self.service is None, "ERROR_SERVICE_EXISTS"
            self.service = {"state": 1, "code": 1077, "pid": 0}
        assert self.service is not None, "ERROR_SERVICE_DOES_NOT_EXIST"
        if verb in ("create", "config"):
            self.service |= {"line": said["binPath="], "account": said["obj="], "start": said["start="]}
        elif verb == "start":
            self.service |= {"state": 4, "code": 0, "pid": 913} if self.starts else {"state": 1, "code": 1067}
        elif verb == "stop":
            self.service |= {"state": 1, "code": 0, "pid": 0}
        elif verb == "delete":
            assert self.service["state"] == 1, "it would be there until its process ends"
            self.service = None
        return 0


def modules(machine: Machine) -> dict[str, types.ModuleType]:
    """pywin32's, by name: what of them asks the machine."""

    def opened(_manager: object, _name: str, _rights: int) -> Machine:
        if machine.service is None:
            raise Error(1060, "The specified service does not exist as an installed service.")
        return machine

    def config(_: object) -> tuple[Any, ...]:
        held = machine.service or {}
        return (16, 2 if held["start"] == "auto" else 3, 1, held["line"], "", 0, "", held["account"], "Spendgate gate")

    def status(_: object) -> dict[str, int]:
        held = machine.service or {}
        code = {"Win32ExitCode": held["code"], "ServiceSpecificExitCode": 0}
        return {"CurrentState": held["state"], "ProcessId": held["pid"], **code}

    def owner(path: str, _what: int) -> types.SimpleNamespace:
        sid = machine.owners.get(Path(path).name, ADMINISTRATORS)
        return types.SimpleNamespace(GetSecurityDescriptorOwner=lambda: sid)

    def dropped(sid: str) -> None:
        if sid not in machine.profiles:
            raise Error(2, "The system cannot find the file specified.")
        machine.profiles.remove(sid)

    constants = {"SC_MANAGER_CONNECT": 1, "SERVICE_QUERY_CONFIG": 1, "SERVICE_QUERY_STATUS": 4}
    states = {"SERVICE_START_PENDING": 2, "SERVICE_STOP_PENDING": 3, "SERVICE_RUNNING": 4}
    return {
        "pywintypes": _module("pywintypes", error=Error),
        "win32service": _module(
            "win32service", **constants, **states, OpenSCManager=lambda *_: None, OpenService=opened,
            CloseServiceHandle=lambda _: None, QueryServiceConfig=config, QueryServiceStatusEx=status,
        ),
        "win32security": _module(
            "win32security", OWNER_SECURITY_INFORMATION=1, GetFileSecurity=owner, ConvertSidToStringSid=str
        ),
        "win32profile": _module("win32profile", DeleteProfile=dropped),
    }  # fmt: skip


def hosting(told: Callable[[int], None], stop: threading.Event, *, managed: bool = True) -> dict[str, types.ModuleType]:
    """pywin32's framework, in whose place the manager is: `told` gets each state, `stop` ends it. As PythonService.cpp has it,
    the class is made and `SvcRun` called on another thread than the dispatcher's, which waits for its end."""

    class Framework:
        def ReportServiceStatus(self, state: int, waitHint: int = 5000) -> None:  # noqa: N803 - pywin32's names
            told(state)

    made: list[Any] = []

    def dispatcher() -> None:
        if not managed:
            raise Error(1063, "The service process could not connect to the service controller.")
        service = made[0]()
        running = threading.Thread(target=service.SvcRun, daemon=True)
        running.start()
        threading.Thread(target=lambda: (stop.wait(), service.SvcStop()), daemon=True).start()
        running.join()
        told(1)

    manager = _module(
        "servicemanager", Initialize=lambda: None, PrepareToHostSingle=made.append, StartServiceCtrlDispatcher=dispatcher
    )  # fmt: skip
    return {"servicemanager": manager, "win32serviceutil": _module("win32serviceutil", ServiceFramework=Framework)}


def _module(name: str, **held: Any) -> types.ModuleType:
    found = types.ModuleType(name)
    vars(found).update(held)
    return found


def put(found: dict[str, types.ModuleType]) -> None:
    """For this process, until it ends."""
    sys.modules.update(found)
