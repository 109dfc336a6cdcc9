"""Reads the files that a policy includes: people, teams and machines, or one team's rules, which can only narrow.

Rules: an included file stands in the policy's own folder and includes no other; which it is shows in its first key: `team` makes
it that team's rules, else it lists people, teams and machines. Number and size are bounded. Faults name the file they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from spendgate.config import forms
from spendgate.config.faults import Faults, Place, shown
from spendgate.config.people import Declared, member_of
from spendgate.config.sections import Section
from spendgate.config.yaml_nodes import read
from spendgate.roster import Roster

FILES_MAX = 32
TEAM_RULES_MAX = 100
"""In one team's file: every call of everyone is compared with every rule, so one team must not make all others slow."""
BYTES_MAX_ALL = 2 * 1024 * 1024
"""Of the policy and all that it includes."""
HINT = (
    "; an included file has people, teams and machines, or `team` with rules for that team alone, which can only narrow; "
    "it includes no other"
)
_LISTS = ("people", "teams", "machines")
"""What an included file has that is not one team's rules."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,58}\.ya?ml")

Beside = Callable[[str], bytes]
"""The bytes of a file in the policy's folder. Raises OSError where it cannot be read, ValueError where it must not be."""


def nothing_beside(name: str) -> bytes:
    """For a policy that comes without a folder."""
    raise ValueError(f"{name} cannot be read here: this policy comes without a folder")


@dataclass(frozen=True, slots=True)
class Included:
    """One included file, as far as it is YAML with keys."""

    name: str
    top: Section
    rules: bool
    """It is one team's rules."""


class Includes:
    """The files that a policy includes, and their faults."""

    def __init__(self, top: Section, beside: Beside, *, main_bytes: int) -> None:
        """Reads every file that `include` names. `main_bytes`: how long the policy file itself is."""
        self._top, self._beside = top, beside
        self._room = BYTES_MAX_ALL - main_bytes
        self.faults: list[Faults] = []
        """One for each file, in the order in which they are included."""
        found = [self._read(place, name) for place, name in self._names()]
        self._files = [each for each in found if each is not None]

    def add(self, file: Included) -> None:
        """One more file, which nobody names."""
        self._files.append(file)

    @property
    def directories(self) -> tuple[Section, ...]:
        """The files that list people, teams and machines."""
        return tuple(each.top for each in self._files if not each.rules)

    def teams(self, declared: Declared, roster: Roster) -> tuple[tuple[Section, Declared], ...]:
        """The files of one team's rules, each with the names that its rules may use: all of them bound to its team."""
        known = member_of(tuple(team.name for team in roster.teams))
        found: list[tuple[Section, Declared]] = []
        for each in self._files:
            if each.rules:
                team = each.top.parsed("team", _whose(known, each.name))
                found.append((each.top, declared.within(team or "", roster)))
        return tuple(found)

    def done(self) -> None:
        """Name every key that nobody asked for."""
        for each in self._files:
            each.top.node("team")
            each.top.done(hint=HINT)

    def _names(self) -> list[tuple[Place, str]]:
        own = PurePath(self._top.faults.file).name
        seen: set[str] = set()
        names: list[tuple[Place, str]] = []
        given = self._top.parsed_list("include", _file_name) or ()
        if len(given) > FILES_MAX:
            self._top.fault("include", f"{len(given)} files are named; at most {FILES_MAX} are included")
            return []
        for place, name in given:
            if name.casefold() == own.casefold():
                self._top.faults.add(place, "include", f"{name} is this file itself")
            elif name.casefold() in seen:
                self._top.faults.add(place, "include", f"{shown(name)} is given twice")
            else:
                names.append((place, name))
            seen.add(name.casefold())
        return names

    def _read(self, place: Place, name: str) -> Included | None:
        try:
            data = self._beside(name)
        except OSError as fault:
            self._top.faults.add(place, "include", f"{name} cannot be read: {fault.strerror or fault}")
            return None
        except ValueError as fault:
            self._top.faults.add(place, "include", str(fault))
            return None
        self._room -= len(data)
        if self._room < 0:
            self._top.faults.add(
                place, "include", f"{name} is too much: at most {BYTES_MAX_ALL:,} bytes are read in all"
            )
            return None
        file = self._top.faults.file
        faults = Faults(f"{file.removesuffix(PurePath(file).name)}{name}")
        self.faults.append(faults)
        node = read(data, faults)
        top = Section.of(node, "", faults) if node is not None else None
        if top is None:
            return None
        if top.empty:
            top.fault("", f"nothing is in it{HINT}")
            return None
        return Included(name, top, rules=top.has("team"))


def only_included(top: Section) -> bool:
    """Keeps the one fault of a file that a policy includes, where it is read as a policy. True where it was one: whatever else a
    policy would need of it is beside the point."""
    keys = top.keys
    if {"version", "owner", "include"} & set(keys) or not ("team" in keys or (keys and set(keys) <= set(_LISTS))):
        return False
    named = ["team"] if "team" in keys else [key for key in keys if key in _LISTS]
    has = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    text = f"has {has} and no version: it is a file for a policy to include, no policy; check the one that includes it"
    top.fault("", text)
    return True


def _whose(known: Callable[[str], str], name: str) -> Callable[[str], str]:
    """Reads a team, whose name its file must have: so the policy's own `include` says which teams have rules of their own, and
    who may change one team's file cannot write rules for another."""

    def parse(text: str) -> str:
        team = known(text)
        if _plain(team) != _plain(PurePath(name).stem):
            raise ValueError(f"{shown(team)} is not whose file this is; its rules stand in {_plain(team)}.yaml")
        return team

    return parse


def _plain(name: str) -> str:
    """The letters and digits of a name that every file system has, in lower case: `Data Platform` is data-platform."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "team"


@forms.written(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,58}\.ya?ml", "people.yaml")
def _file_name(text: str) -> str:
    if "/" in text or "\\" in text or text.startswith("."):
        raise ValueError(
            f"{shown(text)} is not the name of a file beside this one; allowed: people.yaml, without folder or drive"
        )
    if _NAME.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is not a file's name; allowed: letters, digits and . _ -, at most 64, ending in .yaml or .yml"
        )
    return text
