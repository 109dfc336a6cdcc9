"""`spendgate exec -- COMMAND`: one command through the gate, and a short bill at its end. Changes nothing on the machine."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

import typer

from spendgate.cli import in_force
from spendgate.cli.bill import bill
from spendgate.cli.child import CouldNotRun, files_allowed, run_child
from spendgate.cli.environment import surroundings
from spendgate.cli.options import PolicyOption, SetOption, StateOption, refuse_passwords
from spendgate.cli.output import inert, note
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.credentials import UPSTREAM_AUTH
from spendgate.errors import SpendgateError, UsageError

_NOBODY_CAME: Final = (
    "no connection came to the gate: where the command asked a provider, it goes by no proxy, as Node's own fetch before 22.21;"
    " `spendgate run --mode transparent` captures it on Linux"
)
FOR_ALL = ("ALL_PROXY", "all_proxy")
"""Not every program reads them: Node, Go and Java go their direct way."""
WAYS = ("HTTPS_PROXY", "https_proxy", *FOR_ALL)
"""Variables that name a proxy for HTTPS; the first one counts, as for curl, requests and reqwest."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("exec", context_settings={"allow_interspersed_args": False})(exec_)


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The command, after `--`.")],
    policy: PolicyOption = None,
    state: StateOption = None,
    set_: SetOption = None,
) -> None:
    """Start capture on a free port, run COMMAND so that its calls pass through it, stop, and print what it spent.

    The command keeps its terminal and its signals reach it. The certificate authority lives in memory and is trusted by this
    command alone.

    Exit status: the command's own; 128 + N where signal N ended it; 127 where it is not found, 126 where it cannot be run. Where
    the gate cannot start, the command is not run: 1, or 2 for a wrong option.
    """
    found = paths.find(state)
    status = asyncio.run(_run(command, policy, found, refuse_passwords(set_)))
    raise typer.Exit(status)


async def _run(command: list[str], policy: Path | None, state: paths.State, sets: tuple[str, ...]) -> int:
    from spendgate.cli.serving import serving  # noqa: PLC0415 - loads the proxy

    mode, auth = way_out(os.environ)
    files = files_allowed()
    ended: int | None = None
    try:
        # A file that somebody else still writes there must not end the command's run as a fault.
        with tempfile.TemporaryDirectory(prefix="spendgate-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            wanted = Wanted(policy=policy, state=state, modes=(mode,), port=0, sets=(*sets, *auth), ca_folder=folder)
            async with serving(wanted) as running:
                for notice in running.listening.notices:
                    note(f"WARNING {notice}")
                port = running.listening.address[1]
                child = surroundings(os.environ, port=port, ca_cert=running.ca_cert, folder=folder, hosts=running.hosts)
                ours = running.in_force
                for gate in in_force.others(state, ours.policy.hash):
                    if not gate.command:
                        by = f"this command goes by {inert(ours.source)} (`--policy` names another)"
                        note(f"a gate runs here under {inert(gate.source)}; {by}")
                for text in child.notes:
                    note(text)
                ended, ran = await _ran(command, child.variables, files)
            if ran:
                bill(state.ledger, running.gate_id)
                if not running.visited():
                    note(_NOBODY_CAME)
            for text in running.later:
                note(text)
    except SpendgateError as fault:
        if ended is None:
            raise
        note(f"no bill: {fault}")  # the command has run: its exit status is not ours to replace
    return ended


async def _ran(command: list[str], variables: Mapping[str, str], files: int | None) -> tuple[int, bool]:
    """Its exit status, and whether it ran at all."""
    try:
        return await run_child(command, variables, files), True
    except CouldNotRun as fault:
        note(str(fault))
        return fault.status, False


def way_out(environ: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The gate's mode and options, such that a proxy which the command would have used stays in the way.

    Raises UsageError for a proxy that the gate cannot go through. Its password never becomes part of a message.
    """
    name = next((name for name in WAYS if environ.get(name)), None)
    if name is None:
        return "regular", ()
    try:
        proxy = urlsplit(environ[name] if "://" in environ[name] else f"http://{environ[name]}")
        host, port = proxy.hostname, proxy.port or (443 if proxy.scheme == "https" else 80)
    except ValueError:
        raise UsageError(f"{name} is not the address of a proxy: write http://host:port") from None
    if proxy.scheme not in ("http", "https") and name in FOR_ALL:
        note(f"{name} names a {inert(proxy.scheme)} proxy, which the gate cannot go through: it goes its direct way")
        return "regular", ()
    if proxy.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"{name} names a {proxy.scheme or 'strange'} proxy; the gate can go through http and https proxies"
        )
    host = f"[{host}]" if ":" in host else host
    login = environ.get(UPSTREAM_AUTH, "").strip()
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"upstream:{proxy.scheme}://{host}:{port}", (f"upstream_auth={login}",) if login else ()
