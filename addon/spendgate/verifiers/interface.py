"""A verifier, what it is asked, and what it answers. Pure values, and the one shape that every verifier has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Answer(StrEnum):
    """What became of one name."""

    PASSES = "passes"
    FAILS = "fails"
    UNCLEAR = "unclear"
    """The program did not say: it hung, ended for another reason, or never asked for the certificate."""
    ABSENT = "not here"


@dataclass(frozen=True, slots=True)
class Case:
    """A name that a client asks for, and the one in the certificate that it is shown."""

    name: str
    """The column."""
    asked: str
    signed: str
    """Differs from `asked` for a wildcard alone."""
    allowed: bool

    @property
    def url(self) -> str:
        """An address of six in brackets, as URLs have it."""
        return f"https://[{self.asked}]/" if ":" in self.asked else f"https://{self.asked}/"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verifier on one case."""

    case: Case
    answer: Answer
    why: str = ""

    @property
    def wrong(self) -> bool:
        """A forbidden name that passes, an allowed one that does not, or no answer where one was asked for."""
        if self.answer is Answer.ABSENT:
            return False
        return self.answer is not (Answer.PASSES if self.case.allowed else Answer.FAILS)


@dataclass(frozen=True, slots=True)
class Place:
    """What a verifier works with: a private folder that is removed after it, and the root's certificate in it."""

    home: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Command:
    """One run of a program. Its environment is these variables and where programs are found, nothing else."""

    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


class Verifier(Protocol):
    """A program that verifies certificates for servers. It trusts the root that it is handed, whatever the system trusts."""

    @property
    def name(self) -> str:
        """The row."""
        ...

    @property
    def library(self) -> str:
        """Whose verification it is; empty where builds differ, and `version` says which."""
        ...

    @property
    def needs(self) -> tuple[tuple[str, ...], ...]:
        """The programs that must be here: of each group one."""
        ...

    @property
    def version(self) -> tuple[str, ...]:
        """Options of the first program that make it print its version; none where it cannot."""
        ...

    @property
    def taken(self) -> re.Pattern[str] | None:
        """What its output holds when it took the certificate; without it, exit status 0 says so."""
        ...

    @property
    def refusal(self) -> re.Pattern[str]:
        """What its output holds when it is the certificate that it refuses."""
        ...

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        """Runs that come before the first question, such as a compiler's. Each must succeed."""
        ...

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        """Ask for one case's name at this port of 127.0.0.1, which also answers CONNECT."""
        ...
