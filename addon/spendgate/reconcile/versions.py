"""Which import is in force on which day: of each source and subject the newest that covers it, and the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from spendgate.reconcile.choosing import Said
from spendgate.statement import DAY_MS, Line, Statement

GATEWAY_SOURCES: Final = ("litellm", "langsmith")
"""How the names of sources begin whose lines a gateway wrote."""


class Version(Struct, frozen=True):
    """An imported statement. Of one source and subject the newest that covers a day is in force on it."""

    name: str
    """The import's name, which reports cite."""
    at_ms: int
    """When it was taken in."""
    statement: Statement

    @property
    def reaches_ms(self) -> int:
        """Up to when it can know of anything."""
        said = self.statement.refreshed_ms
        return self.at_ms if said is None else said

    def covers(self, day_ms: int) -> bool:
        """Whether it says all of the UTC day."""
        return self.statement.from_ms <= day_ms and day_ms + DAY_MS <= self.statement.until_ms

    @property
    def gateway(self) -> bool:
        """Whether it is a gateway's ledger."""
        return self.statement.source.startswith(GATEWAY_SOURCES)


class Use(Struct):
    """A version in force on a day, with the lines of that day and the versions before, newest first."""

    version: Version
    lines: tuple[Line, ...]
    older: tuple[Version, ...] = ()

    @property
    def before(self) -> Version | None:
        """What its provider said last before."""
        return self.older[0] if self.older else None

    @property
    def said(self) -> Said:
        return Said(self.version.statement.source, self.version.statement.subject)

    @property
    def at_ms(self) -> int:
        return self.version.at_ms


def in_force(ordered: Sequence[Version], day_ms: int) -> list[list[Version]]:
    """By source and subject, newest first."""
    found: dict[tuple[str, str], list[Version]] = {}
    for each in ordered:
        if each.covers(day_ms):
            found.setdefault((each.statement.source, each.statement.subject), []).insert(0, each)
    return [found[key] for key in sorted(found)]


def apart(
    chains: list[list[Version]], whose: dict[int, set[str]]
) -> Iterator[tuple[list[Version], frozenset[str | None]]]:
    """Each chain, and the organizations whose lines in it another chain has newer.

    A file is of one organization on one download and of several on the next: the same dollars under two subjects.
    """
    for chain in chains:
        mine = chain[0]
        same = [each[0] for each in chains if each is not chain and each[0].statement.source == mine.statement.source]
        name = mine.statement.subject
        newer = [each for each in same if (each.at_ms, each.name) > (mine.at_ms, mine.name)]
        if name and any(not each.statement.subject and name in whose[id(each)] for each in newer):
            continue
        parts = {each.statement.subject for each in newer if not name and each.statement.subject}
        yield chain, frozenset(parts)
