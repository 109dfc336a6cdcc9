"""Who is at the other end of a client connection, asked when it opens: later the process may have gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from mitmproxy import connection

from spendgate.attribution import NOBODY, Evidence, Peer
from spendgate.capture.ends import ends_of
from spendgate.capture.flow import MeteredFlow
from spendgate.capture.turns import Beside
from spendgate.identity.interface import Lookup

PROCESS_WAIT_S = 2.0
"""The longest that a first call waits for its process to be found, which takes milliseconds unless the machine is busy. Without
it the account alone is known, and what runs through `sudo` would count for root and not for whoever called it."""
TOO_MANY: Final = "too many connections of the account wait for their processes"


class Unfinished(Protocol):
    """An exchange or a conversation that has not ended."""

    def finish(self, *, complete: bool, error: str | None) -> None:
        """It ends now. A second time changes nothing."""
        ...


class Visitor:
    """One client connection: its peer, and the exchanges on it that have not ended."""

    def __init__(self, client: connection.Client, lookup: Lookup, beside: Beside) -> None:
        self.open: dict[str, Unfinished] = {}
        self.socket: MeteredFlow | None = None
        """The WebSocket that it has become."""
        self._peer = NOBODY
        self._finding: asyncio.Future[Peer] | None = None
        ends = ends_of(client)
        self._peer = lookup.owner(ends)
        if self._peer.evidence is not Evidence.NONE and self._peer.pid is None:
            found = beside.submit(self._peer.uid, partial(lookup.process, self._peer, ends))
            if found is None:
                self._peer = replace(self._peer, why_unknown=TOO_MANY)
                return
            self._finding = asyncio.wrap_future(found)
            self._finding.add_done_callback(self._found)

    @property
    def peer(self) -> Peer:
        """Who it is, as far as is known by now."""
        # The loop runs an answer's callbacks a turn after the answer is there, and a request may be decided in that turn.
        if self._finding is not None and self._finding.done():
            self._found(self._finding)
        return self._peer

    @property
    def looking(self) -> bool:
        """Whether the process is still being looked for."""
        return self._finding is not None and not self._finding.done()

    async def known(self) -> Peer:
        """The peer with its process, where that is found in time."""
        if self._finding is not None and not self._finding.done():
            await asyncio.wait((self._finding,), timeout=PROCESS_WAIT_S)
        return self.peer

    def leave(self, error: str) -> None:
        """The connection or the gate is at its end: so is whatever was not ended by its stream."""
        for unfinished in list(self.open.values()):
            unfinished.finish(complete=False, error=error)
        self.open.clear()

    def _found(self, finding: asyncio.Future[Peer]) -> None:
        self._finding = None
        if not finding.cancelled() and finding.exception() is None:
            self._peer = finding.result()
