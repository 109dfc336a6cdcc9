"""YAML as a policy may use it: mappings, lists and text, each with its place. Nothing is typed here.

PyYAML gives events; every scalar stays the text that was written, so that YAML's own dates, booleans, octals and sexagesimals
never apply. What a reviewer could misread is a fault: anchors, aliases, merges, tags, null values, keys given twice, text
cut short by ` #`, an amount split by a comma inside brackets, more than one document. Size and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
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

BYTES_MAX = 1024 * 1024
"""About ten thousand people."""
DEPTH_MAX = 12
# libyaml's scanner is twenty times as fast; the same events come from either.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = ("", "~", "null", "Null", "NULL")
_COMMENT = re.compile(r"[ \t]+#(.*)")
_AMOUNT_HEAD = re.compile(r"(?:.*\s)?\$\d{1,3}")
_COUNT_HEAD = re.compile(r"\d{1,3}")
_AMOUNT_TAIL = re.compile(r"\d{3}(?!\d).*")
_CANNOT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


class _Mark(Protocol):
    """Where an event stands, counted from 0; either parser's."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


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


class _GivesUp(Exception):
    """The rest of the file cannot be read; the fault is named already. Only leaves the recursion."""


def read(data: bytes, faults: Faults) -> Node | None:
    """The one document in `data`. None where it cannot be read as YAML at all; then, too, `faults` says why."""
    start = Place(1, 1)
    if len(data) > BYTES_MAX:
        faults.add(start, "", f"the file has {len(data):,} bytes; at most {BYTES_MAX:,} are read")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        faults.add(Place(line, 1), "", "the text is not UTF-8")
        return None
    if odd := _CANNOT.search(text):
        before = text[: odd.start()]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        faults.add(place, "", f"control character {odd[0]!r} in the text")
        return None
    try:
        return _Builder(text, faults).document()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        hint = "; put text with ${…} in quotes" if mark is not None and _has_secret(text, mark) else ""
        faults.add(_place(mark), "", f"not YAML: {fault.problem or fault.context}{hint}")
    except yaml.YAMLError as fault:
        faults.add(start, "", f"not YAML: {fault}")
    except _GivesUp:
        pass
    return None


def _has_secret(text: str, mark: _Mark) -> bool:
    """Whether the mark stands on a `{` behind a `$`, which only quotes keep from being YAML's own."""
    line = next(islice(text.splitlines(), mark.line, None), "")
    return line[max(0, mark.column - 1) : mark.column + 1] == "${"


def _place(mark: _Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


class _Builder:
    """Events into nodes. `_path` is where we are: keys and list indexes, for the faults and for the bound on depth."""

    def __init__(self, text: str, faults: Faults) -> None:
        # YAML's own line breaks, which a mark's line counts by.
        self._lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
        self._events: Iterator[Event] = yaml.parse(text, Loader=_Loader)
        self._faults = faults
        self._path: list[str] = []

    def document(self) -> Node | None:
        """The only document. A second one is a fault."""
        root: Node | None = None
        for event in self._events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if root is not None:
                self._broken(_place(event.start_mark), "a second document; a policy is one document")
                break
            root = self._node(next(self._events))
        if root is None:
            self._broken(Place(1, 1), "the file is empty; a policy has at least version and owner")
        return root

    def _inner(self, event: Event, step: str) -> Node:
        """The node one step further in."""
        self._path.append(step)
        try:
            if len(self._path) > DEPTH_MAX:
                self._broken(_place(event.start_mark), f"nested more than {DEPTH_MAX} deep")
                raise _GivesUp
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
        if plain and event.value in _NULLS and not event.tag:
            return self._broken(place, "no value; leave the key out, or give it one")
        comment = self._comment_after(event)
        if plain and comment and not comment.startswith((" ", "\t", "#")):
            word = comment.split()[0]
            return self._broken(
                place, f"{shown(event.value)} is cut short by the comment #{word}; put the text in quotes"
            )
        return Text(place, event.value, plain, comment is not None)

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
            if parts and isinstance(key, Text) and _AMOUNT_TAIL.fullmatch(key.value):
                parts.append(key)
                self._skip(value_event)
                continue
            self._split_in(entries, parts)
            value = self._inner(value_event, key.value if isinstance(key, Text) else "?")
            parts = [value] if isinstance(value, Text) and (_is_head(value) or _is_count_head(value)) else []
            if isinstance(key, Text):
                self._put(entries, key, value)
        self._split_in(entries, parts)
        return Mapping(place, tuple(entries.values()))

    def _key(self, event: Event) -> Text | Broken:
        place = _place(event.start_mark)
        if isinstance(event, ScalarEvent):
            if event.value == "<<" and not event.style:
                return self._broken(place, "merge <<; a policy repeats what it means")
            key = self._node(event)
        else:
            key = self._inner(event, "?")
        return key if isinstance(key, Text | Broken) else self._broken(place, "a key must be text")

    def _put(self, entries: dict[str, tuple[Text, Node]], key: Text, value: Node) -> None:
        if key.value in entries:
            first = entries[key.value][0].place
            self._broken(key.place, f"{shown(key.value)} is given twice, first in line {first.line}")
            return
        entries[key.value] = (key, value)

    def _whole_amounts(self, items: Items) -> Items:
        whole: list[Node] = []
        for item in items.items:
            head = whole[-1] if whole else None
            if (
                isinstance(item, Text)
                and _AMOUNT_TAIL.fullmatch(item.value)
                and isinstance(head, Text)
                and _is_head(head)
            ):
                self._split([head, item])
                whole[-1] = Broken(head.place)
            else:
                whole.append(item)
        return Items(items.place, tuple(whole))

    def _split_in(self, entries: dict[str, tuple[Text, Node]], parts: list[Text]) -> None:
        """The same of the last value of a mapping, which then means nothing by itself."""
        if len(parts) > 1:
            self._split(parts)
            name, (key, _) = entries.popitem()
            entries[name] = key, Broken(parts[0].place)

    def _split(self, parts: list[Text]) -> None:
        """Name an amount that is in more than one part; a whole one is none of ours."""
        if len(parts) > 1:
            whole = ",".join(part.value for part in parts)
            pieces = "two" if len(parts) == 2 else str(len(parts))
            self._broken(parts[0].place, f'the comma splits an amount in {pieces}; put it in quotes: "{whole}"')

    def _skip(self, event: Event) -> None:
        """Read past a value without naming what is wrong with it."""
        faults, self._faults = self._faults, Faults("")
        try:
            self._inner(event, "?")
        finally:
            self._faults = faults

    def _broken(self, place: Place, text: str) -> Broken:
        self._faults.add(place, path_text(self._path), text)
        return Broken(place)


def _is_head(text: Text) -> bool:
    return text.plain and _AMOUNT_HEAD.fullmatch(text.value) is not None


def _is_count_head(text: Text) -> bool:
    """Of a rate's `1,000,000 per minute`: no key begins with three digits, so that it can be told in a mapping alone."""
    return text.plain and _COUNT_HEAD.fullmatch(text.value) is not None


def path_text(steps: Iterable[str]) -> str:
    """`budgets`, `[2]`, `limit` as `budgets[2].limit`."""
    return "".join(step if step.startswith("[") else f".{step}" for step in steps).removeprefix(".")
