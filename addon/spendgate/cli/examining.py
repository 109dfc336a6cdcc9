"""Everything that `doctor` looks at, from this process: the gate's answers, canary calls, programs, the socket table."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from spendgate.cli import alive, awaiting, doctor_checks
from spendgate.cli.desk import Desk
from spendgate.cli.doctor_here import of_rules, of_service
from spendgate.cli.environment import no_proxy
from spendgate.cli.going_around import going_around
from spendgate.cli.report import Report
from spendgate.doctor import autoconfig, environment, ways
from spendgate.doctor.around import Process
from spendgate.doctor.asking import ASKED, Said, ask
from spendgate.doctor.interface import Check, Installed, Reached, Routes, State, Store, Trusted
from spendgate.doctor.known import TOOLS
from spendgate.doctor.material import JAVA, Certificate, material, stores_of
from spendgate.doctor.programs import installed
from spendgate.doctor.routing import reaches
from spendgate.doctor.settings import with_settings
from spendgate.doctor.trusting import trusts
from spendgate.errors import SpendgateError
from spendgate.stores.here import ELSEWHERE

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ToolFound:
    """One installed program, and what is known of its traffic."""

    one: Installed
    trusted: Trusted
    reached: Reached
    asked: bool
    """Whether it made a canary call itself; else it is judged by what is known of it."""
    last_ms: int | None
    """When its last call was seen, of those that this account may see."""


@dataclass(frozen=True, slots=True)
class Examined:
    """All of it."""

    at: datetime
    checks: tuple[Check, ...]
    report: Report | None = None
    tools: tuple[ToolFound, ...] = ()
    around: tuple[Process, ...] = ()
    stores: Mapping[Store, bool] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Check, ...]:
        return tuple(each for each in self.checks if each.state is State.FINDING)


def examined(desk: Desk, environ: Mapping[str, str] = os.environ) -> Examined:
    """Look at everything. What cannot be asked is a finding or said to be unseen; nothing is raised for it."""
    now = datetime.now(UTC)
    try:
        report, health = desk.status(), desk.health()
    except SpendgateError as fault:
        down = Check("gate", "gate", State.FINDING, str(fault), doctor_checks.START)
        return Examined(now, (down, *of_service(desk), *of_rules()))
    checks = [*doctor_checks.running(report), *of_service(desk), *doctor_checks.kept(report, health)]
    checks += [_way(each, report) for each in report.ways]
    routes, way = asyncio.run(_routes(report, environ))
    checks += ways.environment(routes, no_proxy(_no_proxy(environ), health.hosts)[1])
    pac = autoconfig.configured(environ, Path(environ.get("HOME") or "/"))
    checks += autoconfig.checks(pac, upstream=any(each.mode == "upstream" for each in report.ways))
    ours = _certificate(way)
    if waits := way is not None and awaiting.waits_at(way.certificate):
        checks.append(Check("ca", "certificates", State.FINDING, awaiting.SAYS, awaiting.REMEDY))
    tools: tuple[ToolFound, ...] = ()
    stores: dict[Store, bool] = {}
    if way is not None and ours is not None:
        checks.append(doctor_checks.certificate(way.certificate, ours.value.not_valid_after_utc, now))
        stores = stores_of(ours)
        tools = tuple(_tools(report, routes, way, ours, stores, environ))
        checks += (check for tool in tools for check in _of_tool(tool, waits=waits))
    processes, seen = going_around(report, health, routes)
    checks += seen
    checks += of_rules(report, health)
    checks += doctor_checks.unread(report, int(now.timestamp() * 1000), waits=waits)
    return Examined(now, tuple(checks), report, tools, processes, stores)


def _no_proxy(environ: Mapping[str, str]) -> str:
    return environ.get("NO_PROXY") or environ.get("no_proxy") or ""


def _way(way: alive.Way, report: Report) -> Check:
    if why := way.unused():
        return Check("way", way.name, State.UNSEEN, why)
    answered = way.name not in report.silent
    if not answered and (why := report.not_led(way.name)):
        return Check("way", way.name, State.FINDING, f"captures nothing: {why}", awaiting.remedy_of(why))
    return ways.way(way.name, way.mode, answered=answered, readable=bool(way.pem), certificate=way.certificate)


async def _routes(report: Report, environ: Mapping[str, str]) -> tuple[Routes, alive.Way | None]:
    """What leads from here to a gate, and the way of the gate by whose certificate that is."""
    up = [way for way in report.ways if way.name not in report.silent and not way.unused()]
    proxies = environment.proxies(environ)
    answers = {proxy: await _gate_at(proxy, up) for proxy in proxies}
    java = environment.java(environ.get(JAVA, ""))
    found = ways.routes(
        [(way.mode, f"{way.host}:{way.port}") for way in up],
        java=java is not None and await _gate_at(java, up) is not None,
        proxies={proxy: way is not None for proxy, way in answers.items()},
        untried=next(
            (why for way in report.ways if not way.for_containers and ":" not in way.host and (why := way.unused())), ""
        ),
    )
    found = replace(found, service=any(awaiting.is_services(way.certificate) for way in report.ways))
    led = next((way for way in answers.values() if way is not None), None)
    through = next((way for way in up if way.mode in ways.TRANSPARENT), None)
    return found, led or through or next((way for way in report.ways if way.pem), None) or _remembered(report)


def _remembered(report: Report) -> alive.Way | None:
    """Of a gate that has ended: its certificate is still what tools must trust when it is up again."""
    if report.said is None:
        return None
    [*found] = alive.ways(replace(report.said, listeners=(("regular", "", 0),)))
    return found[0] if found[0].pem else None


async def _gate_at(proxy: environment.Proxy, up: list[alive.Way]) -> alive.Way | None:
    """The gate that answers a canary call through this proxy."""
    for pem in dict.fromkeys(way.pem for way in up):
        instance = await environment.answered(proxy, pem, alive.PATIENCE_S)
        if instance is not None:
            return next((way for way in up if way.instance == instance), None)
    return None


def _certificate(way: alive.Way | None) -> Certificate | None:
    try:
        return Certificate(way.pem) if way is not None else None
    except ValueError:
        return None


def _tools(
    report: Report,
    routes: Routes,
    way: alive.Way,
    ours: Certificate,
    stores: Mapping[Store, bool],
    environ: Mapping[str, str],
) -> Iterator[ToolFound]:
    found = installed(TOOLS)
    by_address = routes.transparent and not routes.proxy
    asked = [one for one in found if one.tool.name in ASKED and (routes.proxy or not routes.unseen)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = dict(
            zip(
                (one.tool.name for one in asked),
                pool.map(lambda one: ask(one, transparent=by_address, environ=environ), asked),
                strict=True,
            )
        )
    last = {each.name: each.last_ms for each in report.tools}
    for one in found:
        own = with_settings(environ, Path.home()) if one.tool.settings else dict(environ)
        has = material(ours, way.certificate, own, (*one.tool.replacing, one.tool.adding), stores)
        trusted = trusts(one.tool, has, ELSEWHERE.get(sys.platform, ""))
        reached = reaches(one.tool, routes)
        if own != environ and not reached.yes:
            reached = _by_settings(own, routes, reached)
        if one.tool.name in said:
            trusted, reached = told(said[one.tool.name], trusted, reached)
        yield ToolFound(one, trusted, reached, one.tool.name in said, last.get(one.tool.name))


def _by_settings(own: Mapping[str, str], routes: Routes, else_: Reached) -> Reached:
    """A tool's own settings may lead it to the gate where the environment does not."""
    leads = any(each.where == routes.listener for each in environment.proxies(own))
    return Reached(True, "HTTPS_PROXY of its own settings") if leads else else_


def told(said: Said, trusted: Trusted, reached: Reached) -> tuple[Trusted, Reached]:
    """What the program itself has shown goes before what is known of such programs."""
    if said.instance:
        return Trusted(True, trusted.why if trusted.yes else "it took the gate's certificate"), Reached(
            True, reached.why
        )
    if said.untrusted:
        why = trusted.why if trusted.yes is False else f"it refused the gate's certificate: {said.output}"
        remedy = trusted.remedy or "see which file or setting decides what it trusts, and let that have our certificate"
        return Trusted(False, why, remedy), Reached(True, reached.why)
    if said.hung:
        return trusted, Reached(
            None, said.output, "run it again when the machine is less busy"
        ) if reached.yes else reached
    if reached.yes:
        reached = Reached(False, f"its canary call did not arrive: {said.output}", _LED)
    return trusted, reached


_LED = "it goes by no variable of these: capture transparently, or set its own proxy settings; Node does from 22.21 and 24 on"


def _of_tool(found: ToolFound, *, waits: bool) -> Iterator[Check]:
    """`waits`: nothing is to trust the certificate of now, which is told by itself; what each tool lacks of it mends nothing."""
    name, trusted, reached = found.one.tool.name, found.trusted, found.reached
    if not waits or trusted.yes:
        yield Check("tool.trust", name, _state(trusted.yes), trusted.why, trusted.remedy)
    yield Check("tool.capture", name, _state(reached.yes), reached.why, reached.remedy)


def _state(yes: bool | None) -> State:
    return State.UNSEEN if yes is None else State.FINE if yes else State.FINDING
