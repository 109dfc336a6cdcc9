"""The roster: who the policy lists, in which team and groups, and whom an OS account belongs to.

Rules: accounts compare without case; a person owns its allowances over all its accounts; an account nobody lists, a person
past `until`, and a connection whose account is not known fall to `unknown_people`. Values only.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from spendgate.attribution import UNKNOWN, Evidence
from spendgate.model_names import glob

SHARED = "shared"
RESERVED_NAMES = (SHARED, UNKNOWN)
"""Names no person can have: attribution uses them."""
_MATCHED_MAX = 1024
_ANCESTORS_MAX = 32


class Values(BaseModel):
    """Base of everything a policy is made of: frozen, nothing unnamed, no value turned into another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class UnknownPeople(StrEnum):
    """What an account that nobody lists is."""

    SHARED = "shared"
    OWNER = "owner"
    EACH = "each"
    REFUSE = "refuse"


class Person(Values):
    """One person. `until` is the last day on which the listing holds, in the policy's zone."""

    name: str
    email: str | None = None
    accounts: tuple[str, ...]
    team: str | None = None
    groups: tuple[str, ...] = ()
    until: date | None = None


class Notify(Values):
    """One receiver. `purposes` is the file's `for`: `notice`, `alert`, `page`, `digest`."""

    to: str
    """A service's address, its `${SPENDGATE_SECRET_…}` as they are written: they are read where something is sent, and
    stand in no hash, ledger, log or copy."""
    purposes: tuple[str, ...]


class Team(Values):
    """One team. `zone` is its own `timezone`, else its nearest ancestor's; None: the policy's."""

    name: str
    owner: str | None = None
    parent: str | None = None
    cost_center: str | None = None
    timezone: str | None = None
    lineage: tuple[str, ...]
    """The team itself, then its ancestors."""
    zone: str | None = None
    notify: tuple[Notify, ...] = ()


class MachineGroup(Values):
    """Machines by their ids (`identity/machine`), never by their host names, which anyone at a machine can change."""

    name: str
    match: tuple[str, ...]
    """Ids or globs; they compare without case."""
    owner: str | None = None
    """Who answers for them: a listed person's name, account or e-mail; or any address, where nothing falls to owners."""


class PersonMatch(Values):
    """Whom an account is. `team` is the team first, then its ancestors: what `Facts` wants."""

    person: str
    team: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    refused: bool = False
    """`unknown_people: refuse` applies."""
    evidence: Evidence = Evidence.NONE


class Roster(Values):
    """People, teams and groups of machines, by name."""

    people: tuple[Person, ...] = ()
    teams: tuple[Team, ...] = ()
    unknown: UnknownPeople = UnknownPeople.EACH
    machines: tuple[MachineGroup, ...] = ()

    @cached_property
    def _matched(self) -> dict[tuple[str | None, date, str | None], PersonMatch]:
        """Answers of `person_of`: the same few accounts ask all day."""
        return {}

    @cached_property
    def _by_account(self) -> dict[str, Person]:
        return {account.casefold(): person for person in self.people for account in person.accounts}

    @cached_property
    def _by_name(self) -> dict[str, Person]:
        return {person.name.casefold(): person for person in self.people}

    @cached_property
    def _by_email(self) -> dict[str, Person]:
        return {person.email.casefold(): person for person in reversed(self.people) if person.email}

    @cached_property
    def _groups_of(self) -> dict[str, tuple[MachineGroup, ...]]:
        """Answers of `machine_groups`: one gate asks of one machine, a replay of a fleet's."""
        return {}

    def machine_groups(self, machine: str) -> tuple[MachineGroup, ...]:
        """The groups that a machine belongs to, in the file's order."""
        found = self._groups_of.get(machine)
        if found is None:
            folded = machine.casefold()
            found = tuple(
                group for group in self.machines if any(glob(text.casefold()).fullmatch(folded) for text in group.match)
            )
            if len(self._groups_of) >= _MATCHED_MAX:
                self._groups_of.clear()
            self._groups_of[machine] = found
        return found

    def listed(self, text: str) -> Person | None:
        """The person with this name, account or e-mail."""
        key = text.casefold()
        return self._by_name.get(key) or self._by_account.get(key) or self._by_email.get(key)

    @cached_property
    def team_by_name(self) -> dict[str, Team]:
        """Teams by their exact name."""
        return {team.name: team for team in self.teams}

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that some person is in, sorted."""
        return tuple(sorted({group for person in self.people for group in person.groups}))

    def person_of(self, account: str | None, *, today: date, machine: str | None = None) -> PersonMatch:
        """Whom `account` is on `today` (a date in the policy's zone); None: the account is not known.

        `machine` lets an entry `admin@MACHINE` match that account on that machine only, and says whose machine it is where
        `unknown_people: owner` applies. A machine in no group with an owner falls to the shared allowance.
        """
        key = (account, today, machine)
        found = self._matched.get(key)
        if found is None:
            listed = self._listed(account, machine, today)
            found = self._match(listed, Evidence.SOCKET_OWNER) if listed else self._nobody(account, today, machine)
            if len(self._matched) >= _MATCHED_MAX:
                self._matched.clear()
            self._matched[key] = found
        return found

    def lists(self, account: str, *, today: date, machine: str | None = None) -> bool:
        """Whether a person's entry that holds on this day names the account."""
        return self._listed(account, machine, today) is not None

    def person_then(self, person: str, account: str | None, *, today: date, machine: str) -> PersonMatch:
        """Whom this roster takes a past call for, of which its ledger says `person` and OS `account`.

        The account decides where it is listed. Else the name does where that is listed: under `sudo` the account is not the
        person's own. Else it is an account that nobody lists; with `unknown_people: each` it keeps its name.
        """
        found = self._listed(account, machine, today)
        if found is None:
            named = self._by_name.get(person.casefold())
            found = named if named is not None and _holds(named, today) else None
        if found is not None:
            return self._match(found, Evidence.POLICY)
        return self._nobody(person if person not in RESERVED_NAMES else account, today, machine)

    def _listed(self, account: str | None, machine: str | None, today: date) -> Person | None:
        if not account:
            return None
        found = self._by_account.get(f"{account}@{machine}".casefold()) if machine else None
        found = found or self._by_account.get(account.casefold())
        return found if found is not None and _holds(found, today) else None

    def _owner(self, machine: str, today: date) -> Person | None:
        """The person to whom a machine belongs: the owner of the first of its groups that has one, while the listing holds."""
        named = next((group.owner for group in self.machine_groups(machine) if group.owner), None)
        owner = self.listed(named) if named else None
        return owner if owner is not None and _holds(owner, today) else None

    def _nobody(self, account: str | None, today: date, machine: str | None) -> PersonMatch:
        """What `unknown_people` makes of an account that nobody lists, or of none."""
        own_name = account.casefold() if account else UNKNOWN
        match self.unknown:
            case UnknownPeople.EACH:
                return PersonMatch(person=own_name, evidence=Evidence.SOCKET_OWNER if account else Evidence.NONE)
            case UnknownPeople.REFUSE:
                return PersonMatch(person=own_name, refused=True, evidence=Evidence.POLICY)
            case UnknownPeople.OWNER if machine and (owner := self._owner(machine, today)):
                return self._match(owner, Evidence.POLICY)
        return PersonMatch(person=SHARED, evidence=Evidence.POLICY)

    def _match(self, person: Person, evidence: Evidence) -> PersonMatch:
        team = self.team_by_name.get(person.team) if person.team else None
        lineage = team.lineage if team else ()
        return PersonMatch(person=person.name, team=lineage, groups=person.groups, evidence=evidence)


def _holds(person: Person, today: date) -> bool:
    return person.until is None or today <= person.until


def lineage(name: str, parents: dict[str, str | None]) -> tuple[str, ...]:
    """The team, then its ancestors. Raises ValueError for a team that is its own ancestor, or a chain over 32."""
    line = [name]
    while (parent := parents.get(line[-1])) is not None:
        if parent in line:
            raise ValueError(f"{' -> '.join([*line, parent])} goes in a circle")
        if len(line) >= _ANCESTORS_MAX:
            raise ValueError(f"{name} has more than {_ANCESTORS_MAX} teams above it")
        line.append(parent)
    return tuple(line)
