"""What a witness is: a tool's own log on this laptop, read for counts, ids and times, and for nothing else.

A witness never reads a prompt or an answer into a value of ours, writes nothing, follows no link, and looks at files of the
account alone that asks. What it yields holds no path, and no text that is not a name or an id by its characters (`word`), so
that a broken or forged log cannot bring text of a conversation into a report. Its counts are disjoint, as `usage.Usage` has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from spendgate.usage import Usage

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)
# A model may have a vendor before a slash; what begins with one is a file of somebody's.
_MODEL: Final = re.compile(r"[A-Za-z0-9@][A-Za-z0-9_.:/@+\[\]-]{0,127}", re.ASCII)
_END_MS: Final = 253_402_214_400_000
"""The last day of the year 9999: what is later has no date in zones ahead of UTC."""


class Seen(Struct, frozen=True):
    """One request that a tool says it made and had an answer to."""

    witness: str
    """The name of what has seen it."""
    tool: str
    """As the ledger calls it."""
    at_ms: int
    """When the answer was written down, epoch milliseconds."""
    session: str | None
    model: str | None
    usage: Usage
    response_id: str | None = None
    """The provider's id of the response (`msg_…`, `resp_…`)."""
    request_id: str | None = None
    """The provider's id of the request (`req_…`)."""
    sub_agent: bool = False
    unfinished: bool = False
    """No line says that the answer came to its end: its output may be a lower bound."""
    kind: str = "log"
    """What it was read from: `log`, `database`, `telemetry`."""


class Told(Struct):
    """What was read, and what could not be: a witness that heard only half says so."""

    files: int = 0
    lines: int = 0
    """Lines that hold counts."""
    unreadable: int = 0
    """Lines, files or rows that claim to hold counts and cannot be read as such …"""
    too_long: int = 0
    """… that are longer than is looked at …"""
    cut_off: int = 0
    """… and last lines that are still being written."""
    links: int = 0
    """Links, which are not followed."""
    foreign: int = 0
    """Files and folders of another account, which are not read."""
    closed: int = 0
    """Files and folders that the system would not open, or that lie too deep or are too many."""
    encoded: int = 0
    """Files that are compressed, or in UTF-16."""

    @property
    def whole(self) -> bool:
        """Whether all was read that was found."""
        unread = (self.unreadable, self.too_long, self.cut_off, self.links, self.foreign, self.closed, self.encoded)
        return not any(unread)


class Witness(Protocol):
    """One tool's log."""

    @property
    def name(self) -> str:
        """Its word on the command line and in reports."""
        ...

    @property
    def tool(self) -> str:
        """As the ledger calls the tool."""
        ...

    @property
    def title(self) -> str:
        """What it reads, in one line, with `~` for the home."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where the tool asks unless it is told otherwise."""
        ...

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """The folders or files that it may be in; they need not exist."""
        ...

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each request once, however often it stands there, from `since_ms` on. Never raises for what is in a file."""
        ...


def word(value: str | None) -> str | None:
    """A text that is an id by its characters; else None."""
    return value if value is not None and _ID.fullmatch(value) else None


def model_name(value: str | None) -> str | None:
    """A text that is a model's name by its characters; else None."""
    return value if value is not None and _MODEL.fullmatch(value) else None


def instant_ms(text: str | None) -> int | None:
    """RFC 3339 in epoch milliseconds; without a zone it is UTC, as these logs mean it. None where it is no time."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return sane_ms(round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000))


def sane_ms(ms: int | None) -> int | None:
    """A time of these millennia; else None."""
    return ms if ms is not None and 0 <= ms < _END_MS else None


def whole(*counts: int | None) -> bool:
    """Whether each is a count of tokens or not there: what a forged or broken file has beyond that is not taken."""
    return all(count is None or 0 <= count < 1 << 53 for count in counts)
