"""Whether a program's traffic would reach the gate, by the ways that were tried. Pure."""

from __future__ import annotations

from spendgate.doctor.interface import Proxies, Reached, Routes, Tool

_EXEC = "run it with `spendgate exec -- COMMAND`, or capture transparently"
JAVA = "JAVA_TOOL_OPTIONS"


def reaches(tool: Tool, routes: Routes) -> Reached:
    """Transparent capture takes all; else it depends on what the program goes by."""
    if routes.transparent:
        return Reached(True, "transparent")
    if routes.unseen and not (routes.java if tool.proxies is Proxies.JAVA else routes.proxy):
        return Reached(None, routes.unseen)
    if tool.proxies is Proxies.JAVA:
        return _java(routes)
    if routes.proxy:
        if tool.proxies is Proxies.SETTINGS:
            why = f"{routes.proxy} leads to the gate; what it sends past its proxy settings cannot be told"
            return Reached(None, why, "set its `http.proxy` to the gate as well, or capture transparently")
        return Reached(True, routes.proxy)
    return Reached(False, *astray(routes))


def _java(routes: Routes) -> Reached:
    if routes.java:
        return Reached(True, JAVA)
    if not routes.listener:
        return Reached(False, *astray(routes))
    host, _, port = routes.listener.rpartition(":")
    options = f"-Dhttps.proxyHost={host} -Dhttps.proxyPort={port}"
    return Reached(False, "Java goes by no proxy variable", f"add `{options}` to {JAVA}, or {_exec(routes)}")


def astray(routes: Routes) -> tuple[str, str]:
    """Why nothing leads to the gate from here, and what would."""
    if routes.strays:
        name, where = next(iter(routes.strays.items()))
        there = f"set {name}=http://{routes.listener}" if routes.listener else _exec(routes)
        return f"{name} leads to {where}, which is not the gate", there
    if routes.listener:
        return "no proxy variable is set here", f"set HTTPS_PROXY=http://{routes.listener}, or {_exec(routes)}"
    return "no way leads to the gate from here", f"start the gate; {_exec(routes)}"


def _exec(routes: Routes) -> str:
    how = (
        "install the service again with `--mode transparent`"
        if routes.service
        else "`spendgate run --mode transparent`"
    )
    return f"{_EXEC} ({how})"
