"""What the system says of the gate, as checks: its service, the firewall's rules against QUIC, and bridges that go past it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spendgate.cli import service_status
from spendgate.cli.desk import Desk
from spendgate.cli.report import Report
from spendgate.cli.socket_desk import SocketDesk
from spendgate.config import paths
from spendgate.doctor.interface import Check, State
from spendgate.errors import StateError
from spendgate.redirect import nftables
from spendgate.service import machine


def service(desk: Desk) -> Iterator[Check]:
    """Of the machine's own service, where that is asked; nothing where none is installed under systemd."""
    if not isinstance(desk, SocketDesk) or desk.path != paths.SOCKET or not machine.BOOTED.is_dir():
        return
    try:
        found = service_status.asked()
    except StateError:
        return
    says = f"{found.unit} is {found.state}, {found.enabled} at boot, started again {found.restarts} times"
    if not found.state.startswith("active"):
        why = f"; it last ended by {found.result}"
        remedy = "`journalctl --unit spendgate.service` says why; then `systemctl start spendgate`, as root"
        yield Check("service", "service", State.FINDING, says + why, remedy)
    elif found.enabled != "enabled":
        yield Check("service", "service", State.FINDING, says, "`systemctl enable spendgate`, as root")
    else:
        yield Check("service", "service", State.FINE, says)


def quic(report: Report) -> Iterator[Check]:
    """Under transparent capture QUIC to providers is rejected, so that programs fall back to what the gate reads."""
    if not any(way.mode == "transparent" for way in report.ways):
        return
    if os.geteuid() != 0:
        yield Check("quic", "QUIC", State.UNSEEN, "whether QUIC to providers is refused is for root to see")
        return
    try:
        packets = nftables.rejected(nftables.show())
    except StateError as fault:
        yield Check("quic", "QUIC", State.UNSEEN, str(fault))
        return
    if packets is None:
        says = "no rule refuses QUIC to providers: what speaks it goes around the gate"
        yield Check("quic", "QUIC", State.FINDING, says, "restart the gate, which puts its rules back")
    else:
        yield Check("quic", "QUIC", State.FINE, f"refused to providers' known addresses, {packets:,} packets so far")


def containers(report: Report, interfaces: Path = Path("/sys/class/net")) -> Iterator[Check]:
    """Bridges with something behind them, as Docker's: what it sends passes the machine, and no account's rule sees it."""
    busy = sorted(each.parent.name for each in interfaces.glob("*/brif") if any(each.iterdir()))
    if not busy:
        return
    names = ", ".join(busy)
    if any(way.for_containers for way in report.ways):
        yield Check(
            "containers", names, State.FINE, "what comes by bridges from the ranges that were named is led to the gate"
        )
        return
    says = "containers or virtual machines are behind this bridge, and what they send is not led to the gate"
    remedy = "name their addresses, as in `--mode transparent --containers 172.16.0.0/12`, and have their images trust the gate"
    yield Check("containers", names, State.UNSEEN, says, remedy)
