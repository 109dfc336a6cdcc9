"""Protobuf without a schema: the fields of a message by number and wire type. Every step is bounded; nothing is decoded that
nobody asks for.

Libraries read messages of a known schema. Those of Cursor and Windsurf are not published, change with each build, and may not be
copied, so that a few field numbers are all that is known of them (`cursor_fields`). Source of the format: protobuf.dev, encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from spendgate.errors import WireError

FIELDS_MAX: Final = 4_096
"""Fields that are looked at in one message and all within it together, about 3 ms. What follows them is not: a few kilobytes of
a compressed message could hold a million.
"""
_DEPTH_MAX: Final = 8
_COUNT_MAX: Final = 10**12
_VARINT_BYTES_MAX: Final = 10
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+\-\[\]=,]{0,127}")

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
Bytes = bytes | memoryview
"""A message within another is a view of it: nothing is copied on the way down."""
_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_WIRES: Final = frozenset((VARINT, LENGTH, *_FIXED))


class Field(NamedTuple):
    """One field: a whole number (VARINT) or bytes (all else)."""

    number: int
    wire: int
    value: int | memoryview


class Look:
    """How many fields one look at a message may still take."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = FIELDS_MAX


def fields(message: Bytes, *, whole: bool = True, look: Look | None = None) -> Iterator[Field]:
    """The fields in order. Raises WireError where the bytes are no message.

    `whole` False: the message is cut off somewhere; what is there of its last field is given, and nothing raised.
    `look`: the look at the message around this one, which they share.
    """
    look = look or Look()
    view = memoryview(message)
    at, end = 0, len(view)
    while at < end and look.left > 0:
        look.left -= 1
        try:
            tag = view[at]
            at += 1
            if tag >= 0x80:
                tag, at = _varint(view, at - 1)
            number, wire = tag >> 3, tag & 7
            if not number or wire not in _WIRES:
                raise WireError("not a protobuf message")
            value: int | memoryview
            if wire == VARINT:
                value, at = _varint(view, at)
            else:
                size, at = _varint(view, at) if wire == LENGTH else (_FIXED[wire], at)
                value = view[at : at + size]
                at += size
                if at > end and whole:
                    raise WireError("a protobuf field that is cut off")
        except IndexError:
            if whole:
                raise WireError("a protobuf field that is cut off") from None
            return
        yield Field(number, wire, value)


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number and where it ends. Raises IndexError at the end of the bytes, WireError for one that has no end."""
    byte = message[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for more in range(1, _VARINT_BYTES_MAX):
        byte = message[at + more]
        value |= (byte & 0x7F) << 7 * more
        if byte < 0x80:
            return value, at + more + 1
    raise WireError("a protobuf number without end")


def inside(
    message: Bytes, path: tuple[int, ...], *, whole: bool = True, look: Look | None = None
) -> list[int | memoryview]:
    """The values at a path of field numbers, in order of the wire; of a message that stands twice, both. Raises WireError."""
    first, *rest = path
    look = look or Look()
    found = [field.value for field in fields(message, whole=whole, look=look) if field.number == first]
    if not rest:
        return found
    deeper = [inside(each, tuple(rest), whole=whole, look=look) for each in found if isinstance(each, memoryview)]
    return [value for values in deeper for value in values]


def word(message: Bytes, path: tuple[int, ...], *, whole: bool = True) -> str | None:
    """A name or an id at a path, the last where it stands twice; None: nothing there that looks like one. Raises WireError."""
    found = inside(message, path, whole=whole)
    return plain(found[-1]) if found else None


def plain(value: int | Bytes) -> str | None:
    """A name or an id, fit for the ledger; anything else could be content or a secret."""
    if isinstance(value, int) or len(value) > 128:
        return None
    text = bytes(value).decode("ascii", "replace")
    return text if _WORD.fullmatch(text) and not text.startswith(("sk-", "eyJ")) else None


def count(message: Bytes, path: tuple[int, ...], look: Look | None = None) -> int | None:
    """A count at a path; None where there is none, or one too large (negative ones are). Raises WireError."""
    found = inside(message, path, look=look)
    value = found[-1] if found else None
    return value if isinstance(value, int) and value <= _COUNT_MAX else None


def text_bytes(message: Bytes, depth: int = _DEPTH_MAX, look: Look | None = None) -> int:
    """Bytes of all text in a message whose schema is not known. Bytes that are neither text nor a message count nothing; a short
    message may look like text, and counts with its own heads."""
    look = look or Look()
    total = 0
    try:
        for field in fields(message, look=look):
            if field.wire != LENGTH or isinstance(field.value, int):
                continue
            if not _CONTROL.search(field.value):
                total += len(field.value)
            elif depth:
                total += text_bytes(field.value, depth - 1, look)
    except WireError:
        return total
    return total


def encoded(*values: tuple[int, int | str | bytes]) -> bytes:
    """A message of these fields, in this order: whole numbers as VARINT, all else as LENGTH."""
    parts: list[bytes] = []
    for number, value in values:
        if isinstance(value, int):
            parts += (_number(number << 3 | VARINT), _number(value))
        else:
            content = value.encode() if isinstance(value, str) else value
            parts += (_number(number << 3 | LENGTH), _number(len(content)), content)
    return b"".join(parts)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
