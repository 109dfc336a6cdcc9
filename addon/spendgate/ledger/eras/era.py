"""An era of migrations: steps that shipped one after another."""

from __future__ import annotations

from typing import Protocol

from sqlite_utils import Database


class Step(Protocol):
    """One migration, known to every ledger that has it by its name."""

    __name__: str

    def __call__(self, db: Database, /) -> None: ...


class Era:
    """Takes its steps in the order in which they stand, as a decorator."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __call__[S: Step](self, step: S) -> S:
        self.steps.append(step)
        return step
