"""Reads `people`, `unknown_people` and `teams` into a roster, and keeps which names the file declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spendgate.config import words
from spendgate.config.faults import Faults, NotAmong, Place, one_of, shown
from spendgate.config.sections import LATER, Section, known_word
from spendgate.config.yaml_nodes import Text
from spendgate.model_names import glob
from spendgate.roster import RESERVED_NAMES, Person, Roster, Team, UnknownPeople, lineage
from spendgate.selector import BILLINGS, is_glob

_WORDS_SHOWN_MAX = 12


@dataclass(frozen=True, slots=True)
class Known:
    """What the rest of the product knows, for values that name it. None: not checked."""

    providers: tuple[str, ...] | None = None
    dialects: tuple[str, ...] | None = None
    hosts: frozenset[str] = frozenset()
    """Those that need not be added, since each is a provider's own."""
    price_lists: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """The names that selectors may use, by attribute; an attribute that is not there is open (`session`, `project`, …)."""

    names: dict[str, tuple[str, ...]]

    @classmethod
    def by(cls, roster: Roster, known: Known) -> Declared:
        """From the file's people and teams. With nobody listed a person is an account, which no file declares."""
        names = {"team": tuple(team.name for team in roster.teams), "group": roster.groups, "billing": BILLINGS}
        if roster.people:
            names["person"] = (*(person.name for person in roster.people), *RESERVED_NAMES)
        if known.providers is not None:
            names["provider"] = known.providers
        return cls(names)

    def parser(self, attribute: str) -> Callable[[str], str]:
        """Reads one value of an attribute. Raises ValueError for a name that nothing declares, or a glob that fits none."""
        names = self.names.get(attribute)
        if names is None:
            return str
        folded = {name.casefold() for name in names}

        def parse(text: str) -> str:
            if text.casefold() in folded or (is_glob(text) and _some_fit(text, folded)):
                return text
            raise _undeclared(text, attribute, names)

        return parse


def _undeclared(text: str, attribute: str, names: tuple[str, ...]) -> NotAmong:
    allowed = one_of(names[:_WORDS_SHOWN_MAX]) if names else "the file declares none"
    return NotAmong(f"{shown(text)} is no {attribute} that is declared; {allowed}", text, names)


def _some_fit(text: str, folded: set[str]) -> bool:
    pattern = glob(text.casefold())
    return any(pattern.fullmatch(name) for name in folded)


def read_roster(top: Section, faults: Faults) -> Roster:
    """The roster as far as it could be read."""
    teams = _teams(top.section("teams"), faults)
    people = _people(top.section("people"), tuple(team.name for team in teams), faults)
    fallback = UnknownPeople.SHARED if top.has("people") else UnknownPeople.EACH
    unknown = top.parsed("unknown_people", _unknown_people)
    return Roster(people=people, teams=teams, unknown=UnknownPeople(unknown) if unknown else fallback)


def _unknown_people(text: str) -> str:
    if text == UnknownPeople.OWNER:
        # The owner stands under `machines`, which is read with the fleet: until then the word would decide nothing.
        raise ValueError(f"owner {LATER}; allowed: shared, each, refuse")
    return known_word(text, ("shared", "each", "refuse"))


def _people(section: Section | None, teams: tuple[str, ...], faults: Faults) -> tuple[Person, ...]:
    if section is None:
        return ()
    people: list[Person] = []
    names, accounts = _Taken(faults), _Taken(faults)
    member = _member_of(teams)
    for key, entry in section.entries():
        person = _person(entry, _name(entry, key, names, faults), member)
        if person.name.casefold() in RESERVED_NAMES:
            faults.add(key.place, entry.path, f"{shown(person.name)} is a word of Spendgate's own; choose another name")
        for place, account in entry.parsed_list("accounts", words.account) or ((key.place, person.name),):
            accounts.take(account, place, f"{entry.path}.accounts", person.name.casefold())
        people.append(person)
        entry.done()
    return tuple(people)


class _Taken:
    """Names given so far; they compare without case."""

    def __init__(self, faults: Faults) -> None:
        self._owners: dict[str, str] = {}
        self._faults = faults

    def take(self, name: str, place: Place, path: str, owner: str) -> None:
        """Keep a name for its owner; a fault where it is another's."""
        first = self._owners.setdefault(name.casefold(), owner)
        if first != owner:
            self._faults.add(
                place, path, f"{shown(name)} is listed twice, first for {first}; names compare without case"
            )


def _name(entry: Section, key: Text, names: _Taken, faults: Faults) -> str:
    """The key as a name of the file's own."""
    try:
        words.name(key.value)
    except ValueError as fault:
        faults.add(key.place, entry.path, str(fault))
    names.take(key.value, key.place, entry.path, key.value)
    return key.value


def _person(entry: Section, name: str, member: Callable[[str], str]) -> Person:
    return Person(
        name=name,
        email=entry.text("email"),
        accounts=entry.names("accounts", words.account) or (name,),
        team=entry.parsed("team", member),
        groups=entry.names("groups", words.name),
        until=entry.parsed("until", words.day),
    )


def _member_of(teams: tuple[str, ...]) -> Callable[[str], str]:
    """Exactly one of the teams: a name in another case would be another team in every report."""
    known = frozenset(teams)

    def parse(text: str) -> str:
        if text not in known:
            raise _undeclared(text, "team", teams)
        return text

    return parse


def _teams(section: Section | None, faults: Faults) -> tuple[Team, ...]:
    if section is None:
        return ()
    entries = list(section.entries())
    names = _Taken(faults)
    declared = tuple(_name(entry, key, names, faults) for key, entry in entries)
    member = _member_of(declared)
    read = {key.value: _team(entry, member) for key, entry in entries}
    parents = {name: values["parent"] for name, values in read.items()}
    teams: list[Team] = []
    for key, entry in entries:
        try:
            line = lineage(key.value, parents)
        except ValueError as fault:
            entry.fault("parent", str(fault))
            line = (key.value,)
        zone = next((found for team in line if (found := read[team]["timezone"])), None)
        teams.append(Team(name=key.value, lineage=line, zone=zone, **read[key.value]))
        entry.done()
    return tuple(teams)


def _team(entry: Section, member: Callable[[str], str]) -> dict[str, Any]:
    return {
        "owner": entry.text("owner"),
        "parent": entry.parsed("parent", member),
        "cost_center": entry.text("cost_center"),
        "timezone": entry.parsed("timezone", words.zone),
    }
