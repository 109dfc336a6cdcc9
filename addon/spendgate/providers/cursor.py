"""The dialect `cursor`: agent runs, chat, inline edits and tab completion, as Connect streams and their HTTP/1.1 forms.

A run is decided on its first message, while its request is open, and both sides talk at once from then on. One stream may hold
several turns: the later ones draw on the same call, whose hold grows with the counts. The format is not published: what does
not fit is flagged and estimated. Source: facts/wire-formats.md 7; field numbers: `cursor_fields`; runs without a stream that is
open both ways: `cursor_runs`.
"""

from __future__ import annotations

import binascii
from typing import Final

from msgspec.structs import replace

from spendgate.attribution import Evidence
from spendgate.errors import WireError
from spendgate.providers import cursor_fields as at
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.client import sender
from spendgate.providers.connect_calls import ConnectCall, ConnectDialect
from spendgate.providers.cursor_answers import AgentReader, TextReader
from spendgate.providers.cursor_asked import NO_MODEL, Asked, asked, begins
from spendgate.providers.cursor_fields import RPCS, Rpc, Says
from spendgate.providers.cursor_runs import Run, Runs
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.protobuf import encoded, inside, word
from spendgate.providers.readers import FreeReader
from spendgate.providers.spoken import Spoken, Weight

_RPCS: Final = {path.lower(): rpc for path, rpc in RPCS.items()}
_NO_RPC: Final = Rpc()
_CLI: Final = "cursor-agent"
_TITLE: Final = "Spendgate"


class Cursor(ConnectDialect):
    """Cursor's dialect. Its one state is which runs go with which ids."""

    name = "cursor"

    def __init__(self) -> None:
        self._runs = Runs()

    def spoken(self, head: Head) -> Spoken:
        """The dialect as this request speaks it."""
        return CursorCall(head, _RPCS.get(head.path.lower().rstrip("/"), _NO_RPC), self._runs)


class CursorCall(ConnectCall):
    """One of Cursor's calls."""

    name = "cursor"

    def __init__(self, head: Head, rpc: Rpc, runs: Runs) -> None:
        super().__init__(head, streams=rpc.streamed, details=_details)
        self._rpc = rpc
        self._runs = runs
        self._run: Run | None = None
        self._flags: tuple[str, ...] = ()

    def ready(self, body: bytes) -> bool:
        """Whether the run's own append has said what is asked."""
        if self._rpc.says is not Says.ID:
            return True
        run = self._named(body)
        return run is None or run.begun

    def ask(self, head: Head, body: bytes) -> Ask:
        """What is asked; of a piece of another call, its weight. Raises WireError."""
        if self._rpc.says is Says.APPEND:
            return self._appended(head, body)
        if self._rpc.says is Says.ID:
            self._run = self._named(body)
            found = self._run.taken(self._rpc.layout) if self._run else None
        else:
            message, whole = self.message(body)
            found = asked(message, self._rpc.layout, whole=whole)
        return self._ask(head, found or Asked(text_bytes=len(body), flags=(NO_MODEL,)))

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader of the response."""
        if status >= 300:
            return FreeReader(headers)
        reader = AgentReader if self._rpc.agent else TextReader
        return reader(headers, self._sent_later, self._flags)

    def _sent_later(self) -> int:
        return self.input_bytes + (self._run.later_bytes if self._run else 0)

    def _named(self, body: bytes) -> Run | None:
        try:
            name = word(self.message(body)[0], self._rpc.id_path)
        except WireError:
            return None
        return self._runs.of(name) if name else None

    def _appended(self, head: Head, body: bytes) -> Ask:
        name = word(body, at.APPEND_ID)
        message = _appended(body)
        run = self._runs.of(name) if name else Run()
        self.weight = Weight.NOTHING
        if message is not None and begins(message, at.AGENT):
            self.weight = Weight.LEADS
            run.begin(message)
        elif message is not None:
            run.later_bytes += len(message)
        return replace(_claims(head, Ask()), text_bytes=len(body))

    def _ask(self, head: Head, found: Asked) -> Ask:
        self._flags = found.flags
        ask = Ask(
            model=found.model,
            streamed=self.streamed,
            text_bytes=found.text_bytes,
            opaque_input=True,
            cache_ttl="write",
            loops=self._rpc.loops,
        )
        ask = _claims(head, ask)
        session = Claim(found.session, Evidence.BODY) if found.session else ask.session
        group = found.group if found.group != found.session else None
        return replace(ask, session=session, parent_agent=group or ask.parent_agent)


def _appended(body: bytes) -> bytes | None:
    """The message of an append; None where it holds none that can be read. Raises WireError."""
    for value in inside(body, at.APPEND_HEX):
        if not isinstance(value, int) and len(value):
            try:
                return binascii.unhexlify(value)
            except (ValueError, binascii.Error):
                return None
    found = [bytes(value) for value in inside(body, at.APPEND_BINARY) if not isinstance(value, int)]
    return found[-1] if found else None


def _claims(head: Head, ask: Ask) -> Ask:
    """With what the head says of its sender. Its bearer token is a session's, changed every hour: no key to count by."""
    said = sender(head)
    if said["tool"].value is None and head.headers.get("x-cursor-client-version"):
        cli = (head.headers.get("x-cursor-client-type") or "").lower() == "cli"
        said["tool"] = Claim(_CLI if cli else "cursor", Evidence.HEADER)
    said["api_key"] = None
    return replace(ask, **said)


def _details(notice: Notice) -> tuple[tuple[str, bytes], ...]:
    """What the editor shows of an error. Not retryable: it would repeat the call by itself at once."""
    custom = encoded(
        (at.TITLE, _TITLE),
        (at.DETAIL, notice.message),
        (at.IS_RETRYABLE, 0),
        (at.SHOW_REQUEST_ID, 0),
        (at.SHOW_AT_ONCE, 1),
    )
    details = encoded((at.ERROR, at.ERROR_CUSTOM_MESSAGE), (at.CUSTOM, custom), (at.IS_EXPECTED, 1))
    return ((at.ERROR_DETAILS, details),)
