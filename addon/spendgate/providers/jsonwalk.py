"""Walks a long JSON document in short steps and cuts its wanted top-level members out, whatever stands between them.

For documents whose ends do not settle what is in them (`jsonscan`): a parser that is not ours would take them in one go, up to
30 ms for a megabyte of small values, and hold the interpreter meanwhile. Only structure is looked at: strings, brackets, and
the document's own commas; whether numbers and words between them are JSON is not checked, since a provider that finds they
are not answers with an error that costs nothing. Duplicate and escaped keys are kept, in order, for the parser to settle.

Measured (Python 3.13, two shared cores under load, minimum of 15): a megabyte of code with 1,200 nested wanted keys takes
10-20 ms in all, in steps of some tenths of a millisecond; a parse of the wanted members at the end adds 1 ms for each
100 KB of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Final

from spendgate.errors import WireError

WANTED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Wanted members that are longer together are not read: parsing them would hold everybody else up."""
WANTED_ITEMS_MAX: Final = 100_000
"""Nor those of more objects and texts: of the smallest, 4 MB take half a second, and so many a quarter of that."""
_STEP_BYTES: Final = 64 * 1024
_STEP_PARTS: Final = 256
_KEY_BYTES_MAX: Final = 256

_START: Final = re.compile(rb"\s*\{")
_NAME: Final = re.compile(rb'\s*"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*:\s*', re.DOTALL)
_SPACE: Final = re.compile(rb"\s*")
_SIGN: Final = re.compile(rb"[{}\[\],]")
_STRING_REST: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
_BACKSLASH: Final = b"\\"
_COMMA: Final = ord(",")


def wanted_members(body: bytes, keys: frozenset[str]) -> Generator[None, None, bytes]:
    """A document of the top-level members with these keys alone, made in steps. Raises WireError: not an object, or too long."""
    spans = yield from _spans(body, keys)
    found = [body[start:end] for start, end in spans]
    items = sum([each.count(b"{") + each.count(b'",') for each in found])
    if sum(map(len, found)) > WANTED_BYTES_MAX or items > WANTED_ITEMS_MAX:
        raise WireError("not a JSON object")
    return b"{" + b",".join(found) + b"}"


def alone(body: bytes) -> Generator[None, None, None]:
    """Raises WireError where the body is no object, or something follows it."""
    yield from _spans(body, frozenset())


def value_of(body: bytes, key: str) -> Generator[None, None, bytes | None]:
    """The value of the last top-level member with this key, of any length and as it is written; None where there is none. Raises
    WireError: not an object."""
    found = yield from _values(body, frozenset({key}))
    return found[-1] if found else None


def values_at(body: bytes, *path: str | frozenset[str]) -> Generator[None, None, list[bytes]]:
    """The values of all members at this path, as they are written and in order: of each key that stands twice, too. A step of
    it is a key, or any of several. What is no object on the way there has none. Raises WireError: the document is no object."""
    first, *deeper = (frozenset({step}) if isinstance(step, str) else step for step in path)
    found = yield from _values(body, first)
    for keys in deeper:
        within: list[bytes] = []
        for each in found:
            try:
                within += yield from _values(each, keys)
            except WireError:
                continue
        found = within
    return found


def _values(body: bytes, keys: frozenset[str]) -> Generator[None, None, list[bytes]]:
    spans = yield from _spans(body, keys)
    names = [(_NAME.match(body, start, end), start, end) for start, end in spans]
    return [body[name.end() if name else start : end] for name, start, end in names]


def text_end(body: bytes, at: int, stop: int) -> Generator[None, None, int | None]:
    """Where the string ends whose text begins here, at its closing quote; None where that is not within a step of `stop`."""
    while at < min(stop, len(body)):
        end = _step_end(body, at)
        quote = _unescaped(body[at:end]).find(b'"')
        if quote >= 0:
            return at + quote
        at = end
        yield
    return None


def value_end(body: bytes, at: int, size: int, members: int) -> Generator[None, None, int]:
    """Where the object or list ends whose members begin here, behind its bracket. Raises WireError: not within so many bytes or
    members."""
    count = 0
    for end in _ends(body[at : at + size], 0):
        if end is None:
            yield
            continue
        count += 1
        if body[at + end] != _COMMA:
            return at + end + 1
        if count == members:
            break
    raise WireError("not a JSON value of that size")


def _spans(body: bytes, keys: frozenset[str]) -> Generator[None, None, list[tuple[int, int]]]:
    """Where the top-level members with these keys stand, in order."""
    start = _START.match(body)
    if start is None:
        raise WireError("not a JSON object")
    member, closed, found = start.end(), False, []
    for at in _ends(body, start.end()):
        if at is None:
            yield
            continue
        if closed:
            raise WireError("not a JSON object")
        if _key(body, member, at) in keys:
            found.append((member, at))
        member, closed = at + 1, body[at] != _COMMA
    if not closed or _SPACE.fullmatch(body, member) is None:
        raise WireError("not a JSON object")
    return found


def _ends(body: bytes, at: int) -> Iterator[int | None]:
    """Where the document's members end, at a comma or its own bracket, and every bracket behind that; None is a pause."""
    depth, quoted, parts = 1, False, 0
    while at < len(body):
        end = _step_end(body, at)
        for part in _unescaped(body[at:end]).split(b'"'):
            if not quoted and part and (depth < 2 or (brackets := part.translate(None, _NO_BRACKETS))):
                closing = 0 if depth < 2 else brackets.count(b"}") + brackets.count(b"]")
                if depth > 1 and depth - closing > 1:
                    depth += len(brackets) - 2 * closing
                else:
                    depth = yield from _ends_in(part, at, depth)
            quoted = not quoted
            at += len(part) + 1
            parts += 1
            if parts % _STEP_PARTS == 0:
                yield None
        quoted = not quoted  # the last part of a piece goes on in the next one
        at = end
        yield None


def _step_end(body: bytes, at: int) -> int:
    """Where a step that begins here ends: not between a backslash and what it escapes."""
    end = min(at + _STEP_BYTES, len(body))
    return end + (end - at - len(body[at:end].rstrip(_BACKSLASH))) % 2


def _unescaped(piece: bytes) -> bytes:
    """Of the same length, and every quote that is left begins or ends a string."""
    return piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")


def _ends_in(part: bytes, at: int, depth: int) -> Generator[int | None, None, int]:
    """The same in one part without strings; returns the depth behind it."""
    for count, sign in enumerate(_SIGN.finditer(part)):
        if sign[0] != b",":
            depth += 1 if sign[0] in (b"{", b"[") else -1
        if depth < 1 or (depth == 1 and sign[0] == b","):
            yield at + sign.start()
        if count % _STEP_PARTS == _STEP_PARTS - 1:
            yield None
    return depth


def _key(body: bytes, start: int, end: int) -> str | None:
    """The key of the member that stands here; None where none can be one of ours."""
    first = _SPACE.match(body, start, end)
    opening = first.end() if first else start
    if body[opening : opening + 1] != b'"':
        return None
    rest = _STRING_REST.match(body, opening + 1, min(end, opening + _KEY_BYTES_MAX))
    try:
        key = json.loads(body[opening : (rest.end() if rest else opening) + 1])
    except ValueError:
        return None
    return str(key)
