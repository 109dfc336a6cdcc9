"""Whom a sum of a bill or of the ledger is about, and how finely a provider tells it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from msgspec import Struct

from spendgate.reconcile.facts import Role
from spendgate.reconcile.key_names import key_text
from spendgate.statement import Charge, Line

POOL: Final = "(keys not told apart)"
KEYLESS: Final = "(no key)"


class Grain(IntEnum):
    """What a provider's lines tell of whom they are about, finest first."""

    KEY = 0
    USER = 1
    WORKSPACE = 2
    NOBODY = 3


GRAINS: Final = {Grain.KEY: "key", Grain.USER: "user", Grain.WORKSPACE: "workspace", Grain.NOBODY: "organization"}


class Account(Struct, frozen=True):
    """Whom a sum is about."""

    name: str
    """As the report names it."""
    role: Role = Role.FLEET
    person: str = ""
    """The ledger's name of the one person behind it; "": nobody or several."""
    known: bool = True
    """Whether anything joins it to the ledger or to a registry."""
    listed: bool = False
    """Whether a registry lists it."""
    keyless: bool = False


def grain_of(lines: Iterable[Line]) -> Grain:
    """The finest grain that every line about tokens or requests tells."""
    told = [each.who for each in lines if each.charge in (Charge.TOKENS, Charge.REQUESTS)]
    if not told:
        return Grain.NOBODY
    if all(key_text(who) is not None for who in told):
        return Grain.KEY
    if all((who.email or who.user) for who in told):
        return Grain.USER
    return Grain.WORKSPACE if all(who.workspace is not None for who in told) else Grain.NOBODY
