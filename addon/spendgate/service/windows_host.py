"""The gate's process as Windows' service manager wants it, by pywin32's framework (`win32serviceutil`, `servicemanager`).

The gate runs on the main thread, as it does under `run`; the manager speaks on threads of its own. That it stops is told there
as SIGTERM is elsewhere: the interpreter hands a signal to the main thread. A gate that ends by a fault ends its process without
a word to the manager, which takes that for a failure and starts it again (MS-SCMR, SERVICE_FAILURE_ACTIONS); the reason is in
the log. While it starts no stop is taken. Nothing ends a gate that hangs. Never run on Windows.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from spendgate.errors import StateError
from spendgate.service.windows import NAME
from spendgate.service.windows_manager import module

_START_MS: Final = 300_000
"""A ledger that is brought up to date takes minutes."""
_STOP_MS: Final = 30_000
_LOG_BYTES: Final = 8 * 1024 * 1024
"""From then on a start begins another log, and keeps this one beside it."""


class Host:
    """Between the gate and the service manager; told by the gate as systemd's `Manager` is."""

    def __init__(self) -> None:
        self._known, self._ended = threading.Event(), threading.Event()
        self._service: Any = None
        self._fault = ""

    def ready(self, _status: str) -> None:
        """It accepts connections."""
        self._service.ReportServiceStatus(module("win32service").SERVICE_RUNNING)

    def stopping(self) -> None:
        """It has begun to end."""
        self._service.ReportServiceStatus(module("win32service").SERVICE_STOP_PENDING, _STOP_MS)

    async def keep_telling(self) -> None:
        """Windows has no watchdog that would want to hear."""

    def run(self, service: Any) -> None:  # noqa: ANN401 - pywin32's class, made below
        """The manager's thread, from the service's start to its end."""
        self._service = service
        service.ReportServiceStatus(module("win32service").SERVICE_START_PENDING, _START_MS)
        self._known.set()
        self._ended.wait()

    def stop(self) -> None:
        """The manager wants it to end, or the machine does."""
        self.stopping()
        _thread.interrupt_main(signal.SIGTERM)

    def no_manager(self, fault: str) -> None:
        """Nobody's service."""
        self._fault = fault
        self._known.set()

    def started(self) -> None:
        """Waits for the manager. Raises StateError where it did not start us."""
        self._known.wait()
        if self._fault:
            raise StateError(f"the service manager did not start this ({self._fault}); `spendgate run` needs none")

    def end(self) -> None:
        """The gate has ended as it was told to."""
        self._ended.set()


def hosted(gate: Callable[[Host], Coroutine[Any, Any, None]]) -> None:
    """Run the gate to its end. Raises what it does, and StateError where the service manager did not start this process."""
    host = Host()
    if stopper := getattr(signal, "SIGBREAK", None):
        # Windows tells every service that somebody logs off (HandlerRoutine, CTRL_LOGOFF_EVENT), and its C library hands that on
        # as Ctrl-Break: the gate would end with each person who leaves.
        signal.signal(stopper, signal.SIG_IGN)
    speaking = threading.Thread(target=_speak, args=(host,), daemon=True, name="service manager")
    speaking.start()
    host.started()
    asyncio.run(gate(host))
    host.end()
    speaking.join()


def _speak(host: Host) -> None:
    """With the service manager, until the service has ended. Whatever fails here, the gate must not wait for it."""
    try:
        _dispatch(host)
    except Exception as fault:  # noqa: BLE001 - pywin32's errors are its own, and known when it is there
        host.no_manager(str(getattr(fault, "strerror", None) or fault))


def _dispatch(host: Host) -> None:
    manager, utilities = module("servicemanager"), module("win32serviceutil")

    class Service(utilities.ServiceFramework):  # type: ignore[name-defined,misc] # pywin32's, without types
        _svc_name_ = NAME

        def SvcRun(self) -> None:  # noqa: N802 - pywin32's name for it, as below
            host.run(self)

        def SvcStop(self) -> None:  # noqa: N802
            host.stop()

        def SvcShutdown(self) -> None:  # noqa: N802
            host.stop()

        def SvcInterrogate(self) -> None:  # noqa: N802
            """The manager has what was said last; pywin32's own would say that it runs, also while it starts."""

    manager.Initialize()
    manager.PrepareToHostSingle(Service)
    manager.StartServiceCtrlDispatcher()


def to_log(file: Path) -> None:
    """What this process and those that it starts print goes there from now on: a service has no screen. Raises StateError."""
    try:
        if file.exists() and file.stat().st_size > _LOG_BYTES:
            file.replace(file.with_name(f"{file.name}.1"))
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for number in (1, 2):
            os.dup2(handle, number)
        os.close(handle)
        sys.stdout = sys.stderr = open(  # noqa: SIM115 - until this process ends
            2, "a", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
        )
    except OSError as fault:
        raise StateError(f"{file}: {fault.strerror or fault}") from fault
