"""Names that are unique over all files of a policy, however they are spelled."""

from __future__ import annotations

from dataclasses import dataclass

from spendgate.config import words
from spendgate.config.faults import Faults, Place, shown
from spendgate.config.nodes import Text
from spendgate.config.sections import Section


@dataclass(frozen=True, slots=True)
class Found:
    """Where a name stands, in which file and under which key."""

    faults: Faults
    place: Place
    path: str


class Taken:
    """Names given so far; they compare without case."""

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, Found]] = {}

    def take(self, name: str, found: Found, owner: str) -> None:
        """Keep a name for its owner; a fault where it is another's, or the same one's in another file."""
        first, at = self._owners.setdefault(name.casefold(), (owner, found))
        if first != owner or at.faults is not found.faults:
            where = "" if at.faults is found.faults else f" in {at.faults.file}:{at.place.line}"
            found.faults.add(
                found.place,
                found.path,
                f"{shown(name)} is listed twice, first for {first}{where}; names compare without case",
            )

    def name(self, key: Text, entry: Section) -> str:
        """The key as a name of the policy's own."""
        try:
            words.name(key.value)
        except ValueError as fault:
            entry.faults.add(key.place, entry.path, str(fault))
        self.take(key.value, Found(entry.faults, key.place, entry.path), key.value)
        return key.value
