"""Command groups that do their main work without a word of its own: `spendgate ask 50` beside `spendgate ask list`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_HELP = ("-h", "--help")


class Routed(TyperGroup):
    """What is no command of the group belongs to the one named `MAIN`."""

    MAIN = "new"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of a class that typer keeps to itself
        """See the class."""
        if not args or (args[0] not in self.commands and args[0] not in _HELP):
            args = [self.MAIN, *args]
        return super().parse_args(ctx, args)
