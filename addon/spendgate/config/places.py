"""Where the rules and names of a policy file stand: for warnings, which are about a rule as a whole."""

from __future__ import annotations

from spendgate.config.faults import Faults, Place
from spendgate.config.nodes import Items, Mapping, Node, Text
from spendgate.config.yaml_nodes import read


def places(data: bytes) -> dict[str, Place]:
    """`budgets.NAME`, `models.NAME`, `people.NAME` and every key of the file: where each stands. Empty where it is no mapping."""
    node = read(data, Faults(""))
    if not isinstance(node, Mapping):
        return {}
    found: dict[str, Place] = {}
    for key, value in node.entries:
        found[key.value] = key.place
        for name, place in _named(value):
            found.setdefault(f"{key.value}.{name}", place)
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
