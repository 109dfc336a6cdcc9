"""How the installed service is: what systemd says of it, and what the gate itself answers."""

from __future__ import annotations

from pathlib import Path

from spendgate.cli import not_led
from spendgate.cli.desk import Asking
from spendgate.cli.installing import RUN_INSTEAD
from spendgate.cli.output import Format
from spendgate.cli.service_shown import DOWN, Service, shown
from spendgate.cli.socket_desk import SocketDesk
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError
from spendgate.service import machine
from spendgate.service.redirect_units import CLERK, REDIRECT
from spendgate.service.unit import UNIT

WAITING = "no gate is there"
"""As the units beside the gate say it (`redirect.clerk`, `redirect.redirector`)."""
_STARTING = "starting: the gate has not asked for it yet"


def show(fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs. Raises StateError where there is no service."""
    machine.check_systemd(f"nothing is a service there; {RUN_INSTEAD}, and `spendgate status` asks after it")
    shown(asked(), fmt)


def asked() -> Service:
    """Raises StateError."""
    said = machine.unit_said(UNIT)
    if said["LoadState"] == "not-found":
        raise StateError("no service is installed: `spendgate service install --dry-run` shows what would be")
    up = said["ActiveState"] == "active"
    redirect = _beside(REDIRECT, up=up)
    since = machine.instant(said["ActiveEnterTimestamp" if up else "InactiveEnterTimestamp"])
    last, fault = _last_call() if up else ("", "the gate does not run: see `journalctl --unit spendgate.service`")
    return Service(
        unit=said["FragmentPath"],
        state=f"{said['ActiveState']} ({said['SubState']})",
        enabled=said["UnitFileState"],
        since=f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else "",
        restarts=int(said["NRestarts"] or 0),
        result=said["Result"],
        pid=int(said["MainPID"] or 0),
        running=said["StatusText"] if up else "",  # systemd keeps what one that has ended said last
        ledger=str(paths.SERVICE_DIRECTORY / "ledger.db"),
        last_call=last,
        redirect=redirect,
        clerk=_beside(CLERK, up=up),
        fault=fault,
        waits=not_led.said(redirect),
    )


def _beside(unit: str, *, up: bool) -> str:
    """`up`: whether the gate is, which then has not spoken to a unit that waits for one."""
    said = machine.unit_said(unit)
    if said["LoadState"] == "not-found":
        return ""
    if said["ActiveState"] != "active":
        return f"{DOWN}: {said['ActiveState']} ({said['SubState']}), see `journalctl --unit {unit}`"
    waits = up and said["StatusText"].endswith(WAITING)
    return f"{said['StatusText'].removesuffix(WAITING)}{_STARTING}" if waits else said["StatusText"]


def _last_call() -> tuple[str, str]:
    """When the newest call began that whoever asks may see, and why that is not known."""
    try:
        rows = SocketDesk(Path(paths.SOCKET)).calls(Asking(), 1, free=False).rows
    except SpendgateError as fault:
        return "", str(fault)
    return (str(rows[0]["started_at"]) if rows else "none yet"), ""
