"""`spendgate service`: the gate as a service of the machine, put up, taken away, and asked how it is."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from spendgate.cli import auto_mode, service_host, service_units
from spendgate.cli.options import FormatOption, port_from
from spendgate.cli.output import Format, note
from spendgate.cli.service_options import (
    PORT_REDIRECTED,
    AsSystemOption,
    ContainersOption,
    DryRunOption,
    Mode,
    ModeOption,
    PolicyOption,
    ProgramOption,
    RedirectPortOption,
    RootOption,
    UpstreamOption,
)
from spendgate.cli.service_units import only_linux
from spendgate.config.upstream import upstream_proxy
from spendgate.errors import UsageError
from spendgate.identity.containers import ranges

_commands = typer.Typer(
    help="The gate as a service of this machine (Linux with systemd; macOS; Windows).", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="service")


@_commands.command()
def install(
    policy: PolicyOption = None,
    port: Annotated[
        int, typer.Option("--port", parser=port_from(1), metavar="PORT", help="The proxy's port on loopback.")
    ] = 8080,
    mode: ModeOption = Mode.REGULAR,
    redirect_port: RedirectPortOption = None,
    upstream: UpstreamOption = None,
    containers: ContainersOption = None,
    program: ProgramOption = None,
    root: RootOption = None,
    as_system: AsSystemOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Install the gate as a service under its own account, and start it. Again: what differs is mended, and told."""
    if mode is Mode.AUTO:
        automatic = auto_mode.for_service(elsewhere=root is not None)
        note(f"--mode auto: {automatic.mode}, since {automatic.why}")
        mode = Mode(automatic.mode)
        if mode is Mode.REGULAR:  # one command for many machines: what only the other mode has is left out with it
            redirect_port, containers = None, None
    if platform.system() == "Windows":
        from spendgate.cli import service_windows  # noqa: PLC0415 - as below

        if mode is not Mode.REGULAR or redirect_port or upstream or containers or root:
            raise UsageError("Windows' service has --policy, --port, --program, --as-system and --dry-run alone")
        service_windows.install(service_windows.Wanted(policy, port, program, as_system), dry_run=dry_run)
        return
    if as_system:
        raise UsageError("--as-system: Windows alone; elsewhere the gate has an account of its own")
    if _macos():
        from spendgate.cli import service_macos  # noqa: PLC0415 - as below

        if mode is not Mode.REGULAR or redirect_port or upstream or containers or root:
            raise UsageError(f"macOS' service has --policy, --port, --program and --dry-run alone: {_WHY_ALONE}")
        service_macos.install(service_macos.Wanted(policy, port, program), dry_run=dry_run)
        return
    from spendgate.cli import installing  # noqa: PLC0415 - Linux alone has what it asks

    led = tuple(str(each) for each in ranges(containers or ()))
    wanted = installing.Wanted(
        policy, port, program, _redirect_port(mode, redirect_port, port, containers=bool(led)), _proxy(upstream), led
    )
    if dry_run:
        installing.show(wanted, root)
    elif root is not None:
        installing.write_below(wanted, root)
    else:
        installing.install(wanted)


@_commands.command()
def uninstall(
    keep_ledger: Annotated[
        bool, typer.Option("--keep-ledger", help="Leave the ledger where it is, root's alone from then on.")
    ] = False,
    root: RootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Stop the service and take away all that `install` made: unit, account, group, state, and the ledger with it."""
    if platform.system() == "Windows":
        from spendgate.cli import service_windows  # noqa: PLC0415 - as below

        if root is not None:
            raise UsageError("--root: Linux alone has packages of the service's files")
        service_windows.uninstall(keep_ledger=keep_ledger, dry_run=dry_run)
        return
    if _macos():
        from spendgate.cli import service_macos  # noqa: PLC0415 - as below

        if root is not None:
            raise UsageError("--root: Linux alone has packages of the service's files")
        service_macos.uninstall(keep_ledger=keep_ledger, dry_run=dry_run)
        return
    from spendgate.cli import removing  # noqa: PLC0415 - Linux alone has what it asks

    if root is not None and keep_ledger:
        raise UsageError("--keep-ledger: there is no ledger below --root, only a package's files")
    if root is not None:
        removing.remove_below(root, dry_run=dry_run)
    else:
        removing.uninstall(keep_ledger=keep_ledger, dry_run=dry_run)


@_commands.command()
def stop() -> None:
    """Stop the gate and what redirects to it: calls go direct, also those that were held. It tells how to start it again."""
    if platform.system() == "Windows":
        from spendgate.cli import service_windows  # noqa: PLC0415 - as below

        service_windows.stop()
        return
    if _macos():
        from spendgate.cli import service_macos  # noqa: PLC0415 - as below

        service_macos.stop()
        return
    from spendgate.cli import removing  # noqa: PLC0415 - Linux alone has what it asks

    removing.stop()


for _each in (service_units.redirect, service_units.clerk, service_host.host):
    _commands.command()(_each)


@_commands.command()
def status(fmt: FormatOption = Format.TABLE) -> None:
    """The unit's state and since when, version, where it listens, its ledger, the last call. Exit status 1 unless it runs."""
    if platform.system() == "Windows":
        from spendgate.cli import windows_status  # noqa: PLC0415 - as below

        windows_status.status(fmt)
        return
    if _macos():
        from spendgate.cli import service_macos  # noqa: PLC0415 - as below

        service_macos.status(fmt)
        return
    from spendgate.cli import service_status  # noqa: PLC0415 - Linux alone has what it asks

    service_status.show(fmt)


def _proxy(upstream: str | None) -> str | None:
    """Raises UsageError, which does not repeat what may be a password."""
    if upstream is None:
        return None
    try:
        return upstream_proxy(upstream)
    except ValueError as fault:
        raise UsageError(f"--upstream: {fault}") from None


def _redirect_port(mode: Mode, chosen: int | None, proxy: int, *, containers: bool) -> int | None:
    """Raises UsageError."""
    if mode is Mode.REGULAR:
        if chosen is not None or containers:
            raise UsageError("--redirect-port and --containers belong to --mode transparent")
        return None
    if (port := chosen or PORT_REDIRECTED) == proxy:
        raise UsageError(
            f"--port and --redirect-port are both {port}: the proxy and redirected connections cannot share one"
        )
    if containers and proxy == port + 1:
        raise UsageError(
            f"--port {proxy}: containers' connections come in there, the next after --redirect-port {port}"
        )
    return port


_WHY_ALONE = (
    "whether a daemon may start mitmproxy's redirector is unknown, and a proxy's password would lie in the job's file"
)


def _macos() -> bool:
    """Whether this is macOS; False: Linux. Raises StateError for other systems."""
    if platform.system() == "Darwin":
        return True
    only_linux()
    return False
