"""Shapes: which few fields of a JSON document are looked at. Everything else is skipped by pydantic-core's parser, in Rust,
without becoming a Python object: that is fast, and no prompt or answer is ever held as text.

A field that is missing or of another type is None, never an error: providers add and change fields, and a meter that breaks
on one counts nothing. Only bytes that are not JSON at all raise; what lenient parsers take and a strict one does not (half of a
pair of surrogates, as it is cut from an emoji) is read a second time, `mended`. Duplicate keys: the last wins, and escaped keys
(`"mod\\u0065l"`) are the key that they spell, as in every provider's parser.

Measured (Python 3.13, 1 MB of source code as chat messages): `json.loads` 3.7-9.7 ms, `pydantic_core.from_json` 3-5 ms, a
shape 2.1-5.0 ms, which is why longer bodies go through `jsonscan`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from pydantic_core import CoreSchema, SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from spendgate.errors import WireError

Fields = dict[str, Any]
"""What a shape found: only the fields that it names, each of the shape's type or None."""

# A count above this is not a count of tokens; it would only overflow a ledger row.
COUNT_MAX: Final = 10**12
TEXT_MAX: Final = 512


def _lenient(inner: CoreSchema) -> CoreSchema:
    return schema.with_default_schema(inner, default=None, on_error="default")


COUNT: Final = _lenient(schema.int_schema(strict=True, ge=0, le=COUNT_MAX))
"""A whole number of zero or more; `1.0`, `true` and `"1"` are not."""
UNREADABLE: Final = -1
FACTOR: Final = schema.nullable_schema(
    schema.with_default_schema(
        schema.union_schema(
            [
                schema.no_info_after_validator_function(lambda _: UNREADABLE, schema.bool_schema(strict=True)),
                schema.int_schema(ge=0, le=COUNT_MAX),
            ],
            mode="left_to_right",
        ),
        default=UNREADABLE,
        on_error="default",
    )
)
"""A whole number as lenient hosts read one (`"100"`, `100.0`); UNREADABLE where something else stands, `true`, too. For what
raises a price: there, something that cannot be read is not nothing.
"""
# Not pydantic's own Decimal, which reads texts, too, and computes for hours at `"1e-999999999"`.
_AMOUNT: Final = schema.no_info_after_validator_function(
    lambda number: Decimal(repr(number)), schema.float_schema(strict=True, ge=0, le=10**15, allow_inf_nan=False)
)
AMOUNT: Final = _lenient(_AMOUNT)
"""A Decimal of zero or more: the shortest spelling of the double nearest to a number. So what has at most 15 digits, or was
printed from a double, is exact; of anything else 17 digits are, a millionth of a nano-dollar in $10,000.
"""
TEXT: Final = _lenient(schema.str_schema(strict=True, max_length=TEXT_MAX))
"""A name, an id: short text."""
WORD: Final = _lenient(
    schema.union_schema(
        [
            schema.str_schema(strict=True, max_length=TEXT_MAX),
            schema.no_info_after_validator_function(str, schema.int_schema(strict=True, ge=1, le=COUNT_MAX)),
        ],
        mode="left_to_right",
    )
)
"""A word of an enumeration, or its number as text, as protobuf's JSON may spell either; zero says nothing."""
LONG_TEXT: Final = _lenient(schema.str_schema(strict=True, max_length=8192))
FLAG: Final = _lenient(schema.bool_schema(strict=True))
UNLESS_FALSE: Final = schema.with_default_schema(schema.bool_schema(strict=True), default=True, on_error="default")
"""False for false, True for anything else but null: a lenient host may take it so."""
PRESENT: Final = schema.with_default_schema(schema.none_schema(), default=True, on_error="default")
"""True for anything but null."""
GIVEN: Final = schema.nullable_schema(PRESENT)
"""The same inside a record, where a missing member is to stay missing."""
MEMBERS: Final = _lenient(schema.dict_schema(schema.str_schema(), GIVEN))
"""An object by the names of its members, each with True for anything but null; where names that nobody knows yet matter."""


NAMED: Final = schema.with_default_schema(
    schema.union_schema(
        [
            schema.none_schema(),
            schema.str_schema(strict=True, max_length=TEXT_MAX),
            schema.no_info_after_validator_function(
                lambda found: found["id"],
                schema.typed_dict_schema(
                    {"id": schema.typed_dict_field(schema.str_schema(strict=True, max_length=TEXT_MAX))}
                ),
            ),
        ],
        mode="left_to_right",
    ),
    default=True,
    on_error="default",
)
"""A name, or the `id` of an object; True for anything else but null."""


def _prompts(found: list[int | None]) -> int:
    return 1 if None not in found else len(found)


PROMPTS: Final = schema.with_default_schema(
    schema.union_schema(
        [
            schema.no_info_after_validator_function(
                _prompts, schema.list_schema(_lenient(schema.int_schema(strict=True)))
            ),
            schema.no_info_after_validator_function(lambda _: 1, schema.str_schema(strict=True)),
        ],
        mode="left_to_right",
    ),
    default=UNREADABLE,
    on_error="default",
)
"""How many prompts: one text or one array of token numbers is one, any other array one for each item. UNREADABLE where
something else stands. A text is built for a moment, and not kept.
"""


def record(**fields: CoreSchema) -> CoreSchema:
    """An object of which `fields` are looked at; None where it is not an object."""
    return _lenient(_required(**fields))


def amount_or(**fields: CoreSchema) -> CoreSchema:
    """An amount, or an object of which `fields` are looked at; None where it is neither."""
    return _lenient(schema.union_schema([_AMOUNT, _required(**fields)], mode="left_to_right"))


def items(inner: CoreSchema) -> CoreSchema:
    """An array; None where it is not one."""
    return _lenient(schema.list_schema(inner))


def _required(**fields: CoreSchema) -> CoreSchema:
    return schema.typed_dict_schema(
        {name: schema.typed_dict_field(inner, required=False) for name, inner in fields.items()}
    )


def cap(found: int | None) -> int | None:
    """What a request's own limit of a length bounds; None where it bounds nothing. Many hosts drop a zero and go on without a
    limit, so a zero is none, as null and what cannot be read are."""
    return found if found and found > 0 else None


_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE: Final = re.compile(rb"\\u[dD](?=[89a-fA-F])")
_SURROGATES_MAX: Final = 180_000
"""More than stand in the longest event that is read whole (1 MB); 15 ms, where it is of nothing else."""
_TRIED_MAX: Final = 20_000
"""The same of a part of a long document, of which several are tried (`jsonscan`)."""


def mended(document: bytes, most: int = _SURROGATES_MAX) -> bytes | None:
    """The document as lenient parsers read it, fit for a strict one; None where that is no other.

    Python's and JavaScript's take a surrogate that stands alone, Go's and those of text that was decoded before what is no UTF-8,
    some a byte order mark. Each escape of a surrogate becomes one of a character without a meaning, so that texts that differ
    still do. One pass over the bytes, in which no more than `most` are replaced.
    """
    text = document.removeprefix(_BYTE_ORDER_MARK)
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "replace").encode()
    text = _SURROGATE.sub(rb"\\uf", text, most)
    return None if text == document else text


class Shape:
    """A JSON object of which the named fields are looked at. Of its own fields, missing ones are left out."""

    __slots__ = ("_validator",)

    def __init__(self, **fields: CoreSchema) -> None:
        # A missing field stays apart from a null: a last duplicate that is null, or of another type, takes the place of
        # the first, also where the two are read apart (`jsonscan`).
        own = {name: schema.nullable_schema(inner) for name, inner in fields.items()}
        self._validator = SchemaValidator(_required(**own))

    def read(self, document: bytes) -> Fields:
        """The fields of one whole document. Raises WireError where it is not a JSON object."""
        found = self.read_or_none(document, _SURROGATES_MAX)
        if found is None:
            raise WireError("not a JSON object")
        return found

    def read_or_none(self, document: bytes, mending: int = _TRIED_MAX) -> Fields | None:
        """The fields, or None where `document` is not a JSON object."""
        found = self._validated(document)
        if found is not None:
            return found
        again = mended(document, mending)
        return None if again is None else self._validated(again)

    def _validated(self, document: bytes) -> Fields | None:
        try:
            found: Fields = self._validator.validate_json(document)
        except ValidationError:
            return None  # its message quotes the input, and content never reaches a log
        return found
