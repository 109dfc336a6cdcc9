"""`spendgate service host`: what Windows' service manager starts."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import port_from
from spendgate.config import paths
from spendgate.errors import StateError


def host(
    state: Annotated[Path, typer.Option("--state", metavar="DIR", help="The gate's state directory.")],
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy file.")] = None,
    port: Annotated[int, typer.Option("--port", parser=port_from(1), metavar="PORT", help="On loopback.")] = 8080,
) -> None:
    """What Windows' service manager starts: the gate, as `run`, which tells it that it is ready and stops when it says so."""
    if platform.system() != "Windows":
        raise StateError("`service host` is what Windows' service manager starts; elsewhere the service starts `run`")
    from spendgate.cli.until_stopped import until_stopped  # noqa: PLC0415 - on Windows alone
    from spendgate.cli.wanted import Wanted  # noqa: PLC0415
    from spendgate.service import windows, windows_host  # noqa: PLC0415

    windows_host.to_log(state / windows.LOG)
    wanted = Wanted(policy=policy, state=paths.find(state), port=port)
    windows_host.hosted(lambda manager: until_stopped(wanted, manager=manager))
