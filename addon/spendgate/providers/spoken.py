"""What a dialect answers whose requests stay open while they are answered: a dialect as one request speaks it, and its parts.

A stream that both sides write to cannot be read whole before it is decided. So such a request is decided on its beginning, and
the rest is counted as it passes; where a client cannot hold a stream open both ways, several requests make up one call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Protocol

from spendgate.providers.interface import Dialect, Head


class Weight(StrEnum):
    """What one request is among those that make up a call together."""

    CALL = "call"
    """The one that is held and charged."""
    LEADS = "leads"
    """It costs nothing by itself, but starts one that does: turned away where that one could only be refused."""
    NOTHING = "nothing"


class Spoken(Dialect, Protocol):
    """A dialect as one request speaks it: its answers depend on the request's head. Lives as long as its exchange."""

    streamed: bool
    """The request may stay open while it is answered: it is decided on its beginning, and never kept whole."""
    first_bytes_max: int
    """So much of it is waited for at most."""
    weight: Weight
    """Known after `asking`."""

    def begun(self, body: bytes | bytearray) -> bool:
        """Whether these first bytes are all that `ask` wants."""
        ...

    def ready(self, body: bytes) -> bool:
        """Whether `ask` can tell all. False: a request that comes beside this one tells the rest, and is to be waited for."""
        ...

    def upload(self, data: bytes) -> None:
        """The next bytes of a streamed request, from the first one on, as they pass. Never raises."""
        ...


class OpenDialect(ABC):
    """A dialect whose requests may stay open while they are answered (Connect). It is a Dialect as well."""

    @abstractmethod
    def spoken(self, head: Head) -> Spoken:
        """The dialect as this request speaks it."""
