"""Reads `machines`: groups of machines by their ids, and who answers for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from spendgate.config import forms
from spendgate.config.faults import NotAmong, shown
from spendgate.config.nodes import Text
from spendgate.config.sections import Section
from spendgate.config.taken import Taken
from spendgate.config.words import NAME_LENGTH_MAX
from spendgate.roster import MachineGroup, Person, Roster, UnknownPeople

_MISNAMED = ("machine", "machines")
"""Under what people write the ids of a group: the fault of the unknown key names `match`, and is enough."""
_ID = re.compile(r"[\w.:+*?-]+", re.ASCII)


def read_machines(entries: Iterable[tuple[Text, Section]], roster: Roster) -> tuple[MachineGroup, ...]:
    """The groups in the order of the files. Where unknown people are their machines' owners, an owner must be a listed person."""
    names = Taken()
    groups: list[MachineGroup] = []
    for key, entry in entries:
        name = names.name(key, entry)
        if not any(map(entry.has, ("match", *_MISNAMED))):
            entry.fault("", 'match is missing; allowed: machine ids and globs, such as ["ci-*"]')
        groups.append(
            MachineGroup(name=name, match=entry.names("match", _id), owner=entry.parsed("owner", _owner(roster)))
        )
        entry.done()
    return tuple(groups)


@forms.written(r"[A-Za-z0-9_.:+*?-]+", type=["string", "number", "boolean"], maxLength=NAME_LENGTH_MAX)
def _id(text: str) -> str:
    if len(text) > NAME_LENGTH_MAX or _ID.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is not a machine's id or a glob of them; allowed: letters, digits and . : + - _ * ?, at most "
            f"{NAME_LENGTH_MAX}; `spendgate status` prints this machine's id"
        )
    return text


def _is(person: Person, folded: str) -> bool:
    return folded in {text.casefold() for text in (person.name, person.email, *person.accounts) if text}


def _owner(roster: Roster) -> Callable[[str], str]:
    """The text; a ValueError where it must be a person and is none, or where nobody can tell which."""

    def parse(text: str) -> str:
        several = [person.name for person in roster.people if _is(person, text.casefold())]
        if len(several) > 1:
            raise ValueError(
                f"{shown(text)} may be {' or '.join(several[:3])}; name an account or e-mail of one person"
            )
        if roster.unknown is UnknownPeople.OWNER and roster.listed(text) is None:
            people = tuple(person.name for person in roster.people)
            raise NotAmong(
                f"{shown(text)} is no listed person, whom calls could count for (unknown_people: owner); "
                "allowed: a name, account or e-mail under people",
                text,
                (*people, *(person.email for person in roster.people if person.email)),
            )
        return text

    return parse
