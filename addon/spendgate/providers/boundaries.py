"""Where a frame of the gate's own may follow in a response that passes, and how it stands there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

_BLANKS: Final = (b"\n\n", b"\n\r\n", b"\r\r")


class Boundaries(ABC):
    """The places between the frames of one body. Never raises."""

    @abstractmethod
    def passed(self, data: bytes) -> None:
        """These bytes went to the client."""

    @abstractmethod
    def whole(self, data: bytes) -> int | None:
        """How many of `data` complete the last whole frame, 0 where one has just ended; None where none ends in it."""

    def ending(self, frame: bytes) -> bytes:
        """What ends the body at the place that was reached, made of the dialect's own frame; empty: nothing can, break it off."""
        return frame


class BlankLines(Boundaries):
    """Server-sent events, each of which ends with a blank line."""

    def __init__(self) -> None:
        self._tail = b"\n\n"

    def passed(self, data: bytes) -> None:
        """Keeps the last three bytes: no blank line is longer."""
        self._tail = data[-3:] if len(data) > 2 else (self._tail + data)[-3:]

    def whole(self, data: bytes) -> int | None:
        """Whatever the lines end with, and wherever the bytes are cut."""
        text = self._tail + data
        end = max(text.rfind(blank) + len(blank) if blank in text else -1 for blank in _BLANKS)
        whole = end - len(self._tail)
        return whole if whole >= 0 else None
