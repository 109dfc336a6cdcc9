"""`spendgate policy`: what a reviewer does with a policy file."""

from __future__ import annotations

import typer

from spendgate.cli import cases, check, diff, explain, replay, sign

group = typer.Typer(
    name="policy", help="Check a policy, ask what it would do, compare it, sign it.", no_args_is_help=True
)
check.register(group)
explain.register(group)
diff.register(group)
cases.register(group)
replay.register(group)
sign.register(group)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)
