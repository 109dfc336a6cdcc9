"""`spendgate run`: the gate, until it is stopped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import auto_mode
from spendgate.cli.attending import socket_of
from spendgate.cli.options import PolicyOption, SetOption, StateOption, port_from, refuse_passwords
from spendgate.cli.output import note
from spendgate.cli.transparent import ACCOUNT, TRANSPARENT, beside_services, by_root
from spendgate.cli.until_stopped import until_stopped
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.credentials import UPSTREAM_AUTH, upstream_auth
from spendgate.errors import UsageError
from spendgate.identity.containers import ranges

ModeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--mode",
        help="How traffic comes: regular (default), transparent, auto (transparent where root and nftables are here),"
        " local:…, upstream:…, reverse:…, socks5. Several at once,"
        " each at its own MODE@PORT. What is redirected goes out through the proxy of upstream:…, too, whose user and"
        f" password are {UPSTREAM_AUTH}'s.",
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        parser=port_from(0),
        metavar="PORT",
        help="Port to listen on (default 8080, transparent 8443); 0 takes a free one.",
    ),
]
SocketOption = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help=f"Answer other accounts of this machine here, each about its own; a service does at {paths.SOCKET}.",
    ),
]
AccountOption = Annotated[
    str | None,
    typer.Option(
        "--account",
        help=f"transparent: the account that the gate runs under (default {ACCOUNT}); its traffic is exempt.",
    ),
]
CgroupOption = Annotated[
    list[str] | None, typer.Option("--cgroup", help="transparent: capture this cgroup alone. May be given again.")
]
ContainersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--containers",
        metavar="RANGE[=ACCOUNT]",
        help="transparent: capture what comes by a bridge from these addresses, too, as 172.16.0.0/12 (Docker's). It counts"
        " for ACCOUNT, else as the policy's unknown_people say. May be given again.",
    ),
]
RedirectedOption = Annotated[
    bool,
    typer.Option(
        "--redirected",
        help="transparent: other services set the rules (`service install --mode transparent`); without root.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="transparent: print the firewall rules that would be set, and exit.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    policy: PolicyOption = None,
    state: StateOption = None,
    mode: ModeOption = None,
    port: PortOption = None,
    set_: SetOption = None,
    socket_path: SocketOption = None,
    account: AccountOption = None,
    cgroup: CgroupOption = None,
    containers: ContainersOption = None,
    redirected: RedirectedOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Capture, decide and record until stopped. Prints one line `ready …` on stderr when it accepts connections."""
    modes = tuple(mode or ["regular"])
    if automatic := auto_mode.here(modes, account or ACCOUNT):
        note(f"--mode auto: {automatic.mode}, since {automatic.why}")
        modes = (automatic.mode,)
    _refuse_unclear_ports(modes, port)
    sets = (*refuse_passwords(set_), *_proxy_login(modes))
    found = paths.find(state)
    wanted = Wanted(
        policy=policy, state=found, modes=modes, port=port, sets=sets, socket=socket_of(socket_path, found),
        containers=ranges(containers or ()),
    )  # fmt: skip
    of_root = bool(account or cgroup or dry_run)
    if redirected:
        if TRANSPARENT not in modes or of_root or port == 0:
            raise UsageError(
                "--redirected belongs to --mode transparent, at the port that the rules lead to; account and rules are theirs"
            )
        beside_services(wanted)
    elif TRANSPARENT in modes:
        by_root(wanted, account or ACCOUNT, tuple(cgroup or ()), dry_run=dry_run)
    elif of_root or containers:
        raise UsageError("--account, --cgroup, --containers and --dry-run belong to --mode transparent")
    else:
        asyncio.run(until_stopped(wanted))


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
