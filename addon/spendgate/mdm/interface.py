"""What every kind of material is: files, each a pure function of the rollout. The same rollout makes the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from spendgate.mdm.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Made:
    """One file of the material. `path` is below the folder that is written, with `/` on every system."""

    path: str
    content: bytes
    about: str
    """What it is for, as the index tells it."""
    secret: bool = False
    """Whether it holds a credential."""


class Kind(Protocol):
    """A kind of material: a module of this folder has one function of this form."""

    def __call__(self, rollout: Rollout, /) -> Iterator[Made]:
        """Its files."""
        ...
