"""What a source is: a format that a person downloads, or an API that is asked page by page. Neither does any I/O of its own.

A source is chosen by the content of a file, never by its name. An API source is a generator: it yields what is to be asked and is
sent the answer, so that one driver (`reconcile/fetching`) does the waiting, retrying, resuming and hiding of secrets for all, and
tests need no network. Whatever is wrong is a StatementError that names the place; nothing of a faulty statement is taken.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

from msgspec import Struct

from spendgate.statement import Statement


class Span(Struct, frozen=True):
    """From `from_ms` on and before `until_ms`, both at 00:00 UTC of a day; epoch milliseconds."""

    from_ms: int
    until_ms: int
    account: str = ""
    """Whose, where the API has to be told: the name of an organization, in the source's words."""


class Request(Struct, frozen=True):
    """What is to be asked of the source's host. Never holds a credential: the driver adds it (`ApiSource.headers`)."""

    path: str
    """With its query, in a fixed order: a run that is resumed asks by the same words."""
    method: str = "GET"
    body: bytes = b""


class Page(Struct, frozen=True):
    """An answer with status 200. Every other status is the driver's."""

    number: int
    """From 1, in the order of asking: how faults name it."""
    body: bytes


Asking = Generator[Request, Page, Statement]


class FileSource(Protocol):
    """A file that a person downloads."""

    @property
    def name(self) -> str:
        """Its word on the command line and in reports: `anthropic-cost-csv`."""
        ...

    @property
    def title(self) -> str:
        """What it is and where a person gets it, in one line."""
        ...

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so (its first 64 KB) claims to be of this format. Never raises."""
        ...

    def read(self, data: bytes, origin: str) -> Statement:
        """All of it. Raises StatementError with every fault."""
        ...


class ApiSource(Protocol):
    """An API that gives a span's usage or cost."""

    @property
    def name(self) -> str:
        """Its word on the command line and in reports: `anthropic`."""
        ...

    @property
    def title(self) -> str:
        """What it is, and what credential it wants, in one line."""
        ...

    @property
    def host(self) -> str:
        """The only host that is asked."""
        ...

    @property
    def variable(self) -> str:
        """The environment variable that holds the credential, also its name in the OS keyring."""
        ...

    @property
    def gap_ms(self) -> int:
        """Milliseconds between two requests that the provider's limits ask for."""
        ...

    def headers(self, credential: str) -> dict[str, str]:
        """The headers that carry the credential, and whatever else each request must have."""
        ...

    def ask(self, span: Span) -> Asking:
        """Ask for the span, page by page. Raises StatementError out of the generator where a page cannot be read."""
        ...
