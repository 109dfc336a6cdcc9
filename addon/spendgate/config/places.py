"""What of a policy file is no part of the policy that it makes: where its rules and names stand, for warnings, which are about a
rule as a whole; and the words of budgets without a limit, which go with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.config.faults import Faults, Place
from spendgate.config.nodes import Items, Mapping, Node, Text
from spendgate.config.yaml_nodes import read

_ABOUT_REFUSING: Final = ("action", "counts", "cut", "hold", "missing", "wait")
_NONE: Final = "none"


def places(data: bytes) -> dict[str, Place]:
    """`budgets.NAME`, `models.NAME`, `people.NAME`, `capture.never.HOST` and every key of the file: where each stands.

    Empty where it is no mapping.
    """
    node = read(data, Faults(""))
    if not isinstance(node, Mapping):
        return {}
    found: dict[str, Place] = {}
    for key, value in node.entries:
        found[key.value] = key.place
        for name, place in _named(value):
            found.setdefault(f"{key.value}.{name}", place)
    never = dict(_entries(dict(_entries(node)).get("capture"))).get("never")
    for each in never.items if isinstance(never, Items) else (never,):
        if isinstance(each, Text):
            found.setdefault(f"capture.never.{each.value.rstrip('.').lower()}", each.place)  # as the policy has a host
    return found


def _named(node: Node) -> list[tuple[str, Place]]:
    """The entries of a mapping by their keys, those of a list by their `name`."""
    if isinstance(node, Mapping):
        return [(key.value, key.place) for key, _ in node.entries]
    if not isinstance(node, Items):
        return []
    return [
        (value.value, value.place)
        for item in node.items
        if isinstance(item, Mapping)
        for key, value in item.entries
        if key.value == "name" and isinstance(value, Text)
    ]


def idle_words(data: bytes) -> Iterator[tuple[str, str]]:
    """What stands beside `limit: none` and changes nothing there: `budgets.NAME`, and a sentence."""
    node = read(data, Faults(""))
    entries = dict(_entries(node)).get("budgets")
    for item in entries.items if isinstance(entries, Items) else ():
        words = dict(_entries(item))
        limit, name = words.get("limit"), words.get("name")
        if isinstance(limit, Items) and len(limit.items) == 1:
            limit = limit.items[0]
        given = [word for word in _ABOUT_REFUSING if word in words]
        if isinstance(limit, Text) and limit.value.strip() == _NONE and isinstance(name, Text) and given:
            does = "changes nothing" if len(given) == 1 else "change nothing"
            yield (
                f"budgets.{name.value}",
                f"{name.value}: {' and '.join(given)} {does} where limit: none refuses nothing",
            )


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    return [(key.value, value) for key, value in node.entries] if isinstance(node, Mapping) else []
