"""Typed reading of a policy's mappings: ask for each key by name, and name every fault on the way.

A value that is wrong reads as None after its fault is kept; so a reader can go on to the next key, and nothing is built from
the file while there are faults. Parsers are plain functions `text -> value` that raise ValueError with what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from spendgate.config.faults import Faults, NotAmong, Place, cut, meant, one_of, shown
from spendgate.config.nodes import Broken, Items, Mapping, Node, Text

TEXT_LENGTH_MAX = 2_000
"""Of one value; `help` ends every refusal."""
_SHOWN_MAX = 12
"""Of the keys that may stand there."""
_EMPTY_LIST = "an empty list; leave the key out, or name something"


class Section:
    """One mapping of the file, with the path of keys that leads to it."""

    def __init__(self, node: Mapping, path: str, faults: Faults) -> None:
        self._entries = {key.value: (key, value) for key, value in node.entries}
        self._asked: dict[str, None] = {}
        self._faults = faults
        self.path, self.place = path, node.place

    @classmethod
    def of(cls, node: Node, path: str, faults: Faults, *, form: str = "keys with values") -> Section | None:
        """The node as a section; None, with a fault that has the form which is meant, where it is something else."""
        if isinstance(node, Mapping):
            return cls(node, path, faults)
        if not isinstance(node, Broken):
            faults.add(node.place, path, f"found {_kind(node)}; allowed: {form}")
        return None

    @property
    def faults(self) -> Faults:
        """Where the faults of this section's file are kept."""
        return self._faults

    def fault(self, key: str, text: str) -> None:
        """Keep a fault at a key, or at the section where the key is not there."""
        node = self._entries.get(key)
        self._faults.add(node[1].place if node else self.place, self._at(key), text)

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}".strip(".")

    def has(self, key: str) -> bool:
        """Whether the key is written, rightly or not."""
        return key in self._entries

    def node(self, key: str) -> Node | None:
        """What stands under the key; a key asked for is a known one."""
        self._asked[key] = None
        found = self._entries.get(key)
        return found[1] if found else None

    def scalar(self, key: str, *, required: bool = False, lines: bool = False) -> Text | None:
        """The key's text with its place, stripped. Empty text is a fault; so is a second line but for `lines`."""
        node = self.node(key)
        if node is None:
            if required:
                self._faults.add(self.place, self._at(key), "is missing; it is required")
            return None
        return _scalar(node, self._at(key), self._faults, lines=lines)

    def text(self, key: str, *, required: bool = False) -> str | None:
        """The key's text."""
        found = self.scalar(key, required=required)
        return found.value if found else None

    def prose(self, key: str) -> str | None:
        """Text for people: with a comment behind it nobody can tell where it was to end, so it must be in quotes."""
        found = self.scalar(key, lines=True)
        if found is not None and found.plain and found.commented:
            self._faults.add(
                found.place, self._at(key), f"{shown(found.value)} is followed by a comment; put the text in quotes"
            )
            return None
        return found.value if found else None

    def parsed[T](self, key: str, parse: Callable[[str], T], *, required: bool = False) -> T | None:
        """The key's text as `parse` reads it; its ValueError is the fault."""
        found = self.scalar(key, required=required)
        return _parse(found, self._at(key), parse, self._faults) if found else None

    def word(self, key: str, words: Iterable[str]) -> str | None:
        """One of these words, exactly."""
        return self.parsed(key, lambda text: known_word(text, words))

    def flag(self, key: str) -> bool | None:
        """`true` or `false`."""
        found = self.word(key, ("true", "false"))
        return None if found is None else found == "true"

    def parsed_list[T](self, key: str, parse: Callable[[str], T]) -> tuple[tuple[Place, T], ...] | None:
        """One text or a list of them, each as `parse` reads it, with its place. None where the key is not there.

        An empty list is a fault: nobody can tell whether it means none or all.
        """
        node = self.node(key)
        if node is None or isinstance(node, Broken):
            return None
        items = node.items if isinstance(node, Items) else (node,)
        if not items:
            self._faults.add(node.place, self._at(key), _EMPTY_LIST)
        found: list[tuple[Place, T]] = []
        for number, item in enumerate(items, 1):
            path = f"{self._at(key)}[{number}]" if isinstance(node, Items) else self._at(key)
            text = _scalar(item, path, self._faults)
            value = _parse(text, path, parse, self._faults) if text else None
            if value is not None:
                found.append((item.place, value))
        return tuple(found)

    def names(self, key: str, parse: Callable[[str], str] = str) -> tuple[str, ...]:
        """One text or a list of them; empty where the key is not there. The same text twice is a fault."""
        found: dict[str, None] = {}
        for place, name in self.parsed_list(key, parse) or ():
            if name in found:
                self._faults.add(place, self._at(key), f"{shown(name)} is given twice")
            found[name] = None
        return tuple(found)

    def section(self, key: str, *, form: str = "keys with values") -> Section | None:
        """The mapping under the key; `form` is what a fault says that it should be."""
        node = self.node(key)
        return Section.of(node, self._at(key), self._faults, form=form) if node is not None else None

    def sections(self, key: str) -> Iterator[Section]:
        """The list of mappings under the key. An empty one is a fault, as of texts."""
        node = self.node(key)
        if node is None or isinstance(node, Broken):
            return
        if not isinstance(node, Items):
            self._faults.add(node.place, self._at(key), f"found {_kind(node)}; allowed: a list, each entry after `- `")
            return
        if not node.items:
            self._faults.add(node.place, self._at(key), _EMPTY_LIST)
        for number, item in enumerate(node.items, 1):
            found = Section.of(item, f"{self._at(key)}[{number}]", self._faults)
            if found is not None:
                yield found

    def entries(self) -> Iterator[tuple[Text, Section]]:
        """Where the keys are names: each with its section."""
        for key, value in self._entries.values():
            self._asked[key.value] = None
            found = Section.of(value, self._at(key.value), self._faults)
            if found is not None:
                yield key, found

    @property
    def keys(self) -> tuple[str, ...]:
        """What is written in it, known or not."""
        return tuple(self._entries)

    @property
    def empty(self) -> bool:
        """Whether nothing is written in it."""
        return not self._entries

    def done(self, *, hint: str = "") -> None:
        """Name every key that nobody asked for; `hint` ends each fault."""
        for name, (key, _) in self._entries.items():
            if name not in self._asked:
                known = tuple(self._asked)
                near = "" if self._faults.enough else meant(name, known)
                words = f"{near} {one_of(cut(known, _SHOWN_MAX))}" if near else f"; {one_of(cut(known, _SHOWN_MAX))}"
                self._faults.add(key.place, self._at(name), f"unknown key{words}{hint}")


def _scalar(node: Node, path: str, faults: Faults, *, lines: bool = False) -> Text | None:
    if isinstance(node, Broken):
        return None
    if not isinstance(node, Text):
        faults.add(node.place, path, f"found {_kind(node)}; allowed: one value")
        return None
    value = node.value.strip()
    if value and len(value) <= TEXT_LENGTH_MAX and (lines or not (node.folded or "\n" in value)):
        return replace(node, value=value)
    if not value:
        faults.add(node.place, path, "is empty; leave the key out, or give it a value")
    elif len(value) > TEXT_LENGTH_MAX:
        faults.add(node.place, path, f"{shown(value)} has {len(value):,} characters; at most {TEXT_LENGTH_MAX:,}")
    else:
        faults.add(node.place, path, f"{shown(value)} has more than one line; allowed: one")
    return None


def _parse[T](text: Text, path: str, parse: Callable[[str], T], faults: Faults) -> T | None:
    try:
        return parse(text.value)
    except ValueError as fault:
        faults.add(text.place, path, str(fault.args[0]) if faults.enough else str(fault))
        return None


def _kind(node: Node) -> str:
    match node:
        case Text():
            return f"text {shown(node.value)}"
        case Items():
            return "a list"
    return "keys with values"


def known_word(text: str, words: Iterable[str]) -> str:
    """The text, where it is one of the words. Raises ValueError with them and the nearest."""
    words = tuple(words)
    if text not in words:
        raise NotAmong(f"{shown(text)} is not known; {one_of(words)}", text, words)
    return text
