"""What a YAML file is read into: mappings, lists and text, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spendgate.config.faults import Place


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as written. `plain`: without quotes; `commented`: a comment follows on its line."""

    place: Place
    value: str
    plain: bool = True
    commented: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping; no key twice."""

    place: Place
    entries: tuple[tuple[Text, Node], ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """Something in whose place a fault was already named: read on without naming it again."""

    place: Place


Node = Text | Items | Mapping | Broken


def path_text(steps: Iterable[str]) -> str:
    """`budgets`, `[2]`, `limit` as `budgets[2].limit`."""
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).removeprefix(".")
