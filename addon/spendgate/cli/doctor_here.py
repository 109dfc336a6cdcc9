"""What the system that we run on says of the gate: its service, on Linux its rules. Elsewhere what of that is not looked at."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spendgate.cli.desk import Desk
from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.doctor.interface import Check, State
from spendgate.errors import StateError

if TYPE_CHECKING:
    from spendgate.cli.service_shown import Service

_NAMES = {"Darwin": "macOS"}


def of_service(desk: Desk) -> Iterator[Check]:
    """Of what keeps the gate running."""
    if platform.system() == "Linux":
        from spendgate.cli.doctor_system import service  # noqa: PLC0415 - imports what only POSIX has

        yield from service(desk)
    elif platform.system() == "Darwin":
        from spendgate.cli import service_macos  # noqa: PLC0415 - as above

        if service_macos.JOB.exists():
            yield _daemon(service_macos.asked())
    elif platform.system() == "Windows":
        from spendgate.cli import windows_status  # noqa: PLC0415 - as above

        try:
            yield from (_daemon(each) for each in windows_status.there())
        except StateError as fault:
            yield Check("service", "service", State.UNSEEN, str(fault))


def _daemon(found: Service) -> Check:
    again = f", started again {found.restarts} times" if found.restarts is not None else ""
    says = f"{found.unit} is {found.state}{again}"
    if found.state == "active (running)":
        return Check("service", "service", State.FINE, says)
    ended = "" if found.result == "success" else f"; it last ended by {found.result}"
    return Check("service", "service", State.FINDING, says + ended, f"{found.fault}; then `spendgate service install`")


def of_rules(report: Report | None = None, health: Health | None = None) -> Iterator[Check]:
    """Of what leads to the gate, or holds calls while there is none."""
    if platform.system() == "Linux":
        from spendgate.cli import bridges, doctor_system  # noqa: PLC0415 - as above

        yield from doctor_system.quic(report) if report is not None else ()
        yield from doctor_system.holding(report, health)
        yield from bridges.containers(report) if report is not None else ()
        return
    name = _NAMES.get(platform.system(), platform.system())
    says = f"whether QUIC to providers is refused, is not looked at on {name}"
    yield Check("system", name, State.UNSEEN, says)
