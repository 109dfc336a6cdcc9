"""How many TLS handshakes of one account run at once: they cost the loop the most of what a client can ask for without a call.

One loop serves all accounts. What one of them begins by the thousand would keep everybody else's next byte for as long as all of
it takes; beyond `AT_ONCE` its own handshakes wait for each other instead. Where there is room nobody waits, and no timer runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

type Account = int | None
"""A uid; None: connections whose account the system does not tell, together."""

AT_ONCE = 100
"""Some 3 ms of the loop each: what another account may have to wait for is a third of a second."""
A_TURN = 16
"""So many that waited go on in one turn of the loop."""
PATIENCE_S = 1.0
"""After so long a handshake makes room for the next: it waits for its client or its provider, and costs nothing."""


@dataclass(slots=True)
class _Line:
    running: dict[str, float] = field(default_factory=dict)
    """Connections in their handshake, with the loop's second of its begin, the oldest first."""
    waiting: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    looks: asyncio.Handle | None = None
    """When the oldest has had its time, or the loop its turn; only while somebody waits."""


class Handshakes:
    """Those of every account. Each that was begun is to be ended."""

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._at_once, self._patience_s = at_once, patience_s
        self._lines: dict[Account, _Line] = {}

    async def begin(self, account: Account, connection: str) -> None:
        """Returns when it is this connection's turn: at once where the account has room."""
        loop = asyncio.get_running_loop()
        line = self._lines.setdefault(account, _Line())
        if len(line.running) < self._at_once and not line.waiting:
            line.running[connection] = loop.time()
            return
        turn = line.waiting[connection] = loop.create_future()
        self._advance(line)
        await turn

    def end(self, account: Account, connection: str) -> None:
        """It has ended, well or not, or its client has gone; a second time changes nothing."""
        line = self._lines.get(account)
        if line is None:
            return
        line.running.pop(connection, None)
        left = line.waiting.pop(connection, None)
        if left is not None and not left.done():
            left.set_result(None)
        if line.waiting:
            self._advance(line)
        elif not line.running:
            del self._lines[account]

    def _advance(self, line: _Line) -> None:
        """Those whose time is up make room; whoever waits takes it in the order in which they came."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while line.running and now - (oldest := next(iter(line.running.items())))[1] >= self._patience_s:
            del line.running[oldest[0]]
        if line.looks is not None:
            line.looks.cancel()
        line.looks = None
        for _ in range(min(A_TURN, len(line.waiting), self._at_once - len(line.running))):
            connection = next(iter(line.waiting))
            turn = line.waiting.pop(connection)
            line.running[connection] = now
            if not turn.done():
                turn.set_result(None)
        if line.waiting and len(line.running) < self._at_once:
            line.looks = loop.call_soon(self._advance, line)
        elif line.waiting:
            line.looks = loop.call_at(next(iter(line.running.values())) + self._patience_s, self._advance, line)
