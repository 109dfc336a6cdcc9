"""One change of a policy, as a reviewer reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a change does, the gravest first."""

    DECRYPTS = "decrypts"
    KEEPS = "what is kept"
    POWER = "power"
    MORE = "may spend more"
    LESS = "may spend less"
    MODELS = "models"
    PEOPLE = "people"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `where` is the rule or key that makes it."""

    effect: Effect
    where: str
    text: str
