"""How a service is, as every system tells it: what is known of it, and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import typer

from spendgate.cli.lines import counted, say, value
from spendgate.cli.output import Format, emit, emit_json, writing
from spendgate.service.redirect_units import CAPTURING

UP, DOWN = "active (running)", "does not run"


@dataclass(frozen=True, slots=True)
class Service:
    """What is shown. Empty: not known, and `fault` says why."""

    unit: str
    state: str
    enabled: str
    since: str
    restarts: int | None
    """None: the system counts none."""
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


def shown(found: Service, fmt: Format) -> None:
    """Print it; leaves with exit status 1 unless the gate runs."""
    if fmt is Format.TABLE:
        _print(found)
    elif fmt is Format.JSON:
        emit_json(asdict(found))
    else:
        emit([asdict(found)], (), fmt)
    if found.state != UP or found.redirect not in ("", CAPTURING) or found.clerk.startswith(DOWN):
        raise typer.Exit(1)


@writing()
def _print(found: Service) -> None:
    say("service", value(found.state), value(found.enabled), value(found.unit))
    ended = f"last ended by {found.result}" if found.result != "success" else ""
    process = f"process {found.pid}" if found.pid else ""
    again = counted(found.restarts, "restart") if found.restarts is not None else ""
    say("since", value(found.since), process, again, ended)
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
