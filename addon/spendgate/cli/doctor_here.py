"""What the system that we run on says of the gate: on Linux its service and rules. Elsewhere what of that is not looked at."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from spendgate.cli.desk import Desk
from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.doctor.interface import Check, State

_NAMES = {"Darwin": "macOS"}


def of_service(desk: Desk) -> Iterator[Check]:
    """Of what keeps the gate running."""
    if platform.system() == "Linux":
        from spendgate.cli.doctor_system import service  # noqa: PLC0415 - imports what only POSIX has

        yield from service(desk)


def of_rules(report: Report | None = None, health: Health | None = None) -> Iterator[Check]:
    """Of what leads to the gate, or holds calls while there is none."""
    if platform.system() == "Linux":
        from spendgate.cli import doctor_system  # noqa: PLC0415 - as above

        yield from doctor_system.quic(report) if report is not None else ()
        yield from doctor_system.holding(report, health)
        yield from doctor_system.containers(report) if report is not None else ()
        return
    name = _NAMES.get(platform.system(), platform.system())
    says = f"what starts the gate, and whether QUIC to providers is refused, is not looked at on {name}"
    yield Check("system", name, State.UNSEEN, says)
