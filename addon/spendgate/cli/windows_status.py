"""How the installed service is on Windows: what the service manager says of it, and what the ledger does."""

from __future__ import annotations

from datetime import UTC, datetime

import psutil

from spendgate.cli.desk import Asking
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.output import Format
from spendgate.cli.service_shown import UP, Service, shown
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError
from spendgate.service import windows, windows_manager
from spendgate.service.windows import Found


def status(fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs. Raises StateError where there is no service."""
    found = there()
    if not found:
        raise StateError("no service is installed: `spendgate service install --dry-run` shows what would be")
    shown(found[0], fmt)


def there() -> tuple[Service, ...]:
    """The service as it is shown; nothing where there is none. Raises StateError."""
    found = windows_manager.found()
    return (_shown(found),) if found else ()


def _shown(found: Found) -> Service:
    up = found.state == "running"
    log = paths.SERVICE_DIRECTORY / windows.LOG
    last, fault = _last_call() if up else ("", f"the gate does not run: see {log}, as an administrator")
    return Service(
        unit=windows.NAME,
        state=UP if up else f"inactive ({found.state})",
        enabled="enabled" if found.automatic else "disabled",
        since=_since(found.pid) if up else "",
        restarts=None,
        result="success" if up or found.code == 0 else f"exit code {found.code}",
        pid=found.pid,
        running="",
        ledger=str(paths.SERVICE_DIRECTORY / "ledger.db"),
        last_call=last,
        fault=fault,
    )


def _last_call() -> tuple[str, str]:
    """When the newest call began, and why that is not known: the ledger is the gate's, and administrators' to read."""
    try:
        rows = FileDesk(paths.SERVICE_DIRECTORY).calls(Asking(), 1, free=False).rows
    except SpendgateError as fault:
        return "", str(fault)
    except PermissionError:
        return "", "the ledger is administrators' to read"
    return (str(rows[0]["started_at"]) if rows else "none yet"), ""


def _since(pid: int) -> str:
    try:
        return f"{datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (psutil.Error, OSError):
        return ""
