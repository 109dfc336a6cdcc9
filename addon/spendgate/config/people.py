"""Reads `people`, `unknown_people` and `teams` into a roster, and keeps which names the file declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spendgate.config import words
from spendgate.config.faults import NotAmong, cut, one_of, shown
from spendgate.config.machines import read_machines
from spendgate.config.nodes import Text
from spendgate.config.receivers import read_notify
from spendgate.config.sections import Section
from spendgate.config.taken import Found, Taken
from spendgate.config.zones import zone_named
from spendgate.model_names import glob
from spendgate.policy import Host
from spendgate.providers.own_hosts import provider_of_host
from spendgate.roster import RESERVED_NAMES, Person, Roster, Team, UnknownPeople, lineage
from spendgate.selector import BILLINGS, is_glob

_WORDS_SHOWN_MAX = 12
_OURS = ("provider", "billing")
"""Words of Spendgate's own, which no file shows: all of them are told."""


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
    team: str | None = None
    """The team to which every rule that is read with these names is bound; None: rules are about whom they say."""
    machine_groups: frozenset[str] = frozenset()
    """Names of groups of machines, without case, of which no machine is called as its group is."""

    def within(self, team: str, roster: Roster) -> Declared:
        """For a file of one team's rules: no other team can be named than this one and those below it."""
        below = tuple(each.name for each in roster.teams if team in each.lineage)
        return replace(self, names={**self.names, "team": below}, team=team)

    @classmethod
    def by(cls, roster: Roster, known: Known, hosts: Sequence[Host] = ()) -> Declared:
        """From the file's people, teams and hosts. With nobody listed a person is an account, which no file declares."""
        names = {"team": tuple(team.name for team in roster.teams), "group": roster.groups, "billing": BILLINGS}
        names["machine_group"] = tuple(group.name for group in roster.machines)
        if roster.people:
            names["person"] = (*(person.name for person in roster.people), *RESERVED_NAMES)
        if known.providers is not None:
            # A host's calls are of whoever's prices they have, which may be no provider whose own hosts are read.
            sold = (word for host in hosts if (word := provider_of_host(host)))
            names["provider"] = tuple(dict.fromkeys((*known.providers, *sold)))
        groups = {group.name.casefold(): group.match for group in roster.machines}
        called = {name for name, ids in groups.items() if any(glob(text.casefold()).fullmatch(name) for text in ids)}
        return cls(names, machine_groups=frozenset(groups) - called)

    def parser(self, attribute: str) -> Callable[[str], str]:
        """Reads one value of an attribute. Raises ValueError for a name that nothing declares, or a glob that fits none."""
        names = self.names.get(attribute)
        if attribute == "machine":
            return self._machine
        if names is None:
            return str
        folded = {name.casefold() for name in names}
        # Beside a team's own name and those below it a glob could fit others, too: `pay*` also the team above.
        exactly = attribute == "team" and self.team is not None

        def parse(text: str) -> str:
            if text.casefold() in folded or (is_glob(text) and not exactly and _some_fit(text, folded)):
                return text
            raise _undeclared(text, attribute, names)

        return parse

    def _machine(self, text: str) -> str:
        """Any machine's id may come; what is the name of a group of them is meant as that."""
        if text.casefold() in self.machine_groups:
            raise ValueError(f"{shown(text)} is a group of machines, no machine; write machine_group: {text}")
        return text


def _undeclared(text: str, attribute: str, names: tuple[str, ...]) -> NotAmong:
    few = names if attribute in _OURS else cut(names, _WORDS_SHOWN_MAX)
    allowed = one_of(few) if names else "the file declares none"
    return NotAmong(f"{shown(text)} is no {attribute} that is declared; {allowed}", text, names)


def _some_fit(text: str, folded: set[str]) -> bool:
    pattern = glob(text.casefold())
    return any(pattern.fullmatch(name) for name in folded)


def read_roster(tops: Sequence[Section]) -> Roster:
    """The roster as far as it could be read. The first of `tops` is the policy file, the others what it includes."""
    teams = _teams(_entries(tops, "teams"))
    people = _people(_entries(tops, "people"), tuple(team.name for team in teams))
    fallback = UnknownPeople.SHARED if any(top.has("people") for top in tops) else UnknownPeople.EACH
    unknown = tops[0].word("unknown_people", [word.value for word in UnknownPeople])
    roster = Roster(people=people, teams=teams, unknown=UnknownPeople(unknown) if unknown else fallback)
    groups = _entries(tops, "machines")
    machines = read_machines(groups, roster)
    if roster.unknown is UnknownPeople.OWNER and not any(entry.has("owner") for _, entry in groups):
        tops[0].fault("unknown_people", "owner needs machines with an owner; list them under machines")
    return roster.model_copy(update={"machines": machines})


def _entries(tops: Sequence[Section], key: str) -> list[tuple[Text, Section]]:
    """What all files list under the key."""
    return [entry for top in tops if (section := top.section(key)) is not None for entry in section.entries()]


def _people(entries: list[tuple[Text, Section]], teams: tuple[str, ...]) -> tuple[Person, ...]:
    people: list[Person] = []
    names, accounts = Taken(), Taken()
    member = member_of(teams)
    for key, entry in entries:
        person = _person(entry, names.name(key, entry), member)
        if person.name.casefold() in RESERVED_NAMES:
            entry.faults.add(
                key.place, entry.path, f"{shown(person.name)} is a word of Spendgate's own; choose another name"
            )
        mine: set[str] = set()
        for place, account in entry.parsed_list("accounts", words.account) or ((key.place, person.name),):
            if account.casefold() in mine:
                text = f"{shown(account)} is listed twice; accounts compare without case"
                entry.faults.add(place, f"{entry.path}.accounts", text)
            mine.add(account.casefold())
            accounts.take(account, Found(entry.faults, place, f"{entry.path}.accounts"), person.name.casefold())
        people.append(person)
        entry.done()
    return tuple(people)


def _person(entry: Section, name: str, member: Callable[[str], str]) -> Person:
    return Person(
        name=name,
        email=entry.text("email"),
        accounts=entry.names("accounts", words.account) or (name,),
        team=entry.parsed("team", member),
        groups=entry.names("groups", words.name),
        until=entry.parsed("until", words.day),
    )


def member_of(teams: tuple[str, ...]) -> Callable[[str], str]:
    """Exactly one of the teams: a name in another case would be another team in every report."""
    known = frozenset(teams)

    def parse(text: str) -> str:
        if text not in known:
            raise _undeclared(text, "team", teams)
        return text

    return parse


def _teams(entries: list[tuple[Text, Section]]) -> tuple[Team, ...]:
    names = Taken()
    declared = tuple(names.name(key, entry) for key, entry in entries)
    member = member_of(declared)
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
        "timezone": entry.parsed("timezone", zone_named),
        "notify": read_notify(entry),
    }
