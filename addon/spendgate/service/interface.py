"""What goes over the socket: one question and one answer for each connection, of bounded size and time, each a length and JSON.

    question  4 bytes, big-endian: the length; then {"version": 1, "call": "spend", "args": {…}}
    answer    4 bytes, big-endian: the length; then {"version": 1, "value": …} or {"version": 1, "fault": {"kind", "text"}}

Who asks is not in the question: the kernel says it (`peers`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Raw, Struct

VERSION: Final = 1
LENGTH_BYTES: Final = 4
QUESTION_BYTES_MAX: Final = 64 * 1024
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
QUESTION_S: Final = 5.0
"""From the connection to the last byte of the question."""
ANSWER_S: Final = 120.0
"""From the question to the first byte of the answer."""
TAKEN_S: Final = 30.0
"""How long a client may take to read its answer."""


class Kind(StrEnum):
    """What was wrong: how the client ends."""

    USAGE = "usage"
    STATE = "state"
    BUSY = "busy"
    FAULT = "fault"


class Question(Struct, frozen=True):
    """What is asked."""

    call: str
    args: Raw
    version: int = VERSION


class Fault(Struct, frozen=True):
    """Why there is no value. `text` is one sentence, with the remedy."""

    kind: Kind
    text: str


class Answer(Struct, frozen=True, omit_defaults=True):
    """What is answered: a value, or a fault."""

    value: Raw = Raw(b"null")
    fault: Fault | None = None
    version: int = VERSION


def framed(content: bytes) -> bytes:
    """As it goes over the wire."""
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def fault(kind: Kind, text: str) -> bytes:
    """An answer without a value, unframed."""
    return msgspec.json.encode(Answer(fault=Fault(kind, text)))
