"""What Cursor's answers used. A turn's counts come once, at its end, in builds since mid-2026; without them it is an estimate.

`token_delta` counts the screen up and is no bill: it corrects the hold while a turn runs, and is the least that an estimate may
be. Source: facts/wire-formats.md 7.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from spendgate.providers import cursor_fields as at
from spendgate.providers.connect import ConnectReader
from spendgate.providers.interface import Headers, Part, Reading
from spendgate.providers.protobuf import Bytes, count, inside, text_bytes
from spendgate.usage import Usage

NO_COUNTS: Final = "turn ended without counts"
_PARTS_MAX: Final = 64
"""Turns of one stream that are told apart."""
_TOKENS_MAX: Final = 10**7
Sent = Callable[[], int]
"""Bytes of the request that came after it was decided."""


class TextReader(ConnectReader):
    """Reads answers of which only the text can be measured."""

    def __init__(self, headers: Headers, sent: Sent, flags: tuple[str, ...] = ()) -> None:
        super().__init__(headers)
        self.current = replace(self.current, flags=flags)
        self._sent = sent

    def message(self, data: bytes) -> None:
        """Any message: its text."""
        self.output_bytes += text_bytes(data)

    def reading(self) -> Reading:
        """What has been read so far."""
        return replace(super().reading(), input_bytes=self._sent())


class AgentReader(TextReader):
    """Reads the AgentServerMessages of a run."""

    def __init__(self, headers: Headers, sent: Sent, flags: tuple[str, ...] = ()) -> None:
        super().__init__(headers, sent, flags)
        self._turns: tuple[Part, ...] = ()
        self._tokens = 0

    def message(self, data: bytes) -> None:
        """One AgentServerMessage. What is no interaction update carries no generated text. Raises WireError."""
        for update in inside(data, (at.UPDATE,)):
            if isinstance(update, int):
                continue
            for ended in inside(update, (at.TURN_ENDED,)):
                if not isinstance(ended, int):
                    self._ended(ended)
            self._generated(update)

    def _generated(self, update: Bytes) -> None:
        texts = [len(text) for path in at.TEXTS for text in inside(update, path) if not isinstance(text, int)]
        tokens = count(update, at.TOKEN_DELTA) or 0
        if not texts and not tokens:
            return
        self.output_bytes += sum(texts)
        self._tokens = min(self._tokens + tokens, _TOKENS_MAX)
        running = Part(Usage(output_tokens=self._tokens)) if self._tokens else None
        self.current = replace(self.current, parts=(*self._turns, *((running,) if running else ())), final=False)

    def _ended(self, ended: Bytes) -> None:
        usage = turn_usage(ended)
        self._tokens = 0
        if not usage.known:
            self.flag(NO_COUNTS)
            return
        if len(self._turns) < _PARTS_MAX:
            self._turns = (*self._turns, Part(usage))
        else:
            self.flag("more turns than are told apart")
        self.output_bytes = 0
        self.current = replace(self.current, parts=self._turns, final=NO_COUNTS not in self.current.flags)


def turn_usage(ended: Bytes) -> Usage:
    """The disjoint counts of a TurnEndedUpdate; None for what it does not say. Raises WireError."""
    whole, output, reasoning = count(ended, at.INPUT), count(ended, at.OUTPUT), count(ended, at.REASONING)
    reads, writes = count(ended, at.CACHE_READ), count(ended, at.CACHE_WRITE)
    cached = (reads or 0) + (writes or 0)
    # Both caches stand within the input (388,564 of which 346,112 read). A build that counts them beside it would go below zero.
    plain = None if whole is None else whole - cached if whole >= cached else whole
    return Usage(
        input_tokens=plain,
        cache_read_tokens=reads,
        cache_write_tokens=writes,
        output_tokens=output,
        reasoning_tokens=None if output is None or reasoning is None else min(reasoning, output),
    )
