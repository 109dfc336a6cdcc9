"""A gate that runs until it is stopped: what it says when it accepts connections, and what the service manager is told."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from spendgate import __version__
from spendgate.cli.output import note, tell
from spendgate.cli.wanted import Wanted
from spendgate.service.notify import Manager, Told

if TYPE_CHECKING:
    from spendgate.cli.serving import Serving

Ready = Callable[["Serving"], Awaitable[None]]
"""What goes on beside a gate from then on."""


async def until_stopped(wanted: Wanted, ready: Ready | None = None, manager: Told | None = None) -> None:
    """Serve until a signal says to stop; with `ready` beside it. `manager`: else systemd's, where it started us."""
    from spendgate.capture.stopping import stopping  # noqa: PLC0415 - with what loads the proxy
    from spendgate.cli.serving import serving  # noqa: PLC0415 - loads the proxy

    stop, manager = asyncio.Event(), manager or Manager.of(os.environ, os.getpid())
    with stopping(stop):
        async with serving(wanted) as running:
            for notice in running.listening.notices:
                note(f"WARNING {notice}")
            task = asyncio.ensure_future(ready(running)) if ready else None
            telling = asyncio.ensure_future(manager.keep_telling())
            tell(_ready_line(running))  # what a starter waits for
            warning = f" (WARNING {'; '.join(wanted.taken)})" if wanted.taken else ""
            manager.ready(f"spendgate {__version__} at {' '.join(_places(running))}{warning}")
            if (
                sys.stderr is not None
                and sys.stderr.isatty()
                and any(mode.startswith("regular") for mode in wanted.modes)
            ):
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
