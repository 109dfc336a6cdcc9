"""The options of `spendgate service`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import one_of, port_from
from spendgate.config.credentials import UPSTREAM_AUTH

RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Files alone, below DIR as a package has them; no account, nothing started.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print all that would be done, and do nothing.")]
AccountOption = Annotated[
    str,
    typer.Option("--account", help="The account that the gate runs under: it alone is let in, its traffic is exempt."),
]
ContainersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--containers",
        metavar="RANGE[=ACCOUNT]",
        help="transparent: capture what comes by a bridge from these addresses, too, as `run --containers`. May be given again.",
    ),
]
PORT_REDIRECTED = 8443
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="The policy file; without it the default policy."),
]
RedirectPortOption = Annotated[
    int | None,
    typer.Option(
        "--redirect-port",
        parser=port_from(1, "--redirect-port"),
        metavar="PORT",
        help=f"transparent: where redirected connections come in, on loopback (default {PORT_REDIRECTED}).",
    ),
]
UpstreamOption = Annotated[
    str | None,
    typer.Option(
        "--upstream",
        metavar="http://HOST:PORT",
        help=f"The proxy that all goes out through; its USER:PASSWORD in /etc/credstore/{UPSTREAM_AUTH}, root's alone.",
    ),
]
ProgramOption = Annotated[
    Path | None,
    typer.Option("--program", metavar="PATH", help="The spendgate that is to be started; else the one that runs this."),
]


class Mode(StrEnum):
    """How programs get to the installed gate."""

    REGULAR = "regular"
    TRANSPARENT = "transparent"
    AUTO = "auto"
    """The latter where this machine can, else the former."""


ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        parser=one_of(Mode),
        metavar=f"[{'|'.join(Mode)}]",
        help="regular: by the proxy alone. transparent: by firewall rules, too, without their doing."
        " auto: transparent where nftables are here.",
    ),
]
AsSystemOption = Annotated[
    bool,
    typer.Option(
        "--as-system",
        help="Windows: as LocalSystem, which is shown whose every process is; else as the service's own account,"
        " which is not.",
    ),
]
