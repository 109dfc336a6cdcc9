"""`spendgate run`: the gate, until it is stopped."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spendgate import __version__
from spendgate.cli.attending import socket_of
from spendgate.cli.options import PolicyOption, SetOption, StateOption, port_from, refuse_passwords
from spendgate.cli.output import note
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.credentials import UPSTREAM_AUTH, upstream_auth
from spendgate.errors import UsageError
from spendgate.identity.containers import BridgedLookup, ranges
from spendgate.identity.interface import Lookup
from spendgate.service.notify import Manager

if TYPE_CHECKING:
    from spendgate.cli.serving import Serving
    from spendgate.redirect.gate_side import Side
    from spendgate.redirect.supervisor import Settings

TRANSPARENT = "transparent"
TRANSPARENT_PORT = 8443
ACCOUNT = "spendgate"
Ready = Callable[["Serving"], Awaitable[None]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    policy: PolicyOption = None,
    state: StateOption = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            help="How traffic comes: regular (default), transparent, local:…, upstream:…, reverse:…, socks5. Several at once,"
            " each at its own MODE@PORT. What is redirected goes out through the proxy of upstream:…, too, whose user and"
            f" password are {UPSTREAM_AUTH}'s.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            parser=port_from(0),
            metavar="PORT",
            help="Port to listen on (default 8080, transparent 8443); 0 takes a free one.",
        ),
    ] = None,
    set_: SetOption = None,
    socket_path: Annotated[
        Path | None,
        typer.Option(
            "--socket",
            metavar="PATH",
            help=f"Answer other accounts of this machine here, each about its own; a service does at {paths.SOCKET}.",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            help=f"transparent: the account that the gate runs under (default {ACCOUNT}); its traffic is exempt.",
        ),
    ] = None,
    cgroup: Annotated[
        list[str] | None, typer.Option("--cgroup", help="transparent: capture this cgroup alone. May be given again.")
    ] = None,
    containers: Annotated[
        list[str] | None,
        typer.Option(
            "--containers",
            metavar="RANGE[=ACCOUNT]",
            help="transparent: capture what comes by a bridge from these addresses, too, as 172.16.0.0/12 (Docker's). It counts"
            " for ACCOUNT, else as the policy's unknown_people say. May be given again.",
        ),
    ] = None,
    redirected: Annotated[
        bool,
        typer.Option(
            "--redirected",
            help="transparent: other services set the rules (`service install --mode transparent`); without root.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="transparent: print the firewall rules that would be set, and exit.")
    ] = False,
) -> None:
    """Capture, decide and record until stopped. Prints one line `ready …` on stderr when it accepts connections."""
    modes = tuple(mode or ["regular"])
    _refuse_unclear_ports(modes, port)
    sets = (*refuse_passwords(set_), *_proxy_login(modes))
    found = paths.find(state)
    wanted = Wanted(
        policy=policy, state=found, modes=modes, port=port, sets=sets, socket=socket_of(socket_path, found),
        containers=ranges(containers or ()),
    )  # fmt: skip
    if redirected and (TRANSPARENT not in modes or account or cgroup or dry_run or port == 0):
        raise UsageError(
            "--redirected belongs to --mode transparent, at the port that the rules lead to; account and rules are theirs"
        )
    if redirected:
        _beside_services(wanted)
    elif TRANSPARENT in modes:
        _by_root(wanted, account or ACCOUNT, tuple(cgroup or ()), dry_run=dry_run)
    elif dry_run or cgroup or account or containers:
        raise UsageError("--account, --cgroup, --containers and --dry-run belong to --mode transparent")
    else:
        asyncio.run(_until_stopped(wanted))


def _proxy_login(modes: tuple[str, ...]) -> tuple[str, ...]:
    """The option that lets the gate into its upstream proxy, where it has one and there is something to show it."""
    if not any(each.startswith("upstream:") for each in modes):
        return ()
    auth = upstream_auth(os.environ)
    return (f"upstream_auth={auth}",) if auth else ()


def _refuse_unclear_ports(modes: tuple[str, ...], port: int | None) -> None:
    """Raises UsageError where `--mode` and `--port` do not say which port is whose."""
    if any(each.startswith(f"{TRANSPARENT}@") for each in modes):
        raise UsageError(
            "--mode transparent@PORT: the firewall rules name the port, too; write --mode transparent --port PORT"
        )
    at_port = [each for each in modes if "@" not in each and each not in (TRANSPARENT, "local") and port]
    if len(at_port) > 1:
        raise UsageError(
            f"--port {port}: {' and '.join(at_port)} cannot share it; give each its own, as in --mode {at_port[1]}@PORT"
        )


def _beside_services(wanted: Wanted) -> None:
    """Linux: this process has no privilege, and never had; the rules are another service's."""
    if sys.platform != "linux":
        raise UsageError("--redirected: Linux alone has the services that redirect")
    from spendgate.redirect.service_side import ServiceSide  # noqa: PLC0415 - Linux alone has it
    from spendgate.redirect.supervisor import Settings  # noqa: PLC0415

    settings = Settings(port=wanted.port or TRANSPARENT_PORT, containers=wanted.containers)
    _as_gate(_listening(wanted, settings), ServiceSide())


def _listening(wanted: Wanted, settings: Settings) -> Wanted:
    """With the modes that the rules lead to in place of `transparent`."""
    from spendgate.redirect.supervisor import listeners  # noqa: PLC0415 - Linux alone has it

    others = tuple(mode for mode in wanted.modes if mode != TRANSPARENT)
    return replace(wanted, modes=(*listeners(settings), *others), port=None)


def _by_root(wanted: Wanted, account: str, cgroups: tuple[str, ...], *, dry_run: bool) -> None:
    """Linux: root sets the rules and stays small; the gate runs under an account of its own."""
    # Linux alone has these, and they must be loaded before the fork, the proxy after it.
    from spendgate.redirect import nftables  # noqa: PLC0415
    from spendgate.redirect.supervisor import Settings, rules_to_read, supervise  # noqa: PLC0415

    port = TRANSPARENT_PORT if wanted.port is None else wanted.port or _free_port()
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
        typer.echo(nftables.ruleset(rules), nl=False)
        if missing:
            note(missing)
        return
    gate = _listening(wanted, settings)
    raise typer.Exit(supervise(settings, lambda side: _as_gate(gate, side)))


def _free_port() -> int:
    """One that nobody listens on now: the rules must name it before the gate binds it."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _as_gate(wanted: Wanted, side: Side) -> int:
    """The gate's main function: forked by root, or a service of its own."""
    from spendgate.redirect.holding import keep_naming  # noqa: PLC0415 - no other way to run needs it

    async def ready(serving: Serving) -> None:
        side.attend(asyncio.get_running_loop())
        try:
            await keep_naming(serving.wish, serving.shared, side)
        except asyncio.CancelledError:
            side.hold(frozenset())  # stopped by who may stop it: then nothing is held
            raise

    lookup: Lookup = side.lookup
    if wanted.containers:
        lookup = BridgedLookup(lookup, wanted.containers)
    asyncio.run(_until_stopped(replace(wanted, lookup=lookup), ready))
    return 0


async def _until_stopped(wanted: Wanted, ready: Ready | None = None) -> None:
    from spendgate.capture.stopping import stopping  # noqa: PLC0415 - with what loads the proxy
    from spendgate.cli.serving import serving  # noqa: PLC0415 - loads the proxy

    stop, manager = asyncio.Event(), Manager.of(os.environ, os.getpid())
    with stopping(stop):
        async with serving(wanted) as running:
            for notice in running.listening.notices:
                note(f"WARNING {notice}")
            task = asyncio.ensure_future(ready(running)) if ready else None
            telling = asyncio.ensure_future(manager.keep_telling())
            print(_ready_line(running), file=sys.stderr, flush=True)  # noqa: T201 - the line that a starter waits for
            manager.ready(f"spendgate {__version__} at {' '.join(_places(running))}")
            if sys.stderr.isatty() and any(mode.startswith("regular") for mode in wanted.modes):
                note(
                    "programs reach it with HTTPS_PROXY and the certificate in NODE_EXTRA_CA_CERTS or the system's trust store;"
                )
                note("for one command there is an easier way: spendgate exec -- COMMAND")
            await stop.wait()
            manager.stopping()
            telling.cancel()
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _ready_line(running: Serving) -> str:
    return " ".join(["ready", *_places(running), f"policy={running.in_force.policy.hash}", f"ca={running.ca_cert}"])


def _places(running: Serving) -> list[str]:
    """Where it listens."""
    return [
        f"{listener.mode.partition('@')[0]}={host}:{port}"
        for listener in running.listening.listeners
        for host, port in listener.addresses
    ]
