"""What was looked at and what was found, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """How a check ended. The words are part of `doctor`'s contract."""

    FINE = "fine"
    FINDING = "finding"
    UNSEEN = "not seen"
    """It could not be looked at; `says` says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What kind it is: `way`, `tool.trust`, …; stable."""
    about: str
    """Which one: a way, a tool, a process."""
    state: State
    says: str
    remedy: str = ""
    """Of a finding: what to do."""


class Store(StrEnum):
    """A place of certificates, where a program looks besides its variables."""

    SYSTEM = "the system's store"
    BROWSER = "the account's NSS database"
    JAVA = "Java's store"


class Proxies(StrEnum):
    """How a program is led to a proxy."""

    VARIABLES = "variables"
    JAVA = "options of Java's"
    SETTINGS = "settings of its own"
    """It may go by variables, too, but not with all that it sends."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One program that people have, and what decides whether it trusts and where it goes."""

    name: str
    """As the ledger calls it."""
    programs: tuple[str, ...]
    """The first that is found is it."""
    replacing: tuple[str, ...] = ()
    """Variables in their order: the first that is set decides, in place of every store."""
    adding: str = ""
    """The variable whose certificates it trusts beside the rest."""
    stores: frozenset[Store] = frozenset()
    switch: tuple[str, str] = ("", "")
    """A variable and its value, with which it reads the system's store; without a switch it does by itself."""
    unless: tuple[str, str] = ("", "")
    """A variable and its value, with which it does not."""
    proxies: Proxies = Proxies.VARIABLES
    version: tuple[str, ...] = ("--version",)
    settings: bool = False
    """Whether it has settings that set variables for it (`settings`)."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One that is here."""

    tool: Tool
    path: str
    version: str
    """Empty: it did not say."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whether a program would take the gate's certificate. None: this cannot be told."""

    yes: bool | None
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether a program's traffic would reach the gate."""

    yes: bool | None
    why: str
    """By which way, or why by none."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """Where our certificate is, as far as one program is concerned."""

    certificate: str
    """The file that remedies name."""
    variables: Mapping[str, str]
    holds: Mapping[str, bool | None]
    """By variable that names a file: whether our certificate is in it; None: it cannot be read."""
    stores: Mapping[Store, bool]
    """Of the stores that are here: whether ours is in it."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The ways that lead from this process to the gate, each tried by a canary call."""

    transparent: bool = False
    proxy: str = ""
    """The variable whose proxy is the gate; empty: none is."""
    java: bool = False
    """Whether JAVA_TOOL_OPTIONS leads to the gate."""
    listener: str = ""
    """Where a proxy of the gate listens that could be pointed at, as `host:port`."""
    strays: Mapping[str, str] = field(default_factory=dict)
    """Variables that lead elsewhere, with where."""
    service: bool = False
    """Whether a gate here is the machine's service."""
    unseen: str = ""
    """Why a way that takes all could not be tried, as without a network; empty: none was left out."""
