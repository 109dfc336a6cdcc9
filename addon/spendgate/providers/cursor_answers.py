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
from spendgate.providers.interface import Headers
from spendgate.providers.protobuf import Bytes, Look, count, fields, text_bytes
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

NO_COUNTS: Final = "turn ended without counts"
MORE_TURNS: Final = "more turns than are told apart"
_PARTS_MAX: Final = 64
"""Turns of one stream that are told apart; later ones count with the last, in whose price tier their sum then is."""
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
        self._tokens = self._told = 0

    def message(self, data: bytes) -> None:
        """One AgentServerMessage. What is no interaction update carries no generated text. Raises WireError."""
        look = Look()
        for number, _, update in fields(data, look=look):
            if number == at.UPDATE and not isinstance(update, int):
                self._update(update, look)

    def reading(self) -> Reading:
        """What has been read so far."""
        reading = super().reading()
        if not self._tokens:
            return replace(reading, parts=self._turns)
        return replace(reading, parts=(*self._turns, Part(Usage(output_tokens=self._tokens))), final=False)

    def _update(self, update: Bytes, look: Look) -> None:
        # In one pass, since nearly all messages of a run come through here.
        for number, _, value in fields(update, look=look):
            if isinstance(value, int):
                continue
            if (text := at.TEXTS.get(number)) is not None:
                texts = [part for inner, _, part in fields(value, look=look) if inner == text]
                self.output_bytes += sum([len(part) for part in texts if not isinstance(part, int)])
                self._open_turn()
            elif number == at.TOKEN_DELTA:
                self._tokens = min(self._tokens + (count(value, at.TOKENS, look) or 0), _TOKENS_MAX)
                self._open_turn()
            elif number == at.TURN_ENDED:
                self._ended(value, look)
        if self._tokens * 20 > self._told * 21:
            self._told, self._moved = self._tokens, True

    def _open_turn(self) -> None:
        """What was generated behind the last counts is not counted yet."""
        if self.current.final:
            self.current = replace(self.current, final=False)

    def _ended(self, ended: Bytes, look: Look) -> None:
        usage = turn_usage(ended, look)
        if not usage.known:
            self.flag(NO_COUNTS)
            return
        if len(self._turns) < _PARTS_MAX:
            self._turns = (*self._turns, Part(usage))
        else:
            *others, last = self._turns
            self._turns = (*others, replace(last, usage=last.usage + usage))
            self.flag(MORE_TURNS)
        self._tokens = self._told = self.output_bytes = 0
        self._moved = True
        self.current = replace(self.current, final=NO_COUNTS not in self.current.flags)


def turn_usage(ended: Bytes, look: Look | None = None) -> Usage:
    """The disjoint counts of a TurnEndedUpdate; None for what it does not say. Raises WireError."""
    paths = (at.INPUT, at.OUTPUT, at.REASONING, at.CACHE_READ, at.CACHE_WRITE)
    whole, output, reasoning, reads, writes = (count(ended, path, look) for path in paths)
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
