"""Which certificates `ca trust` put into the machine's store, and of which state directory: what a removal has to take out.

The state directory is the gate's account's, and a rotation changes what is in it. This file is root's: a line for each,
`NAME STATE`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from spendgate.errors import StateError
from spendgate.stores.anchor import NAME
from spendgate.stores.interface import write

FILE: Final = Path("/var/lib/spendgate-trusted")


def noted() -> dict[str, str]:
    """Name to state directory. Raises StateError."""
    try:
        lines = FILE.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise StateError(f"{FILE} cannot be read: {fault.strerror}") from fault
    parts = (line.partition(" ") for line in lines)
    return {name: state for name, _, state in parts if NAME.fullmatch(name)}


def add(name: str, state: Path) -> None:
    """Raises StateError."""
    _write({**noted(), name: str(state)})


def forget(names: frozenset[str]) -> None:
    """Raises StateError."""
    before = noted()
    if names & before.keys():
        _write({name: state for name, state in before.items() if name not in names})


def _write(lines: dict[str, str]) -> None:
    if lines:
        text = "".join(f"{name} {state}\n" for name, state in sorted(lines.items()))
        write(FILE, text.encode(errors="surrogateescape"))
    else:
        FILE.unlink(missing_ok=True)
