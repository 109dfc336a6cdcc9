"""A trust store, and a change to it that a person can read before it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spendgate.errors import StateError
from spendgate.stores.anchor import Anchor
from spendgate.stores.running import run


@dataclass(frozen=True, slots=True)
class Change:
    """One step. `make` raises StateError, and then has changed nothing."""

    says: str
    make: Callable[[], None]


class Store(Protocol):
    """A place where programs look for the certificates that they trust."""

    @property
    def name(self) -> str:
        """For people: whose store it is, and where."""
        ...

    @property
    def needs_root(self) -> bool:
        """Whether it is the machine's."""
        ...

    def trusted(self) -> frozenset[str]:
        """The names of our anchors in it. Raises StateError where it cannot be read."""
        ...

    def add(self, anchor: Anchor) -> tuple[Change, ...]:
        """What puts an anchor there that is not."""
        ...

    def remove(self, names: Sequence[str]) -> tuple[Change, ...]:
        """What takes these out, which are there."""
        ...


def tool(words: Sequence[str], remedy: str, given: bytes = b"") -> str:
    """What one of the system's programs prints. Raises StateError with its last words and the remedy."""
    status, output = run(words, given)
    if status != 0:
        said = " ".join(output.split())[-300:] or "it said nothing"
        raise StateError(f"`{' '.join(words)}` failed ({status}): {said}; {remedy}")
    return output


def write(path: Path, content: bytes) -> None:
    """A file that everybody may read, whole or not at all. Raises StateError."""
    draft = path.with_name(f".{path.name}")
    try:
        draft.write_bytes(content)
        draft.chmod(0o644)  # whatever the umask is
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        raise StateError(f"{path} cannot be written: {fault.strerror}") from fault
