"""Which import is in force on which day: of each source and subject the newest that covers it, and the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from spendgate.reconcile.choosing import Said
from spendgate.statement import DAY_MS, Line, Statement

GATEWAY_SOURCES: Final = ("litellm", "langsmith")
"""How the names of sources begin whose lines a gateway wrote."""

NOBODY: Final[Mapping[tuple[str, str, str], str]] = MappingProxyType({})


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


def by_age(versions: Iterable[Version]) -> list[Version]:
    """Oldest first. Of two of one moment, as two ledgers may have them, the one whose data reach further is the newer."""
    return sorted(versions, key=lambda each: (each.at_ms, each.reaches_ms))


def one_account(ordered: Sequence[Version]) -> tuple[dict[Whose, str], tuple[str, ...]]:
    """By source, provider and subject the subject that is the same account, where two names have the very bytes in common; and
    what is to be said of it. So it is in ledgers that were merged, whichever came first: in one, an import is refused."""
    first: dict[tuple[object, ...], Version] = {}
    same: dict[Whose, str] = {}
    notes = []
    for each in ordered:
        said = each.statement
        if not said.lines:
            continue
        other = first.setdefault((said.source, said.provider, said.sha256, said.from_ms, said.until_ms), each)
        mine, its = (_named(one.statement, same) for one in (each, other))
        if mine != its and other.statement.lines == said.lines:
            merged = {whose: its if to == mine else to for whose, to in same.items()}
            same = {**merged, (said.source, said.provider, mine): its}
            names = " and ".join(repr(name) if name else "without a name" for name in (mine, its))
            notes.append(
                f"imports {other.name} and {each.name} of {said.source} are the same bytes under two names ({names}): they are"
                " taken for one account, and count once"
            )
    return same, tuple(notes)


Whose = tuple[str, str, str]
"""Source, provider, subject."""


def _named(said: Statement, same: Mapping[Whose, str]) -> str:
    return same.get((said.source, said.provider, said.subject), said.subject)


def in_force(ordered: Sequence[Version], day_ms: int, same: Mapping[Whose, str] = NOBODY) -> list[list[Version]]:
    """By source and account, newest first. `same`: what other names accounts have, see `one_account`."""
    found: dict[tuple[str, str], list[Version]] = {}
    for each in ordered:
        if each.covers(day_ms):
            found.setdefault((each.statement.source, _named(each.statement, same)), []).insert(0, each)
    return [found[key] for key in sorted(found)]


def apart(
    chains: list[list[Version]], whose: dict[int, set[str]], age: Mapping[int, int]
) -> Iterator[tuple[list[Version], frozenset[str | None]]]:
    """Each chain, and the organizations whose lines in it another chain has newer.

    A file is of one organization on one download and of several on the next: the same dollars under two subjects. `age`: how many
    are older, by identity.
    """
    for chain in chains:
        mine = chain[0]
        same = [each[0] for each in chains if each is not chain and each[0].statement.source == mine.statement.source]
        name = mine.statement.subject
        newer = [each for each in same if age[id(each)] > age[id(mine)]]
        if name and any(not each.statement.subject and name in whose[id(each)] for each in newer):
            continue
        parts = {each.statement.subject for each in newer if not name and each.statement.subject}
        yield chain, frozenset(parts)
