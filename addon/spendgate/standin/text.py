"""The text of an answer: the script's own, or filler of any size that is never in memory as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator

from spendgate.standin.script import Script

BLOCK = "0123456789abcdef" * 4096
"""64 KiB of filler: what one piece of a large answer holds. Needs no escaping in JSON."""
MARK = "@@the text goes here@@"
"""Stands for the text while the JSON around it is built."""


def deltas(script: Script) -> Iterator[str]:
    """The text cut into `script.events` deltas of about one length; filler in blocks."""
    if script.size:
        yield from filler(script.size)
        return
    text, events = script.text, max(1, script.events)
    if script.token_bytes:
        text = "".join(filler(script.output * script.token_bytes))
    for index in range(events):
        yield text[len(text) * index // events : len(text) * (index + 1) // events] or "."


def filled(body: dict[str, object], script: Script) -> Iterator[bytes]:
    """The body as JSON with the script's text in place of the mark, in pieces."""
    before, _, after = json.dumps(body).partition(MARK)
    yield before.encode()
    if script.size:
        yield from (block.encode() for block in filler(script.size))
    else:
        yield json.dumps(script.text)[1:-1].encode()
    yield after.encode()


def filler(size: int) -> Iterator[str]:
    """`size` bytes of filler in blocks."""
    for _ in range(size // len(BLOCK)):
        yield BLOCK
    yield BLOCK[: size % len(BLOCK)]
