"""Reads a few top-level fields of a long JSON document from its two ends, without parsing its middle, in short steps.

A request of a coding tool is one long array (`messages`, `input`) between short members, and so is a long answer. Four facts
make its ends enough:

1. Inside a JSON string every quote is escaped, so an unescaped `"model":` is a key, at some depth. A key that is spelled with
   escapes (`"mod\\u0065l"`) is searched for too: no encoder writes that, a client that hides a key would.
2. A key is one of the document's own exactly if what stands before it, with `}` in place of its comma, is a document,
3. and exactly if `{` with the rest of the document is one.
4. A key that stands deeper closes its object before the document ends, mostly within a few hundred bytes.

So each place where a wanted key stands is shown to be nested (fact 4), or, in the first half, is where the first members are
read to (fact 2), or, in the second, is where the last members are read from (fact 3). No member is missed: the last of
duplicates wins, as in most parsers; of a `model` that may stand twice the others are told, too (`repeated`). What this cannot
settle in a bounded number of tries is walked through from its start (`jsonwalk`), in short steps too.

Measured on 1 MB (Python 3.13, two shared cores; least of nine): 2.5-3.0 ms in all for source code as chat messages and for text
full of escaped quotes, 1.2 ms for plain text, of which the search for quotes is nearly all, in steps of 0.2-0.4 ms; the fastest
parse blocks for 1-3 ms (`shapes`). Under 64 KB a parse is as fast.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from functools import cached_property
from itertools import islice
from typing import Final

from msgspec import Struct

from spendgate.errors import WireError
from spendgate.providers.jsondepth import at_level, members_end, nested
from spendgate.providers.jsonspace import REACH_BYTES, is_far
from spendgate.providers.jsonwalk import text_end, wanted_members
from spendgate.providers.repeated import all_but_last, names_at
from spendgate.providers.shapes import Fields, Shape

WHOLE_BYTES_MAX: Final = 64 * 1024
_STEP_BYTES: Final = 128 * 1024
_MEMBERS_BYTES: Final = 8 * 1024
_NESTED_A_STEP: Final = 8
_HITS_MAX: Final = 512
_TRIES_MAX: Final = 16
_TRY_BYTES_MAX: Final = 1024 * 1024
"""A try that takes more would hold everybody else up: 2-5 ms for so much, a quarter of a second in the middle of 64 MB."""

_TEXT_MEMBER: Final = re.compile(rb'"[^"]*+"\s*+:\s*+"')
_CLOSES: Final = re.compile(rb"\}[ \t\n\r]*\Z")
_END_BYTES: Final = 4 * 1024
# A letter, digit or underscore: all that keys and marks are made of.
_ESCAPED_LETTER: Final = rb"\\u00(?:3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9Aa])"
_ESCAPED_STRING: Final = rb"(\w{0,31}" + _ESCAPED_LETTER + rb")"
# The quote that opens a string never follows a backslash, and the one that closes it is followed by none of what is sought.
# Looked at behind the quote, since a search for a pattern that begins with one byte goes five times as fast.
_OPENING: Final = rb'"(?<!\\")'

NO_MARKS: Final = rb"(?!)"

MODEL: Final = "model"
_QUOTED_MODEL: Final = b'"model"'
ESCAPED: Final = b"escaped"
"""The mark of a string that may be one with a letter spelled `\\u00xx`, or one that space hides
(`jsonspace`): no encoder does that, a client that hides one would."""


class Scan(Struct, frozen=True):
    """What a scan found: top-level fields, and the marks that stand anywhere in the document outside its strings.

    `ESCAPED` is among the marks where one may be hidden by its spelling.
    """

    fields: Fields
    marks: frozenset[bytes] = frozenset()
    also: tuple[str, ...] = ()
    """Of a `model` that stands twice, those before the last."""


Steps = Generator[None, None, Scan]
"""Work in steps: the loop may run between two of them. Returns the scan."""


def at_once[T](steps: Generator[None, None, T]) -> T:
    """What work in steps gives, all of them taken without a pause. Raises what a step raises."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


class Scanner:
    """Looks for `keys`, which must be top-level fields of `shape`, in long documents.

    `marks` is a pattern for what follows an unescaped quote; the group of it that fits is what `Scan.marks` collects. Patterns
    are compiled when a document first needs them (5-30 ms, once in a process): all of them at the start of every command,
    most of which read no document, were most of what a start took.
    """

    def __init__(self, shape: Shape, keys: Iterable[str], marks: bytes = NO_MARKS) -> None:
        self._shape = shape
        self._keys = frozenset(keys)
        self._marks = marks + b"|" + _ESCAPED_STRING

    @cached_property
    def _hit(self) -> re.Pattern[bytes]:
        names = b"|".join(spellings(key) for key in sorted(self._keys))
        return re.compile(_OPENING + rb"(?:(?:" + names + rb')"\s*:|' + self._marks + rb")")

    @cached_property
    def _mark(self) -> re.Pattern[bytes]:
        return re.compile(_OPENING + rb"(?:" + self._marks + rb")")

    @property
    def keys(self) -> frozenset[str]:
        """What it looks for."""
        return self._keys

    def read(self, body: bytes) -> Scan:
        """All steps at once. Raises WireError where the body is not a JSON object as far as it was looked at."""
        return at_once(self.steps(body))

    def steps(self, body: bytes) -> Steps:
        """Read in steps of well under a millisecond each. Raises WireError as `read` does."""
        if len(body) < WHOLE_BYTES_MAX:
            return (yield from self._whole(body))
        marks: set[bytes] = set()
        hits = yield from self._undecided(body, marks)
        half = len(body) // 2
        if hits is None or len(hits) > _TRIES_MAX or _parsed(hits, half, len(body)) > _TRY_BYTES_MAX:
            return (yield from self._walked(body, marks))
        first: Fields | None = {}
        for hit in reversed([hit for hit in hits if hit < half]):
            first, all_there = yield from self._before(body, hit)
            yield
            if first is not None and not all_there:
                return (yield from self._walked(body, marks))
            if first is not None:
                break
        last: Fields | None = {}
        for hit in [hit for hit in hits if hit >= half]:
            last = self._shape.read_or_none(b"{" + body[hit:])
            yield
            if last is not None:
                break
        twice = MODEL in self._keys and sum(_MODEL.match(body, hit) is not None for hit in hits) > 1
        also = (yield from _others(body)) if twice else ()
        return Scan(_overlaid(first or {}, last or {}), frozenset(marks), also)

    def read_ends(self, head: bytes, tail: bytes, opening: bytes = b"{") -> Fields:
        """The fields that stand in the first or last bytes of a document whose middle was not kept.

        `head` starts the document, `tail` ends it; a member that is in neither is missed (its field is absent). `opening`
        is what must stand before the members in `tail` to make a document: `{"response":{` for those of a nested object.
        """
        end = members_end(head, len(head))
        first = self._shape.read_or_none(head[:end] + b"}") if end else None
        hits = {hit.start() for hit in self._hit.finditer(tail) if _may_be_key(hit)}
        for at in at_level(tail, hits, opening.count(b"{"))[:_TRIES_MAX]:
            last = self._shape.read_or_none(opening + tail[at:])
            if last is not None:
                return _overlaid(first or {}, last)
        return first or {}

    def _whole(self, body: bytes) -> Steps:
        fields = self._shape.read(body)
        marks = frozenset(map(_mark, self._mark.finditer(body)))
        twice = MODEL in self._keys and (ESCAPED in marks or body.count(_QUOTED_MODEL) > 1) and _may_be_twice(body)
        return Scan(fields, marks, (yield from _others(body)) if twice else ())

    def _walked(self, body: bytes, marks: set[bytes]) -> Steps:
        """As its wanted members alone say."""
        members = yield from wanted_members(body, self._keys)
        fields = self._shape.read(members)
        return Scan(fields, frozenset(marks), (yield from _others(members)) if MODEL in self._keys else ())

    def _undecided(self, body: bytes, marks: set[bytes]) -> Generator[None, None, list[int] | None]:
        """Where wanted keys stand that are not seen to be nested; None for more than can be looked at. Adds to `marks`."""
        hits: list[int] = []
        seen = 0
        for start in range(0, len(body), _STEP_BYTES):
            stop = start + _STEP_BYTES
            for hit in self._hit.finditer(body, start, stop + REACH_BYTES):
                if hit.start() >= stop:
                    break
                if hit.lastindex or b"\\" in hit[0]:
                    marks.add(_mark(hit))
                if _may_be_key(hit) and len(hits) <= _HITS_MAX:
                    hits.append(hit.start())
                seen += 1
                if seen % _HITS_MAX == 0:
                    yield
            if is_far(body, stop):
                marks.add(ESCAPED)
                return None
            yield
        if len(hits) > _HITS_MAX or body[:64].lstrip()[:1] != b"{":
            return None
        if not _CLOSES.search(body, max(0, len(body) - _END_BYTES)):
            raise WireError("not a JSON object")
        undecided = []
        for count, at in enumerate(hits):
            if not nested(body, at):
                undecided.append(at)
            if count % _NESTED_A_STEP == _NESTED_A_STEP - 1:
                yield
        return undecided

    def _before(self, body: bytes, key: int) -> Generator[None, None, tuple[Fields | None, bool]]:
        """The members up to `key`, its own and short ones after it; None if that is no key of the document's own.

        Whether its own is among them: of a long one that is no text (the tools of an agent) the end was not looked for.
        """
        end = key + members_end(b"{" + body[key : key + _MEMBERS_BYTES], _MEMBERS_BYTES) - 1
        text = _TEXT_MEMBER.match(body, key, key + REACH_BYTES) if end <= key else None
        if text is not None:
            close = yield from text_end(body, text.end(), _TRY_BYTES_MAX)
            end = end if close is None else close + 1
        head = body[:end] if end > key else body[:key].rstrip().rstrip(b",")
        return self._shape.read_or_none(head + b"}"), end > key


def _parsed(hits: list[int], half: int, size: int) -> int:
    """The most bytes that one try takes: up to the last key of the first half, or from the first of the second."""
    return max([hit for hit in hits if hit < half] + [size - hit for hit in hits if hit >= half], default=0)


def spellings(key: str) -> bytes:
    """A pattern for a key whose letters, after the first, may be escaped."""
    first, *others = (re.escape(letter.encode()) for letter in key)
    return first + b"".join(b"(?:" + letter + b"|" + _ESCAPED_LETTER + b")" for letter in others)


_MODEL: Final = re.compile(_OPENING + rb"(?:" + spellings(MODEL) + rb'"\s*:|' + _ESCAPED_STRING + rb")")


def _may_be_twice(body: bytes) -> bool:
    """Whether more than one `model` in this short document is not seen to be nested."""
    hits = [hit.start() for hit in islice(_MODEL.finditer(body), _TRIES_MAX + 1)]
    return len(hits) > _TRIES_MAX or sum(not nested(body, hit) for hit in hits) > 1


def _others(body: bytes) -> Generator[None, None, tuple[str, ...]]:
    names = yield from names_at(body, MODEL)
    return all_but_last(names)


def _mark(hit: re.Match[bytes]) -> bytes:
    said = hit[hit.lastindex or 0]
    return ESCAPED if b"\\" in said else said


def _may_be_key(hit: re.Match[bytes]) -> bool:
    """Whether a hit is a wanted key, or a string that may be one with its first letter escaped."""
    return not hit.lastindex or hit[hit.lastindex].startswith(b"\\")


def _overlaid(first: Fields, later: Fields) -> Fields:
    return first | later
