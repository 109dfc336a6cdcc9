"""Processes around the gate, as checks, and what of the socket table cannot be seen."""

from __future__ import annotations

import sys

import psutil

from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.doctor import around
from spendgate.doctor.interface import Check, Routes, State

RESOLVED_S = 10.0


def going_around(report: Report, health: Health, routes: Routes) -> tuple[tuple[around.Process, ...], list[Check]]:
    """Those that this account may see."""
    ports = frozenset(way.port for way in report.ways)
    gates = around.Gates(frozenset(health.gate_pids), health.gate_uid, ports)
    try:
        going = around.outward(around.table(), gates)
    except (psutil.Error, OSError, RuntimeError, ValueError) as fault:
        says = f"the socket table cannot be read: {type(fault).__name__}"
        return (), [Check("around", "connections", State.UNSEEN, says, "run it as root")]
    hosts, left = around.resolved(health.hosts, RESOLVED_S) if going else ({}, 0)
    found = around.processes(going, hosts)
    exempt = _account(health.gate_uid)
    checks = [_browser(each) if each.browser else told(each, routes, exempt) for each in found]
    if hidden := around.hidden(going, hosts, health.gate_uid):
        says = f"{hidden} connection{'s' if hidden > 1 else ''} to providers' addresses of other accounts: whose cannot be seen"
        checks.append(Check("around", "other accounts", State.UNSEEN, says, "run it as root"))
    if left:
        says = f"{left} of the providers' names did not resolve within {RESOLVED_S:.0f} s: their addresses were not looked for"
        checks.append(Check("around", "names", State.UNSEEN, says))
    if not checks:
        checks.append(
            Check("around", "connections", State.FINE, "no process holds a connection to a provider around the gate")
        )
    return tuple(each for each in found if not each.browser), checks


def _browser(one: around.Process) -> Check:
    """Whether it calls a provider or shows a site behind the same address cannot be told, and sites are left to browsers."""
    says = f"process {one.pid} of {one.account} is a browser with a connection to {', '.join(one.addresses)}, where"
    return Check(
        "around", one.program, State.UNSEEN, f"{says} {', '.join(one.hosts)} is, too: whom it calls cannot be told"
    )


def _account(uid: int) -> str:
    """Its name; empty where the system has none for it, or no such numbers."""
    if sys.platform == "win32":
        return ""
    import pwd  # noqa: PLC0415 - POSIX alone has it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def told(one: around.Process, routes: Routes, exempt: str) -> Check:
    """`exempt`: the account whose traffic no rule leads to the gate, its own. Pure."""
    what = f" ({one.tool})" if one.tool else ""
    says = (
        f"process {one.pid} of {one.account}, {one.program}{what}, holds a connection to {', '.join(one.addresses)} around the"
        f" gate; {', '.join(one.hosts)} resolves to that"
    )
    remedy = (
        "end it and start it again: its connection is older than the rules, or from a time when they did not act (`spendgate"
        " audit list`: capture lapsed); under `--cgroup` it may be outside the group"
    )
    if not routes.transparent:
        proxy = f"HTTPS_PROXY=http://{routes.listener}" if routes.listener else "HTTPS_PROXY"
        remedy = f"start it again with {proxy}, or through `spendgate exec`; where it goes by no proxy, capture transparently"
    elif one.account == exempt:
        remedy = f"end it: nothing else is to run as {exempt}, the gate's account, which no rule leads to the gate"
    return Check("around", one.tool or one.program, State.FINDING, says, remedy)
