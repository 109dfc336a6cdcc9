"""The JSON Schema of a policy file, for editors that complete keys and mark faults: made by the readers themselves.

A reader asks a `Section` for each key that it knows, in the way that says what may stand there. Here it asks one that holds
nothing and notes every question; so the schema has the keys that the gate reads, no more and no fewer. What only reading can
tell (a team that nobody declares, a window longer than a year) it leaves to `policy check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self

from spendgate.config import forms
from spendgate.config.faults import Faults, NotAmong, Place
from spendgate.config.forms import Schema
from spendgate.config.nodes import Mapping, Node, Text
from spendgate.config.sections import Section

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
"""YAML's own reading of what Spendgate reads as text: `version: 1` is a number to an editor."""
_NAME: Final = "name"
_ASKED: Final = "\N{REPLACEMENT CHARACTER}"
"""No word of any list."""
_HERE: Final = Place(1, 1)


class Recorder(Section):
    """A mapping that holds nothing and notes what it is asked for."""

    def __init__(self, *, there: bool) -> None:
        super().__init__(Mapping(_HERE, ()), "", Faults(""))
        self._there = there
        self.properties: dict[str, Schema] = {}
        self.required: set[str] = set()
        self.each: Schema | None = None
        """What stands under names of the file's own."""

    def _note(self, key: str, schema: Schema, *, required: bool = False) -> None:
        known = self.properties.get(key)
        self.properties[key] = schema if known is None else _either(known, schema)
        if required:
            self.required.add(key)

    def _inner(self) -> Self:
        return type(self)(there=self._there)

    def fault(self, key: str, text: str) -> None:
        """Nothing is wrong with what is not there."""

    def has(self, key: str) -> bool:
        return self._there

    @property
    def empty(self) -> bool:
        return False

    def node(self, key: str) -> Node | None:
        return None

    def scalar(self, key: str, *, required: bool = False, lines: bool = False) -> Text | None:
        self._note(key, _SCALAR, required=required)
        return None

    def parsed[T](self, key: str, parse: Callable[[str], T], *, required: bool = False) -> T | None:
        self._note(key, _parsed(parse), required=required)
        return None

    def parsed_list[T](self, key: str, parse: Callable[[str], T]) -> tuple[tuple[Place, T], ...] | None:
        one = _parsed(parse)
        self._note(key, {"oneOf": [one, {"type": "array", "items": one, "minItems": 1}]})
        return None

    def section(self, key: str, *, form: str = "") -> Section | None:
        inner = self._inner()
        self._note(key, _Later(inner))
        return inner

    def sections(self, key: str) -> Iterator[Section]:
        inner = self._inner()
        self._note(key, _Later(inner, listed=True))
        yield inner

    def entries(self) -> Iterator[tuple[Text, Section]]:
        inner = self._inner()
        self.each = _Later(inner)
        yield Text(_HERE, _NAME), inner

    def done(self, later: Iterable[str] = (), *, hint: str = "") -> None:
        """Keys of a later version are no keys of this one."""

    def schema(self) -> Schema:
        """What was asked for, as a schema of an object."""
        made: Schema = {"type": "object"}
        if self.properties or self.each is None:
            made["properties"] = {key: _made(schema) for key, schema in sorted(self.properties.items())}
        made["additionalProperties"] = _made(self.each) if self.each is not None else False
        if self.required:
            made["required"] = sorted(self.required)
        return made


class _Later(dict[str, Any]):
    """A schema that is known only when the reader has asked for all of it."""

    def __init__(self, inner: Recorder, *, listed: bool = False) -> None:
        super().__init__()
        self.inner, self.listed = inner, listed


def _made(schema: Schema) -> Schema:
    if isinstance(schema, _Later):
        inner = schema.inner.schema()
        return {"type": "array", "items": inner, "minItems": 1} if schema.listed else inner
    if "anyOf" in schema:
        return {"anyOf": [_made(each) for each in schema["anyOf"]]}
    return schema


def _either(one: Schema, other: Schema) -> Schema:
    if one == other and not isinstance(one, _Later):
        return one
    return {"anyOf": [*one.get("anyOf", [one]), other]}


def _parsed(parse: Callable[[str], object]) -> Schema:
    """What a parser takes: the words it names when it is asked for none of them, else text."""
    form = forms.form_of(parse)
    if form is not None:
        return form
    known = _words(parse)
    if not known or _NAME in known:
        return _SCALAR
    chosen: Schema = {"enum": sorted({*known, *(_plain(word) for word in known)}, key=str)}
    if _takes(parse, "*") or _takes(parse, known[0].swapcase()):
        return {"anyOf": [chosen, _SCALAR]}  # completed by the words, and free for globs and other spellings of them
    return chosen


def _words(parse: Callable[[str], object]) -> tuple[str, ...]:
    """The words that a parser names when it is asked for none of them."""
    try:
        parse(_ASKED)
    except NotAmong as fault:
        return fault.words
    except ValueError:
        pass  # it takes text of some form
    return ()


def _takes(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _plain(word: str) -> str | bool:
    """`true` is a truth to an editor."""
    return {"true": True, "false": False}.get(word, word)


def schema_of(read: Callable[[Section], object]) -> Schema:
    """The schema of all that `read` asks for, whether a key is there or not."""
    found: list[Schema] = []
    for there in (True, False):
        recorder = Recorder(there=there)
        read(recorder)
        found.append(recorder.schema())
    return merged(found[0], found[1])


def merged(one: Schema, other: Schema) -> Schema:
    """Both schemas' keys: what either asks for may stand there."""
    if one == other:
        return one
    if one.get("type") == other.get("type") == "object":
        keys = {**other.get("properties", {}), **one.get("properties", {})}
        made: Schema = {"type": "object"}
        made["properties"] = {
            key: merged(one.get("properties", {}).get(key, value), other.get("properties", {}).get(key, value))
            for key, value in sorted(keys.items())
        }
        extra = [each["additionalProperties"] for each in (one, other)]
        made["additionalProperties"] = next((each for each in extra if each is not False), False)
        required = set(one.get("required", ())) & set(other.get("required", ()))
        if required:
            made["required"] = sorted(required)
        return made
    if one.get("type") == other.get("type") == "array":
        return {**one, "items": merged(one["items"], other["items"])}
    return {"anyOf": [one, other]}
