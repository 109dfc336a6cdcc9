"""What the service's units run on Linux beside the gate: who sets the rules, and who knows the processes."""

from __future__ import annotations

import os
import platform
from typing import Annotated

import typer

from spendgate.cli.options import port_from
from spendgate.cli.service_options import PORT_REDIRECTED, AccountOption, ContainersOption
from spendgate.errors import StateError
from spendgate.identity.containers import ranges
from spendgate.service.notify import Manager


def redirect(
    account: AccountOption = "spendgate",
    port: Annotated[
        int,
        typer.Option(
            "--port", parser=port_from(1), metavar="PORT", help="Where the gate takes redirected connections."
        ),
    ] = PORT_REDIRECTED,
    containers: ContainersOption = None,
) -> None:
    """What spendgate-redirect.service runs: the firewall rules, which act while the gate answers. CAP_NET_ADMIN."""
    only_linux()
    from spendgate.redirect.door import RULES  # noqa: PLC0415 - Linux alone has it
    from spendgate.redirect.privileges import gate_account  # noqa: PLC0415
    from spendgate.redirect.redirector import keep_rules  # noqa: PLC0415
    from spendgate.redirect.supervisor import Settings, rules_of  # noqa: PLC0415

    rules = rules_of(Settings(account=account, port=port, containers=ranges(containers or ())))
    gate = gate_account(account).pw_uid
    raise typer.Exit(keep_rules(rules, gate, RULES, Manager.of(os.environ, os.getpid())))


def clerk(account: AccountOption = "spendgate") -> None:
    """What spendgate-clerk.service runs: it tells the gate which program holds a connection."""
    only_linux()
    from spendgate.redirect.clerk import answer_gates  # noqa: PLC0415 - Linux alone has it
    from spendgate.redirect.door import QUESTIONS  # noqa: PLC0415
    from spendgate.redirect.privileges import gate_account  # noqa: PLC0415

    gate = gate_account(account).pw_uid
    raise typer.Exit(answer_gates(gate, QUESTIONS, Manager.of(os.environ, os.getpid())))


def only_linux() -> None:
    """Raises StateError where this is another system."""
    if platform.system() != "Linux":
        system = {"Darwin": "macOS"}.get(platform.system(), platform.system())
        raise StateError(
            f"this service is not built on {system}; "
            "`spendgate run` captures until it is stopped, and `spendgate exec` for one command"
        )
