"""A key that stands twice in one JSON object: parsers differ in which of the two they take, so each is a model that may answer.

RFC 8259, 4, leaves it open; Python, Go, JavaScript and Rust's serde_json take the last, others the first, or refuse. The last is
the one that all else here goes by.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from spendgate.providers.jsonwalk import values_at
from spendgate.providers.shapes import TEXT, Shape

UNNAMED: Final = ""
"""A value that names no model: null, no text, or too long a one. As in `other_models`."""
NAMES_MAX: Final = 32
"""More are not asked about one by one."""
_VALUE: Final = Shape(value=TEXT)


def names_at(document: bytes, *path: str | frozenset[str]) -> Generator[None, None, list[str]]:
    """The names that stand at this path, in order, of keys that stand twice, too; one that is left out is `UNNAMED`. Raises
    WireError: the document is no object."""
    values = yield from values_at(document, *path)
    named = [_name(value) for value in values[:NAMES_MAX]]
    return named if len(values) <= NAMES_MAX else [*named, UNNAMED, _name(values[-1])]


def all_but_last(names: list[str]) -> tuple[str, ...]:
    """What may be meant in place of the last one."""
    return tuple(dict.fromkeys(name for name in names[:-1] if name != names[-1]))


def _name(value: bytes) -> str:
    found = _VALUE.read_or_none(b'{"value":' + value + b"}") or {}
    return found.get("value") or UNNAMED
