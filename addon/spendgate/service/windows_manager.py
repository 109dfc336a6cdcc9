"""Windows' service manager, asked by pywin32 (`win32service`, `win32security`, `win32profile`): the few questions that install,
remove and tell take. Every account may ask how the service is. Never run on Windows.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

from spendgate.errors import StateError
from spendgate.service.windows import NAME, Found

_NOT_THERE: Final = 1060
"""ERROR_SERVICE_DOES_NOT_EXIST."""
_STATES: Final = {
    1: "stopped",
    2: "start pending",
    3: "stop pending",
    4: "running",
    5: "continue pending",
    6: "pause pending",
    7: "paused",
}
"""SERVICE_STATUS_PROCESS.dwCurrentState."""
_AUTOMATIC: Final = 2
"""SERVICE_AUTO_START."""
_SPECIFIC: Final = 1066
"""ERROR_SERVICE_SPECIFIC_ERROR: the number is the service's own."""
_NEVER_STARTED: Final = 1077
"""ERROR_SERVICE_NEVER_STARTED: since the machine did."""


def module(name: str) -> Any:  # noqa: ANN401 - pywin32 has no types, and is on Windows alone
    """One of pywin32. Raises StateError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as fault:
        raise StateError(f"pywin32 is not installed ({fault}): `python -m pip install pywin32`") from fault


def found() -> Found | None:
    """The service as it is; None: there is none. Raises StateError."""
    service, error = module("win32service"), module("pywintypes").error
    try:
        manager = service.OpenSCManager(None, None, service.SC_MANAGER_CONNECT)
        try:
            asked = service.OpenService(manager, NAME, service.SERVICE_QUERY_CONFIG | service.SERVICE_QUERY_STATUS)
            try:
                return _read(service.QueryServiceConfig(asked), service.QueryServiceStatusEx(asked))
            finally:
                service.CloseServiceHandle(asked)
        finally:
            service.CloseServiceHandle(manager)
    except error as fault:
        if fault.winerror == _NOT_THERE:
            return None
        raise StateError(f"the service manager cannot be asked: {fault.strerror}") from fault


def _read(config: tuple[Any, ...], status: dict[str, int]) -> Found:
    """QUERY_SERVICE_CONFIG in its order: type, start, error control, command line, group, tag, needs, account, shown name."""
    code = status["Win32ExitCode"]
    return Found(
        line=config[3],
        account=config[7],
        automatic=config[1] == _AUTOMATIC,
        state=_STATES.get(status["CurrentState"], "unknown"),
        pid=status["ProcessId"],
        code=0 if code == _NEVER_STARTED else status["ServiceSpecificExitCode"] if code == _SPECIFIC else code,
    )


def owner(path: Path) -> str:
    """The number of the account that a file or folder belongs to. Raises StateError."""
    security, error = module("win32security"), module("pywintypes").error
    try:
        about = security.GetFileSecurity(str(path), security.OWNER_SECURITY_INFORMATION)
        return str(security.ConvertSidToStringSid(about.GetSecurityDescriptorOwner()))
    except error as fault:
        raise StateError(f"{path}: whose it is cannot be asked: {fault.strerror}") from fault


def drop_profile(sid: str) -> bool:
    """The account's folder below Users, which Windows makes at the first start; whether there was one that could be removed."""
    profile, error = module("win32profile"), module("pywintypes").error
    try:
        profile.DeleteProfile(sid)
    except error:  # none was made, which has many numbers
        return False
    return True
