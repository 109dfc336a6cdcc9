"""`spendgate run --mode transparent` (Linux): root sets the rules and the gate runs beside it, or other services set them."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from spendgate.audit_words import AuditWord
from spendgate.cli.output import note
from spendgate.cli.until_stopped import until_stopped
from spendgate.cli.wanted import Wanted
from spendgate.errors import UsageError
from spendgate.identity.containers import BridgedLookup
from spendgate.identity.interface import Lookup

if TYPE_CHECKING:
    from spendgate.cli.serving import Serving
    from spendgate.redirect.gate_side import Side
    from spendgate.redirect.supervisor import Settings

TRANSPARENT = "transparent"
"""The word of `--mode`."""
ACCOUNT = "spendgate"
"""Under which the gate runs that root starts."""
_PORT = 8443


def beside_services(wanted: Wanted) -> None:
    """Linux: this process has no privilege, and never had; the rules are another service's."""
    if sys.platform != "linux":
        raise UsageError("--redirected: Linux alone has the services that redirect")
    from spendgate.redirect.service_side import ServiceSide  # noqa: PLC0415 - Linux alone has it
    from spendgate.redirect.supervisor import Settings  # noqa: PLC0415

    settings = Settings(port=wanted.port or _PORT, containers=wanted.containers)
    _as_gate(wanted, settings, ServiceSide())


def by_root(wanted: Wanted, account: str, cgroups: tuple[str, ...], *, dry_run: bool) -> None:
    """Linux: root sets the rules and stays small; the gate runs under an account of its own."""
    # Linux alone has these, and they must be loaded before the fork, the proxy after it.
    from spendgate.redirect.ruleset import ruleset  # noqa: PLC0415
    from spendgate.redirect.supervisor import Settings, rules_to_read, supervise  # noqa: PLC0415

    port = _PORT if wanted.port is None else wanted.port or _free_port()
    at = wanted.socket.parent if wanted.socket else None
    settings = Settings(
        account=account,
        port=port,
        cgroups=cgroups,
        containers=wanted.containers,
        state=wanted.state.root,
        socket_folder=at,
    )
    if dry_run:
        rules, missing = rules_to_read(settings)
        typer.echo(ruleset(rules), nl=False)
        if missing:
            note(missing)
        return
    raise typer.Exit(supervise(settings, lambda side: _as_gate(wanted, settings, side)))


def _free_port() -> int:
    """One that nobody listens on now: the rules must name it before the gate binds it."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _as_gate(wanted: Wanted, settings: Settings, side: Side) -> int:
    """The gate's main function: forked by root, or a service of its own."""
    from spendgate.cli.held_ports import listening  # noqa: PLC0415 - loads the proxy
    from spendgate.redirect.ahead import new_loop  # noqa: PLC0415 - no other way to run needs these
    from spendgate.redirect.gate_side import Served  # noqa: PLC0415
    from spendgate.redirect.holding import keep_naming  # noqa: PLC0415

    async def ready(serving: Serving) -> None:
        served = Served(serving.serves, lambda lapse: serving.audit(AuditWord.CAPTURE_LAPSED, lapse.said))
        side.attend(asyncio.get_running_loop(), served)
        try:
            await keep_naming(serving.wish, serving.shared, side)
        except asyncio.CancelledError:
            await side.ends()
            raise

    lookup: Lookup = side.lookup
    found = listening(wanted, settings, lookup)
    wanted = found.wanted
    for each in wanted.taken:
        note(f"WARNING {each}")
    if found.port != settings.port:
        side.lead_to(found.port)
    if wanted.containers:
        lookup = BridgedLookup(lookup, wanted.containers)
    asyncio.run(until_stopped(replace(wanted, lookup=lookup), ready), loop_factory=lambda: new_loop(found.sockets))
    return 0
