"""What a person asked to be run, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spendgate.config.paths import State
from spendgate.identity.containers import Range
from spendgate.identity.interface import Address, Lookup


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `run` and `exec`."""

    policy: Path | None
    state: State
    modes: tuple[str, ...] = ("regular",)
    port: int | None = None
    sets: tuple[str, ...] = ()
    lookup: Lookup | None = None
    """Who asks the operating system; None: this process itself."""
    ca_folder: Path | None = None
    """`exec`: the CA's key stays in memory, and its certificate goes here. None: both live in the state directory."""
    containers: tuple[Range, ...] = ()
    """Whose connections are led here by a bridge, and count for whom."""
    socket: Path | None = None
    """Where a service's clients are answered; None: nowhere."""

    held: frozenset[Address] = frozenset()
    """Where the event loop has what listens already."""
    taken: tuple[str, ...] = ()
    """Ports that others have, as they are told, and what is taken instead."""

    @property
    def transparent(self) -> bool:
        """Whether rules are to lead traffic to it that knows of no proxy (Linux)."""
        return any(mode.partition("@")[0] == "transparent" for mode in self.modes)

    @property
    def for_command(self) -> bool:
        """Whether the gate is that of one command (`exec`)."""
        return self.ca_folder is not None
