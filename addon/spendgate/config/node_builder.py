"""Nodes from the events of PyYAML: mappings, lists and text, each with its place, and every fault of their form.

Every scalar stays the text that was written, so that YAML's own dates, booleans, octals and sexagesimals never apply. What a
reviewer could misread is a fault: anchors, aliases, merges, tags, null values, keys given twice, text cut short by ` #`, an
amount split by a comma inside brackets, more than one document and directives. Depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from spendgate.config.faults import Faults, Place, shown
from spendgate.config.lettering import misread, odd_character
from spendgate.config.nodes import Broken, Items, Mapping, Node, Text, path_text
from spendgate.config.split_amounts import begins_amount, begins_count, goes_on, split

_DEPTH_MAX = 12
REFUSED = "\ue000"
"""Of nobody's alphabet: stands where a character was refused."""
# libyaml's scanner is twenty times as fast; the same events come from either.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = ("", "~", "null", "Null", "NULL")
_COMMENT = re.compile(r"[ \t]+#(.*)")


class _Mark(Protocol):
    """Where an event stands, counted from 0; either parser's."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class GivesUp(Exception):
    """The rest of the file cannot be read; the fault is named already. Only leaves the recursion."""


def _place(mark: _Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


def _is_folded(event: ScalarEvent) -> bool:
    """Whether it is written over several lines, also where its value is one."""
    start, end = event.start_mark, event.end_mark
    return event.style in ("|", ">") or (start is not None and end is not None and end.line > start.line)


class Builder:
    """Events into nodes. `_path` is where we are: keys and list indexes, for the faults and for the bound on depth."""

    def __init__(self, text: str, lines: list[str], faults: Faults, *, letters: Faults | None = None) -> None:
        """`letters`: keeps by itself what is wrong with the letters of a scalar."""
        self._lines, self._letters = lines, letters
        self._events: Iterator[Event] = yaml.parse(text, Loader=_Loader)
        self._faults = faults
        self._path: list[str] = []

    def document(self) -> Node | None:
        """The only document. A second one is a fault. Raises YAMLError, GivesUp."""
        root: Node | None = None
        begun = False
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if begun:
                self._broken(_place(event.start_mark), "a second document; a policy is one document")
                return root
            begun = True
            if event.version or event.tags:
                self._broken(_place(event.start_mark), "a % directive; a policy has none")
            first = next(self._events)
            if not (isinstance(first, ScalarEvent) and first.value == "" and not first.style):
                root = self._node(first)
        if root is None:
            self._broken(Place(1, 1), "the file is empty; a policy has at least version and owner")
        return root

    def _inner(self, event: Event, step: str) -> Node:
        """The node one step further in."""
        self._path.append(step)
        try:
            if len(self._path) > _DEPTH_MAX:
                self._broken(_place(event.start_mark), f"nested more than {_DEPTH_MAX} deep")
                raise GivesUp
            return self._node(event)
        finally:
            self._path.pop()

    def _node(self, event: Event) -> Node:
        place = _place(event.start_mark)
        if isinstance(event, AliasEvent):
            return self._broken(place, f"alias *{event.anchor}; write the value out")
        node = self._content(event, place)
        if isinstance(event, NodeEvent) and event.anchor:
            return self._broken(place, f"anchor &{event.anchor}; a policy repeats what it means")
        if tag := getattr(event, "tag", None):
            return self._broken(place, f"tag {tag}; every value is text, typed by its key")
        return node

    def _content(self, event: Event, place: Place) -> Node:
        if isinstance(event, ScalarEvent):
            return self._text(event, place)
        if not isinstance(event, SequenceStartEvent):
            return self._mapping(place)
        items: list[Node] = []
        while not isinstance(inner := next(self._events), SequenceEndEvent):
            items.append(self._inner(inner, f"[{len(items) + 1}]"))
        return self._whole_amounts(Items(place, tuple(items)))

    def _text(self, event: ScalarEvent, place: Place) -> Node:
        # The pure and the C parser agree on style None or "" for a scalar without quotes.
        plain = not event.style
        if REFUSED in event.value:
            return Broken(place)
        comment = self._comment_after(event)
        if plain and event.value in _NULLS and not event.tag:
            hidden = comment is not None and not event.value and not comment.startswith((" ", "\t", "#"))
            remedy = f"#{comment.split()[0]} is a comment; put text in quotes" if hidden and comment else ""
            return self._broken(place, f"no value; {remedy or 'leave the key out, or give it one'}")
        if wrong := self._unreadable(event):
            if self._letters is not None:
                self._letters.add(place, path_text(self._path), wrong)
            return self._broken(place, wrong)
        if plain and comment and not comment.startswith((" ", "\t", "#")):
            word = comment.split()[0]
            return self._broken(
                place, f"{shown(event.value)} is cut short by the comment #{word}; put the text in quotes"
            )
        return Text(place, event.value, plain, comment is not None, _is_folded(event))

    def _unreadable(self, event: ScalarEvent) -> str | None:
        """What a reviewer would misread in a scalar, also by an escape in double quotes."""
        if odd := odd_character(event.value):
            return f"{odd[1]}, by an escape in double quotes; use single quotes" if event.style == '"' else odd[1]
        return misread(event.value)

    def _comment_after(self, event: ScalarEvent) -> str | None:
        """What follows ` #` right behind a scalar, on its line."""
        mark = event.end_mark
        if mark is None or mark.line >= len(self._lines):
            return None
        found = _COMMENT.match(self._lines[mark.line], mark.column)
        return found[1] if found else None

    def _mapping(self, place: Place) -> Node:
        entries: dict[str, tuple[Text, Node]] = {}
        parts: list[Text] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event)
            value_event = next(self._events)
            if parts and isinstance(key, Text) and goes_on(key):
                parts.append(key)
                self._skip(value_event)
                continue
            self._split_in(entries, parts)
            value = self._inner(value_event, key.value if isinstance(key, Text) else "?")
            parts = [value] if isinstance(value, Text) and (begins_amount(value) or begins_count(value)) else []
            if isinstance(key, Text):
                self._put(entries, key, value)
        self._split_in(entries, parts)
        return Mapping(place, tuple(entries.values()))

    def _key(self, event: Event) -> Text | Broken:
        place = _place(event.start_mark)
        if not isinstance(event, ScalarEvent | AliasEvent):
            self._skip(event)
            return self._broken(place, "a key must be text; text that begins with { or [ goes in quotes")
        if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
            return self._broken(place, "merge <<; a policy repeats what it means")
        key = self._node(event)
        if isinstance(key, Text) and not key.value.strip():
            return self._broken(place, "an empty key; name what the value is")
        return key if isinstance(key, Text | Broken) else self._broken(place, "a key must be text")

    def _put(self, entries: dict[str, tuple[Text, Node]], key: Text, value: Node) -> None:
        if key.value in entries:
            first = entries[key.value][0].place
            self._broken(key.place, f"{shown(key.value)} is given twice, first in line {first.line}")
            return
        entries[key.value] = (key, value)

    def _whole_amounts(self, items: Items) -> Items:
        whole: list[Node] = []
        parts: list[Text] = []
        for item in items.items:
            if parts and isinstance(item, Text) and goes_on(item):
                parts.append(item)
                whole[-1] = Broken(parts[0].place)
                continue
            self._split(parts)
            parts = [item] if isinstance(item, Text) and begins_amount(item) else []
            whole.append(item)
        self._split(parts)
        return Items(items.place, tuple(whole))

    def _split_in(self, entries: dict[str, tuple[Text, Node]], parts: list[Text]) -> None:
        """The same of the last value of a mapping, which then means nothing by itself."""
        self._split(parts)
        if len(parts) > 1 and entries:
            name, (key, value) = entries.popitem()
            entries[name] = key, Broken(parts[0].place) if value is parts[0] else value

    def _split(self, parts: list[Text]) -> None:
        """Name an amount that is in more than one part; a whole one is none of ours."""
        if len(parts) > 1:
            self._broken(parts[0].place, split(parts))

    def _skip(self, event: Event) -> None:
        """Read past a node without naming what is wrong with it, but for a depth that ends the reading."""
        faults, self._faults = self._faults, Faults("")
        try:
            self._inner(event, "?")
        except GivesUp:
            faults.add(_place(event.start_mark), path_text(self._path), f"nested more than {_DEPTH_MAX} deep")
            raise
        finally:
            self._faults = faults

    def _broken(self, place: Place, text: str) -> Broken:
        self._faults.add(place, path_text(self._path), text)
        return Broken(place)
