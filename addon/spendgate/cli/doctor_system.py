"""What the system says of the gate, as checks: its service, the firewall's rules against QUIC and for a gate that is gone, and
bridges that go past it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from spendgate.cli import service_status
from spendgate.cli.desk import Desk
from spendgate.cli.doctor_checks import START
from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.cli.socket_desk import SocketDesk
from spendgate.config import paths
from spendgate.doctor.interface import Check, State
from spendgate.errors import StateError
from spendgate.plural import counted
from spendgate.redirect import listed, nftables
from spendgate.service import machine
from spendgate.service.redirect_units import HELD

_QUIC_SETS = re.compile(r"set quic[46] \{[^}]*elements = \{([^}]*)\}")
_QUIC_ADDRESS = re.compile(r"[^\s,]+")
_LET_GO = (
    f"{START}; or let calls go direct: `spendgate service stop`, or without a service "
    "`nft delete table inet spendgate`, as root"
)
_CERTIFICATES = (
    "install the certificates, as the way's finding says; or let calls go direct: `spendgate service stop`, as root"
)


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
        yield refused_quic(nftables.show())
    except StateError as fault:
        yield Check("quic", "QUIC", State.UNSEEN, str(fault))


def refused_quic(table: str) -> Check:
    """The same, of the table as the kernel holds it. Pure."""
    packets, addresses = listed.rejected(table), len(_QUIC_ADDRESS.findall(" ".join(_QUIC_SETS.findall(table))))
    if packets is None:
        says = "no rule refuses QUIC to providers: what speaks it goes around the gate"
        return Check("quic", "QUIC", State.FINDING, says, "restart the gate, which puts its rules back")
    if not addresses:
        says = "no provider's address is known, so that QUIC is refused to none: what speaks it goes around the gate"
        remedy = (
            "let the gate's machine resolve the providers' names; it does so again within minutes, and at its start"
        )
        return Check("quic", "QUIC", State.FINDING, says, remedy)
    says = f"refused to {counted(addresses, 'address')} of providers that are known, {packets:,} packets so far"
    return Check("quic", "QUIC", State.FINE, says)


def holding(report: Report | None = None, health: Health | None = None) -> Iterator[Check]:
    """Whether calls to providers are refused because no gate answers (`on_failure: refuse`), or would be. Nothing where not."""
    if sys.platform != "linux":
        return
    if os.geteuid() != 0:
        said = _said_by_the_service()
        if said.startswith(HELD):
            yield Check("hold", "on_failure", State.FINDING, said, _LET_GO)
        return
    try:
        table = nftables.show()
    except StateError:
        return  # without nft there is no rule
    transparent = report is not None and any(way.mode == "transparent" for way in report.ways)
    wanted = (
        report is not None and health is not None and (report.policy.mode, health.on_failure) == ("enforce", "refuse")
    )
    why = report.not_led("transparent") if report is not None else ""
    yield from held(table, wanted=transparent and wanted, not_led=why)


def held(table: str, *, wanted: bool, not_led: str = "") -> Iterator[Check]:
    """The same, of the table as the kernel holds it. `wanted`: the policy in force says so. `not_led`: a gate is there, and why
    it takes nothing. Pure."""
    addresses = len(listed.held(table))
    if listed.holds_now(table):
        says = f"{HELD} at {addresses} addresses: {not_led or 'no gate answers'}, and on_failure is refuse"
        says += f"; {listed.held_back(table):,} packets so far"
        yield Check("hold", "on_failure", State.FINDING, says, _CERTIFICATES if not_led else _LET_GO)
    elif addresses:
        says = f"while no gate answers, calls to {addresses} addresses of providers are refused (on_failure: refuse)"
        yield Check("hold", "on_failure", State.FINE, says)
    elif wanted:
        says = "on_failure is refuse, but no provider's address is known to hold: without a gate calls go direct"
        remedy = (
            "let the gate's machine resolve the providers' names; what other hosts here share with them is never held"
        )
        yield Check("hold", "on_failure", State.FINDING, says, remedy)


def _said_by_the_service() -> str:
    try:
        return service_status.asked().redirect if machine.BOOTED.is_dir() else ""
    except StateError:
        return ""
