"""Dialects that are spoken in messages of a WebSocket: clients ask for each response, or servers also begin some themselves."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from spendgate.providers.ask import Ask
from spendgate.providers.interface import Dialect, Head, Notice
from spendgate.providers.reading import Reading, Result


class Moved(NamedTuple):
    """What one message of a server says of one response."""

    response_id: str | None
    """None: of an error, or of a host that gives responses no id."""
    reading: Reading | None
    """None: nothing of its counts moved."""
    lane: str | None = None
    """The lane it came in (`Ask.lane`); None: the one without a name."""
    continues: str | None = None
    """The response that it goes on from, where that was looked at."""


class Steered(Struct, frozen=True):
    """What a server says of a message that steers (`Ask.steers`)."""

    target: str
    """The response that was to be steered."""
    steer_id: str | None
    begins: bool
    """Whether a response may begin of it by itself. False: it was not done, or waits for the next `response.create`."""


class SocketReader(Protocol):
    """Reads one WebSocket connection, message by message, both ways. Never raises."""

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message starts a billable response (`response.create`), else None: the return value of steps.

        A message of less than 64 KB takes one step. Let the loop run between two.
        """
        ...

    def from_server(self, message: bytes) -> Moved | Steered | None:
        """What this message says of a response, whose `reading` is `final` at its end, or of one that steers."""
        ...


class SocketDialect(Dialect, Protocol):
    """A dialect that also runs over WebSocket."""

    def socket(self, head: Head) -> SocketReader: ...

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The text message that refuses one `response.create`."""
        ...

    def steer_refused(self, notice: Notice, message: bytes, lane: str | None) -> bytes:
        """The text message that refuses this message, which steers a response of this lane: what runs goes on."""
        ...

    def cut_frame(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The text message that ends a running response."""
        ...


class Heard(Struct, frozen=True):
    """What one message of a server says of responses."""

    results: tuple[Result, ...] = ()
    """What it completes."""
    begun: str | None = None
    """The response that begins."""
    over: str | None = None
    """The response that is over, with its counts in `results` or without."""
    failed: bool = False
    """Something that the client asked for was not done; beside `over`: that."""
    transcribes: bool = False
    """What it says is of what was heard, whose ids are apart from those of turns."""


class Overheard(Protocol):
    """Reads one WebSocket connection of which a server may also begin responses by itself. Never raises."""

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """As `SocketReader.from_client`; one that `announces` where it names models for what comes later."""
        ...

    def passed(self, ask: Ask) -> None:
        """The message of this ask that `announces` goes to the server."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """The models that it is billed by as it stands, as the server said."""
        ...

    def from_server(self, message: bytes) -> Heard:
        """What this message says."""
        ...


@runtime_checkable
class OverheardDialect(Dialect, Protocol):
    """A dialect of such connections: nothing is held for a response that no message began; it is metered when it is done."""

    def overheard(self, head: Head) -> Overheard:
        """A reader of one connection; `head` is its handshake's."""
        ...

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The text message that refuses one `response.create`, or the connection."""
        ...

    def cut_frame(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The text message that ends a running response."""
        ...
