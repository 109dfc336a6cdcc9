"""How the installed service is: what systemd says of it, and what the gate itself answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from spendgate.cli import awaiting
from spendgate.cli.desk import Asking
from spendgate.cli.installing import RUN_INSTEAD
from spendgate.cli.lines import counted, say, value
from spendgate.cli.output import Format, emit, emit_json, writing
from spendgate.cli.socket_desk import SocketDesk
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError
from spendgate.service import machine
from spendgate.service.redirect_units import CAPTURING, CLERK, REDIRECT
from spendgate.service.unit import UNIT

UP, _DOWN = "active (running)", "does not run"
WAITING = "no gate is there"
"""As the units beside the gate say it (`redirect.clerk`, `redirect.redirector`)."""
_STARTING = "starting: the gate has not asked for it yet"


@dataclass(frozen=True, slots=True)
class Service:
    """What is shown. Empty: not known, and `fault` says why."""

    unit: str
    state: str
    enabled: str
    since: str
    restarts: int
    result: str
    """systemd's word for how it last ended: success, watchdog, exit-code, …"""
    pid: int
    running: str
    """What the gate said of itself when it was ready: version and where it listens."""
    ledger: str
    last_call: str
    redirect: str = ""
    """Transparent capture: what leads traffic here says of itself, or that it does not run. Empty: not installed."""
    clerk: str = ""
    """Likewise of the service that knows processes."""
    fault: str = ""
    waits: str = ""
    """For the organization's certificates, and what ends that. Empty: it does not."""


def show(fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs. Raises StateError where there is no service."""
    machine.check_systemd(f"nothing is a service there; {RUN_INSTEAD}, and `spendgate status` asks after it")
    shown(asked(), fmt)


def shown(found: Service, fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs."""
    if fmt is Format.TABLE:
        _print(found)
    elif fmt is Format.JSON:
        emit_json(asdict(found))
    else:
        emit([asdict(found)], (), fmt)
    if found.state != UP or found.redirect not in ("", CAPTURING) or found.clerk.startswith(_DOWN):
        raise typer.Exit(1)


def asked() -> Service:
    """Raises StateError."""
    said = machine.unit_said(UNIT)
    if said["LoadState"] == "not-found":
        raise StateError("no service is installed: `spendgate service install --dry-run` shows what would be")
    up = said["ActiveState"] == "active"
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
        redirect=_beside(REDIRECT, up=up),
        clerk=_beside(CLERK, up=up),
        fault=fault,
        waits=f"{awaiting.SAYS}: {awaiting.REMEDY}" if awaiting.waits() else "",
    )


def _beside(unit: str, *, up: bool) -> str:
    """`up`: whether the gate is, which then has not spoken to a unit that waits for one."""
    said = machine.unit_said(unit)
    if said["LoadState"] == "not-found":
        return ""
    if said["ActiveState"] != "active":
        return f"{_DOWN}: {said['ActiveState']} ({said['SubState']}), see `journalctl --unit {unit}`"
    waits = up and said["StatusText"].endswith(WAITING)
    return f"{said['StatusText'].removesuffix(WAITING)}{_STARTING}" if waits else said["StatusText"]


def _last_call() -> tuple[str, str]:
    """When the newest call began that whoever asks may see, and why that is not known."""
    try:
        rows = SocketDesk(Path(paths.SOCKET)).calls(Asking(), 1, free=False).rows
    except SpendgateError as fault:
        return "", str(fault)
    return (str(rows[0]["started_at"]) if rows else "none yet"), ""


@writing()
def _print(found: Service) -> None:
    say("service", value(found.state), value(found.enabled), value(found.unit))
    ended = f"last ended by {found.result}" if found.result != "success" else ""
    process = f"process {found.pid}" if found.pid else ""
    say("since", value(found.since), process, counted(found.restarts, "restart"), ended)
    say("gate", value(found.running))
    if found.redirect or found.clerk:
        say("capture", value(found.redirect), style="" if found.redirect == CAPTURING else "red")
        say("processes", value(found.clerk))
    say("ledger", value(found.ledger))
    say("last call", value(found.last_call))
    if found.waits:
        say("", found.waits, style="red")
    if found.fault:
        say("", found.fault, style="red")
