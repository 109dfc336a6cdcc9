"""Protobuf without a schema, against a reader written apart and against garbage."""

from __future__ import annotations

import random

import pytest

from providers.connect_frames import msg
from spendgate.errors import WireError
from spendgate.providers.protobuf import FIELDS_MAX, count, encoded, fields, inside, plain, text_bytes, word


def test_fields_by_number() -> None:
    """Numbers, text and messages at their paths; the last of two counts; what is not there is None."""
    message = msg(f1=msg(f9=msg(f1="old")), f2=300) + msg(f1=msg(f9=msg(f1="composer-2.5")), f536870911=2**40)
    assert word(message, (1, 9, 1)) == "composer-2.5"
    assert inside(message, (1, 9, 1)) == [b"old", b"composer-2.5"]
    assert (count(message, (2,)), count(message, (536870911,))) == (300, None)
    assert (word(message, (7, 7)), count(message, (3,))) == (None, None)
    assert [field.number for field in fields(b"\x09" + b"x" * 8 + b"\x15" + b"y" * 4)] == [1, 2]


@pytest.mark.parametrize("bad", [b"\x0a\x05ab", b"\x00\x01", b"\x0b", b"\xff" * 11, b"\x0a", b"\x09abc", b"\x80"])
def test_what_is_no_message_says_so(bad: bytes) -> None:
    """Cut off, without a field number, a group, an endless number: a WireError; cut off on purpose, what is there."""
    with pytest.raises(WireError):
        list(fields(bad))
    if bad[:1] == b"\x0a" and len(bad) > 2:
        assert [bytes(field.value) for field in fields(bad, whole=False) if not isinstance(field.value, int)] == [b"ab"]


def test_names_alone_are_names() -> None:
    """Prose, keys, tokens and bytes never become a model or a session."""
    assert plain(b"claude-opus-4-8[context=1m,effort=high]") is not None
    for value in (b"write me a poem", b"sk-ant-api03-x", b"eyJhbGciOi", b"", b"\xff\xfe", b"a" * 129, 7):
        assert plain(value) is None


def test_text_without_a_schema() -> None:
    """Text counts wherever it stands, with up to two bytes for each message that looks like text; other bytes do not."""
    message = msg(f1=msg(f1="hello"), f2=[msg(f3=msg(f4="wide\nworld"))], f5=b"\x00\x01\xff", f6=12)
    assert 15 <= text_bytes(message) <= 17
    assert text_bytes(msg(f1=b"\x00\x01\xff", f2=7)) == 0


def test_garbage_is_bounded() -> None:
    """Any bytes end in a value or a WireError; nesting and the number of fields are bounded."""
    dice = random.Random(3)
    for _ in range(2000):
        data = dice.randbytes(dice.randint(0, 200))
        text_bytes(data)
        try:
            inside(data, (1, 2, 3), whole=dice.random() < 0.5)
        except WireError:
            pass
    nested = b"\x00"
    for _ in range(2000):
        nested = msg(f1=nested)
    text_bytes(nested)
    assert len(list(fields(msg(f1=[1] * (FIELDS_MAX + 10))))) == FIELDS_MAX


def test_what_is_written_is_read() -> None:
    """The few messages of our own are protobuf."""
    assert encoded((1, 300), (2, "é"), (3, b"\x00")) == msg(f1=300, f2="é", f3=b"\x00")
